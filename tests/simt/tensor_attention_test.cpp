// What the kernel table does not say about attention on tensor cores, by the executor: what is
// hidden, what is strange, what is refused, and what the bits of a product are worth.
#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/association/association_case.h"
#include "kernels/association/softmax_attention.h"
#include "kernels/common/half.h"
#include "kernels/table/case_arrays.h"
#include "tests/kernels/support.h"
#include "tests/simt/support.h"

namespace basin::kernels {
namespace {

// Ways to multiply (tensor_attention.h).
struct InBf16 {
  using Number = BFloat16;
  static constexpr DType dtype = DType::bf16;
  static constexpr Precision precision = Precision::f32;
  static constexpr int variant = 0;
};
struct InTf32 {
  using Number = float;
  static constexpr DType dtype = DType::f32;
  static constexpr Precision precision = Precision::tf32;
  static constexpr int variant = 0;
};
struct InSplitTf32 {
  using Number = float;
  static constexpr DType dtype = DType::f32;
  static constexpr Precision precision = Precision::f32;
  static constexpr int variant = 3;
};
float wide(BFloat16 number) { return to_float(number); }
float wide(float number) { return number; }
std::uint32_t bits_of(BFloat16 number) { return number.bits; }
std::uint32_t bits_of(float number) { return std::bit_cast<std::uint32_t>(number); }

template <class T>
T stored(float number) {
  if constexpr (std::is_same_v<T, BFloat16>) {
    return to_bfloat16(number);
  } else {
    return number;
  }
}

template <class T>
std::vector<T> stored(const std::vector<float>& numbers) {
  std::vector<T> result;
  for (const float number : numbers) {
    result.push_back(stored<T>(number));
  }
  return result;
}

template <class T>
double number(const std::vector<T>& from, std::int64_t at) {
  return static_cast<double>(wide(from[static_cast<std::size_t>(at)]));
}

// Arrays of a problem with contiguous heads; rows of out may have a gap.
template <class Way>
struct Arrays {
  using Number = typename Way::Number;
  using Numbers = std::vector<Number>;

  explicit Arrays(const AssociationProblem& problem, std::int64_t gap = 0)
      : s(problem),
        out_row(s.Dv + gap),
        q(stored<Number>(uniform_numbers<float>(size(s.L, s.D), 1))),
        k(stored<Number>(uniform_numbers<float>(size(s.M, s.D), 2))),
        v(stored<Number>(uniform_numbers<float>(size(s.M, s.Dv), 3))),
        dout(stored<Number>(uniform_numbers<float>(size(s.L, s.Dv), 4))) {
    for (std::int64_t h = 0; h < s.H; ++h) {
      beta.push_back(0.4f + 0.5f * static_cast<float>(h));
    }
  }
  std::int64_t size(std::int64_t rows, std::int64_t width) const {
    return s.B * s.H * rows * width;
  }
  HeadView view(const Numbers& data, std::int64_t rows, std::int64_t width) const {
    return {const_cast<Number*>(data.data()), s.H * rows * width, rows * width, width};
  }
  AttentionForward call(Numbers& out, std::vector<float>& lse) const {
    out.assign(static_cast<std::size_t>(size(s.L, out_row)), stored<Number>(3.0f));
    lse.assign(static_cast<std::size_t>(s.B * s.H * s.L), 7.0f);
    AttentionForward p{view(q, s.L, s.D),
                       view(k, s.M, s.D),
                       view(v, s.M, s.Dv),
                       view(out, s.L, out_row),
                       beta.data(),
                       s.lengths(),
                       lse.data(),
                       nullptr,
                       s.B,
                       s.H,
                       s.L,
                       s.M,
                       s.D,
                       s.Dv,
                       s.causal,
                       Way::dtype,
                       Way::variant,
                       Way::precision};
    workspace.assign(
        static_cast<std::size_t>(attention_forward_workspace(p, SimtContext{}) / 8 + 1), 0.0);
    p.workspace = workspace.data();
    return p;
  }

  AssociationProblem s;
  std::int64_t out_row;
  Numbers q, k, v, dout;
  std::vector<float> beta;
  mutable std::vector<double> workspace;
};

// Those of the table, and one whose queries are so few that blocks have parts of the keys.
std::vector<AssociationProblem> all_problems() {
  std::vector<AssociationProblem> all = association_problems();
  all.push_back({.name = "few_queries",
                 .B = 2,
                 .H = 1,
                 .L = 67,
                 .M = 600,
                 .D = 20,
                 .Dv = 12,
                 .causal = true,
                 .key_lengths = {600, 290}});
  return all;
}

template <class Way>
struct Gradients {
  std::vector<typename Way::Number> dq, dk, dv;
  std::vector<float> dbeta;
};

// Forward and backward. Rows of the results that the kernel does not write keep a 3.
template <class Way>
Gradients<Way> gradients(const Arrays<Way>& a, const SimtContext& context) {
  using Number = typename Way::Number;
  const AssociationProblem& s = a.s;
  std::vector<Number> out;
  std::vector<float> lse;
  const AttentionForward f = a.call(out, lse);
  EXPECT_TRUE(attention_forward(f, context).ok());
  Gradients<Way> g;
  g.dq.assign(a.q.size(), stored<Number>(3.0f));
  g.dk.assign(a.k.size(), stored<Number>(3.0f));
  g.dv.assign(a.v.size(), stored<Number>(3.0f));
  g.dbeta.assign(a.beta.size(), 3.0f);
  AttentionBackward p{f.q,
                      f.k,
                      f.v,
                      f.out,
                      a.view(a.dout, s.L, s.Dv),
                      a.view(g.dq, s.L, s.D),
                      a.view(g.dk, s.M, s.D),
                      a.view(g.dv, s.M, s.Dv),
                      f.beta,
                      g.dbeta.data(),
                      f.key_lengths,
                      f.lse,
                      nullptr,
                      s.B,
                      s.H,
                      s.L,
                      s.M,
                      s.D,
                      s.Dv,
                      s.causal,
                      Way::dtype,
                      Way::variant,
                      Way::precision};
  std::vector<double> workspace(
      static_cast<std::size_t>(attention_backward_workspace(p, context) / 8 + 1));
  p.workspace = workspace.data();
  const Status status = attention_backward(p, context);
  EXPECT_TRUE(status.ok()) << status.message;
  return g;
}

template <class Way>
class TensorAttention : public testing::Test {
 public:
  using Number = typename Way::Number;
  using Numbers = std::vector<Number>;
};
using Ways = testing::Types<InBf16, InTf32, InSplitTf32>;

// The small problems are enough for what all ways share; the executor takes its time.
template <class Way>
std::vector<AssociationProblem> problems_for() {
  std::vector<AssociationProblem> all = all_problems();
  if (!std::is_same_v<Way, InBf16>) {
    std::erase_if(all, [](const AssociationProblem& s) { return s.L * s.M > 3200; });
  }
  return all;
}
TYPED_TEST_SUITE(TensorAttention, Ways);

// What lies between the rows of out stays as it is.
TYPED_TEST(TensorAttention, RowsMayHaveGaps) {
  for (const AssociationProblem& s : problems_for<TypeParam>()) {
    SCOPED_TRACE(s.name);
    const Arrays<TypeParam> plain(s);
    const Arrays<TypeParam> gaps(s, 3);
    typename TestFixture::Numbers out, spread;
    std::vector<float> lse;
    ASSERT_TRUE(attention_forward(plain.call(out, lse), SimtContext{}).ok());
    ASSERT_TRUE(attention_forward(gaps.call(spread, lse), SimtContext{}).ok());
    for (std::int64_t row = 0; row < gaps.size(s.L, 1); ++row) {
      for (std::int64_t c = 0; c < gaps.out_row; ++c) {
        const double expected = c < s.Dv ? number(out, row * s.Dv + c) : 3;
        ASSERT_EQ(number(spread, row * gaps.out_row + c), expected) << row << " " << c;
      }
    }
  }
}

// What a query or a key does not see cannot reach its gradient.
TYPED_TEST(TensorAttention, HiddenPairsDoNotReachAGradient) {
  for (const float strange :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    for (const AssociationProblem& s : problems_for<TypeParam>()) {
      if (s.L == 0 || s.M == 0 || s.D > 64) {
        continue;
      }
      SCOPED_TRACE(s.name + " " + std::to_string(strange));
      const Arrays<TypeParam> before(s);
      const Gradients<TypeParam> expected = gradients(before, SimtContext{});
      const std::int64_t key = s.M - 1;
      const std::int64_t query = s.L / 2;
      const auto spoil_row = [&](typename TestFixture::Numbers& numbers, std::int64_t rows,
                                 std::int64_t width, std::int64_t row) {
        for (std::int64_t head = 0; head < s.B * s.H; ++head) {
          for (std::int64_t d = 0; d < width; ++d) {
            numbers[static_cast<std::size_t>((head * rows + row) * width + d)] =
                stored<typename TestFixture::Number>(strange);
          }
        }
      };
      const auto check_rows = [&](const typename TestFixture::Numbers& found,
                                  const typename TestFixture::Numbers& wanted, std::int64_t rows,
                                  std::int64_t width, auto sees) {
        for (std::int64_t head = 0; head < s.B * s.H; ++head) {
          for (std::int64_t row = 0; row < rows; ++row) {
            for (std::int64_t d = 0; d < width; ++d) {
              const auto at = static_cast<std::size_t>((head * rows + row) * width + d);
              if (!sees(head / s.H, row)) {
                ASSERT_EQ(bits_of(found[at]), bits_of(wanted[at])) << "row " << row;
              } else {
                ASSERT_FALSE(std::isfinite(wide(found[at]))) << "row " << row << " hides it";
              }
            }
          }
        }
      };
      Arrays<TypeParam> keys(s);
      spoil_row(keys.k, s.M, s.D, key);
      spoil_row(keys.v, s.M, s.Dv, key);
      const Gradients<TypeParam> of_keys = gradients(keys, SimtContext{});
      check_rows(of_keys.dq, expected.dq, s.L, s.D,
                 [&](std::int64_t b, std::int64_t i) { return s.sees(b, i, key); });
      Arrays<TypeParam> queries(s);
      spoil_row(queries.q, s.L, s.D, query);
      spoil_row(queries.dout, s.L, s.Dv, query);
      const Gradients<TypeParam> of_queries = gradients(queries, SimtContext{});
      const auto seen = [&](std::int64_t b, std::int64_t j) { return s.sees(b, query, j); };
      check_rows(of_queries.dk, expected.dk, s.M, s.D, seen);
      check_rows(of_queries.dv, expected.dv, s.M, s.Dv, seen);
    }
  }
}

// Bits of what does not see a key stay the same, whatever stands in it.
TYPED_TEST(TensorAttention, HiddenKeysDoNotReachAQuery) {
  for (const float strange :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 1000.0f}) {
    for (const AssociationProblem& s : problems_for<TypeParam>()) {
      for (const std::int64_t first : {s.M / 3, s.M - 1}) {
        SCOPED_TRACE(s.name + " " + std::to_string(strange) + " from " + std::to_string(first));
        const Arrays<TypeParam> before(s);
        Arrays<TypeParam> after(s);
        for (std::int64_t head = 0; head < s.B * s.H; ++head) {
          for (std::int64_t j = std::max<std::int64_t>(first, 0); j < s.M; ++j) {
            for (std::int64_t d = 0; d < s.D; ++d) {
              after.k[static_cast<std::size_t>((head * s.M + j) * s.D + d)] =
                  stored<typename TestFixture::Number>(strange);
            }
            for (std::int64_t d = 0; d < s.Dv; ++d) {
              after.v[static_cast<std::size_t>((head * s.M + j) * s.Dv + d)] =
                  stored<typename TestFixture::Number>(strange);
            }
          }
        }
        typename TestFixture::Numbers out[2];
        std::vector<float> lse[2];
        ASSERT_TRUE(attention_forward(before.call(out[0], lse[0]), SimtContext{}).ok());
        ASSERT_TRUE(attention_forward(after.call(out[1], lse[1]), SimtContext{}).ok());
        for (std::int64_t head = 0; head < s.B * s.H; ++head) {
          for (std::int64_t i = 0; i < s.L; ++i) {
            bool sees = false;
            for (std::int64_t j = std::max<std::int64_t>(first, 0); j < s.M; ++j) {
              sees = sees || s.sees(head / s.H, i, j);
            }
            for (std::int64_t c = 0; c < s.Dv; ++c) {
              const auto at = static_cast<std::size_t>((head * s.L + i) * s.Dv + c);
              if (!sees) {
                ASSERT_EQ(bits_of(out[1][at]), bits_of(out[0][at])) << "query " << i;
              } else if (std::isnan(strange)) {
                ASSERT_TRUE(std::isnan(wide(out[1][at]))) << "query " << i << " hides a NaN";
              }
            }
          }
        }
      }
    }
  }
}

// Only the values are strange: the weights of the query stay finite, and so does every other
// column.
TYPED_TEST(TensorAttention, AStrangeValueReachesThoseWhoSeeItAndItsColumn) {
  const AssociationProblem s{
      .name = "", .B = 1, .H = 1, .L = 80, .M = 80, .D = 32, .Dv = 32, .causal = true};
  Arrays<TypeParam> a(s);
  constexpr std::int64_t kKey = 70, kColumn = 5;
  typename TestFixture::Numbers before, after;
  std::vector<float> lse;
  ASSERT_TRUE(attention_forward(a.call(before, lse), SimtContext{}).ok());
  a.v[kKey * 32 + kColumn] =
      stored<typename TestFixture::Number>(-std::numeric_limits<float>::infinity());
  ASSERT_TRUE(attention_forward(a.call(after, lse), SimtContext{}).ok());
  for (std::int64_t i = 0; i < s.L; ++i) {
    for (std::int64_t c = 0; c < s.Dv; ++c) {
      if (i >= kKey && c == kColumn) {
        EXPECT_EQ(number(after, i * s.Dv + c), -INFINITY) << i;
      } else if (i < kKey || c != kColumn) {
        EXPECT_EQ(number(after, i * s.Dv + c), number(before, i * s.Dv + c)) << i << " " << c;
      }
    }
  }
}

// An item of a batch, or a head, has the bits that it has alone. So few keys are not cut into
// parts, whose number follows the shape.
TYPED_TEST(TensorAttention, AnItemDoesNotDependOnItsBatch) {
  AssociationProblem s{.name = "",
                       .B = 3,
                       .H = 2,
                       .L = 70,
                       .M = 90,
                       .D = 24,
                       .Dv = 16,
                       .causal = true,
                       .key_lengths = {90, 40, 0}};
  const Arrays<TypeParam> all(s);
  const Gradients<TypeParam> together = gradients(all, SimtContext{});
  for (std::int64_t b = 0; b < s.B; ++b) {
    for (std::int64_t h = 0; h < s.H; ++h) {
      AssociationProblem one = s;
      one.B = one.H = 1;
      one.key_lengths = {s.key_lengths[static_cast<std::size_t>(b)]};
      Arrays<TypeParam> alone(one);
      const auto part = [&](const typename TestFixture::Numbers& from, std::int64_t rows,
                            std::int64_t width) {
        const auto first = from.begin() + (b * s.H + h) * rows * width;
        return typename TestFixture::Numbers(first, first + rows * width);
      };
      alone.q = part(all.q, s.L, s.D);
      alone.k = part(all.k, s.M, s.D);
      alone.v = part(all.v, s.M, s.Dv);
      alone.dout = part(all.dout, s.L, s.Dv);
      alone.beta = {all.beta[static_cast<std::size_t>(h)]};
      const Gradients<TypeParam> found = gradients(alone, SimtContext{});
      EXPECT_TRUE(same_bits(found.dq, part(together.dq, s.L, s.D))) << b << " " << h;
      EXPECT_TRUE(same_bits(found.dk, part(together.dk, s.M, s.D))) << b << " " << h;
      EXPECT_TRUE(same_bits(found.dv, part(together.dv, s.M, s.Dv))) << b << " " << h;
    }
  }
}

// What a few queries over many keys launch: parts of the keys, and what puts them together.
TEST(TensorAttentionInParts, FewQueriesAreCutIntoPartsOfTheKeys) {
  const AssociationProblem s{.name = "", .B = 1, .H = 1, .L = 4, .M = 1300, .D = 32, .Dv = 32};
  const Arrays<InBf16> a(s);
  std::vector<BFloat16> out;
  std::vector<float> lse;
  LaunchCounts counts;
  SimtContext context;
  context.counts = &counts;
  ASSERT_TRUE(attention_forward(a.call(out, lse), context).ok());
  EXPECT_EQ(counts.launches, 2);
  EXPECT_EQ(counts.blocks, 6 + 1);  // of 256 keys and one for four queries
  EXPECT_EQ(counts.async_copies, (6 * 64 + 2 * 1344) * 32 * 2 / 16);  // 1300 keys in tiles of 64
}

TYPED_TEST(TensorAttention, RefusesWhatItCannotDo) {
  const AssociationProblem s{.name = "", .B = 1, .H = 1, .L = 2, .M = 2, .D = 257, .Dv = 4};
  const Arrays<TypeParam> a(s);
  typename TestFixture::Numbers out;
  std::vector<float> lse;
  EXPECT_EQ(attention_forward(a.call(out, lse), SimtContext{}).code, Status::Code::unsupported);
  if (TypeParam::variant != 0) {
    return;  // to the CPU another variant
  }
  const TestContext cpu(1);
  const AssociationProblem small{.name = "", .B = 1, .H = 1, .L = 2, .M = 2, .D = 8, .Dv = 4};
  EXPECT_EQ(attention_forward(Arrays<TypeParam>(small).call(out, lse), cpu.get()).code,
            Status::Code::unsupported);
}

// The largest error of the results, by the executor.
double error_of(const KernelCase& problem, int variant, const CpuContext& cpu) {
  CaseArrays expected = CaseArrays(problem, DType::f32, cpu).widened();
  problem.reference(expected.data());
  CaseArrays found(problem, DType::f32, cpu);
  const Status status = problem.run_simt(found.data(), DType::f32, variant, SimtContext{});
  EXPECT_TRUE(status.ok()) << status.message;
  return found.difference(expected).error;
}

// Three products of tf32 are as good as one of f32; one of tf32 is not, so this notices if some are
// left out.
TEST(SplitAttention, IsAsExactAsTheLoopInF32) {
  const TestContext cpu(1);
  for (const AssociationProblem& s :
       {AssociationProblem{.name = "few keys", .B = 1, .H = 2, .L = 70, .M = 90, .D = 64, .Dv = 48},
        AssociationProblem{
            .name = "many keys", .B = 1, .H = 1, .L = 64, .M = 700, .D = 32, .Dv = 32},
        AssociationProblem{.name = "wide",
        .B = 1,
        .H = 1,
        .L = 80,
        .M = 80,
        .D = 256,
        .Dv = 256,
        .causal = true}}) {
    for (const bool forward : {true, false}) {
      SCOPED_TRACE(s.name + (forward ? ", forward" : ", backward"));
      const auto make = forward ? attention_forward_case_in : attention_backward_case_in;
      const KernelCase in_f32 = make(Precision::f32, s, cpu);
      const double loop = error_of(in_f32, 2, cpu);
      const double split = error_of(in_f32, 3, cpu);
      const double tf32 = error_of(make(Precision::tf32, s, cpu), 0, cpu);
      EXPECT_LE(split, 2 * loop);
      EXPECT_GE(tf32, 50 * loop) << "split " << split;
    }
  }
}

}  // namespace
}  // namespace basin::kernels
