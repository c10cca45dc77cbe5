// What the kernel table does not say about attention in bf16 on tensor cores, by the executor: what
// is hidden, what is strange, what is refused.
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/association/association_case.h"
#include "kernels/association/softmax_attention.h"
#include "kernels/common/half.h"
#include "tests/kernels/support.h"
#include "tests/simt/support.h"

namespace basin::kernels {
namespace {

using Halves = std::vector<BFloat16>;

Halves rounded(const std::vector<float>& numbers) {
  Halves result;
  for (const float number : numbers) {
    result.push_back(to_bfloat16(number));
  }
  return result;
}

double number(const Halves& from, std::int64_t at) {
  return static_cast<double>(to_float(from[static_cast<std::size_t>(at)]));
}

// Arrays of a problem with contiguous heads; rows of out may have a gap.
struct Arrays {
  explicit Arrays(const AssociationProblem& problem, std::int64_t gap = 0)
      : s(problem),
        out_row(s.Dv + gap),
        q(rounded(uniform_numbers<float>(size(s.L, s.D), 1))),
        k(rounded(uniform_numbers<float>(size(s.M, s.D), 2))),
        v(rounded(uniform_numbers<float>(size(s.M, s.Dv), 3))),
        dout(rounded(uniform_numbers<float>(size(s.L, s.Dv), 4))) {
    for (std::int64_t h = 0; h < s.H; ++h) {
      beta.push_back(0.4f + 0.5f * static_cast<float>(h));
    }
  }
  std::int64_t size(std::int64_t rows, std::int64_t width) const {
    return s.B * s.H * rows * width;
  }
  HeadView view(const Halves& data, std::int64_t rows, std::int64_t width) const {
    return {const_cast<BFloat16*>(data.data()), s.H * rows * width, rows * width, width};
  }
  AttentionForward call(Halves& out, std::vector<float>& lse) const {
    out.assign(static_cast<std::size_t>(size(s.L, out_row)), BFloat16{0x4040});  // 3
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
                       DType::bf16};
    workspace.assign(
        static_cast<std::size_t>(attention_forward_workspace(p, SimtContext{}) / 8 + 1), 0.0);
    p.workspace = workspace.data();
    return p;
  }

  AssociationProblem s;
  std::int64_t out_row;
  Halves q, k, v, dout;
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

struct Gradients {
  Halves dq, dk, dv;
  std::vector<float> dbeta;
};

// Forward and backward. Rows of the results that the kernel does not write keep a 3.
Gradients gradients(const Arrays& a, const SimtContext& context) {
  const AssociationProblem& s = a.s;
  Halves out;
  std::vector<float> lse;
  const AttentionForward f = a.call(out, lse);
  EXPECT_TRUE(attention_forward(f, context).ok());
  Gradients g;
  g.dq.assign(a.q.size(), BFloat16{0x4040});
  g.dk.assign(a.k.size(), BFloat16{0x4040});
  g.dv.assign(a.v.size(), BFloat16{0x4040});
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
                      DType::bf16};
  std::vector<double> workspace(
      static_cast<std::size_t>(attention_backward_workspace(p, context) / 8 + 1));
  p.workspace = workspace.data();
  const Status status = attention_backward(p, context);
  EXPECT_TRUE(status.ok()) << status.message;
  return g;
}

// What lies between the rows of out stays as it is.
TEST(TensorAttention, RowsMayHaveGaps) {
  for (const AssociationProblem& s : all_problems()) {
    SCOPED_TRACE(s.name);
    const Arrays plain(s);
    const Arrays gaps(s, 3);
    Halves out, spread;
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
TEST(TensorAttention, HiddenPairsDoNotReachAGradient) {
  for (const float strange :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    for (const AssociationProblem& s : all_problems()) {
      if (s.L == 0 || s.M == 0 || s.D > 64) {
        continue;
      }
      SCOPED_TRACE(s.name + " " + std::to_string(strange));
      const Arrays before(s);
      const Gradients expected = gradients(before, SimtContext{});
      const std::int64_t key = s.M - 1;
      const std::int64_t query = s.L / 2;
      const auto spoil_row = [&](Halves& numbers, std::int64_t rows, std::int64_t width,
                                 std::int64_t row) {
        for (std::int64_t head = 0; head < s.B * s.H; ++head) {
          for (std::int64_t d = 0; d < width; ++d) {
            numbers[static_cast<std::size_t>((head * rows + row) * width + d)] =
                to_bfloat16(strange);
          }
        }
      };
      const auto check_rows = [&](const Halves& found, const Halves& wanted, std::int64_t rows,
                                  std::int64_t width, auto sees) {
        for (std::int64_t head = 0; head < s.B * s.H; ++head) {
          for (std::int64_t row = 0; row < rows; ++row) {
            for (std::int64_t d = 0; d < width; ++d) {
              const auto at = static_cast<std::size_t>((head * rows + row) * width + d);
              if (!sees(head / s.H, row)) {
                ASSERT_EQ(found[at].bits, wanted[at].bits) << "row " << row;
              } else {
                ASSERT_FALSE(std::isfinite(to_float(found[at]))) << "row " << row << " hides it";
              }
            }
          }
        }
      };
      Arrays keys(s);
      spoil_row(keys.k, s.M, s.D, key);
      spoil_row(keys.v, s.M, s.Dv, key);
      const Gradients of_keys = gradients(keys, SimtContext{});
      check_rows(of_keys.dq, expected.dq, s.L, s.D,
                 [&](std::int64_t b, std::int64_t i) { return s.sees(b, i, key); });
      Arrays queries(s);
      spoil_row(queries.q, s.L, s.D, query);
      spoil_row(queries.dout, s.L, s.Dv, query);
      const Gradients of_queries = gradients(queries, SimtContext{});
      const auto seen = [&](std::int64_t b, std::int64_t j) { return s.sees(b, query, j); };
      check_rows(of_queries.dk, expected.dk, s.M, s.D, seen);
      check_rows(of_queries.dv, expected.dv, s.M, s.Dv, seen);
    }
  }
}

// Bits of what does not see a key stay the same, whatever stands in it.
TEST(TensorAttention, HiddenKeysDoNotReachAQuery) {
  for (const float strange :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 1000.0f}) {
    for (const AssociationProblem& s : all_problems()) {
      for (const std::int64_t first : {s.M / 3, s.M - 1}) {
        SCOPED_TRACE(s.name + " " + std::to_string(strange) + " from " + std::to_string(first));
        const Arrays before(s);
        Arrays after(s);
        for (std::int64_t head = 0; head < s.B * s.H; ++head) {
          for (std::int64_t j = std::max<std::int64_t>(first, 0); j < s.M; ++j) {
            for (std::int64_t d = 0; d < s.D; ++d) {
              after.k[static_cast<std::size_t>((head * s.M + j) * s.D + d)] = to_bfloat16(strange);
            }
            for (std::int64_t d = 0; d < s.Dv; ++d) {
              after.v[static_cast<std::size_t>((head * s.M + j) * s.Dv + d)] = to_bfloat16(strange);
            }
          }
        }
        Halves out[2];
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
                ASSERT_EQ(out[1][at].bits, out[0][at].bits) << "query " << i;
              } else if (std::isnan(strange)) {
                ASSERT_TRUE(std::isnan(to_float(out[1][at]))) << "query " << i << " hides a NaN";
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
TEST(TensorAttention, AStrangeValueReachesThoseWhoSeeItAndItsColumn) {
  const AssociationProblem s{
      .name = "", .B = 1, .H = 1, .L = 80, .M = 80, .D = 32, .Dv = 32, .causal = true};
  Arrays a(s);
  constexpr std::int64_t kKey = 70, kColumn = 5;
  Halves before, after;
  std::vector<float> lse;
  ASSERT_TRUE(attention_forward(a.call(before, lse), SimtContext{}).ok());
  a.v[kKey * 32 + kColumn] = to_bfloat16(-std::numeric_limits<float>::infinity());
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
TEST(TensorAttention, AnItemDoesNotDependOnItsBatch) {
  AssociationProblem s{.name = "",
                       .B = 3,
                       .H = 2,
                       .L = 70,
                       .M = 90,
                       .D = 24,
                       .Dv = 16,
                       .causal = true,
                       .key_lengths = {90, 40, 0}};
  const Arrays all(s);
  const Gradients together = gradients(all, SimtContext{});
  for (std::int64_t b = 0; b < s.B; ++b) {
    for (std::int64_t h = 0; h < s.H; ++h) {
      AssociationProblem one = s;
      one.B = one.H = 1;
      one.key_lengths = {s.key_lengths[static_cast<std::size_t>(b)]};
      Arrays alone(one);
      const auto part = [&](const Halves& from, std::int64_t rows, std::int64_t width) {
        const auto first = from.begin() + (b * s.H + h) * rows * width;
        return Halves(first, first + rows * width);
      };
      alone.q = part(all.q, s.L, s.D);
      alone.k = part(all.k, s.M, s.D);
      alone.v = part(all.v, s.M, s.Dv);
      alone.dout = part(all.dout, s.L, s.Dv);
      alone.beta = {all.beta[static_cast<std::size_t>(h)]};
      const Gradients found = gradients(alone, SimtContext{});
      EXPECT_TRUE(same_bits(found.dq, part(together.dq, s.L, s.D))) << b << " " << h;
      EXPECT_TRUE(same_bits(found.dk, part(together.dk, s.M, s.D))) << b << " " << h;
      EXPECT_TRUE(same_bits(found.dv, part(together.dv, s.M, s.Dv))) << b << " " << h;
    }
  }
}

// What a few queries over many keys launch: parts of the keys, and what puts them together.
TEST(TensorAttention, FewQueriesAreCutIntoPartsOfTheKeys) {
  const AssociationProblem s{.name = "", .B = 1, .H = 1, .L = 4, .M = 1300, .D = 32, .Dv = 32};
  const Arrays a(s);
  Halves out;
  std::vector<float> lse;
  LaunchCounts counts;
  SimtContext context;
  context.counts = &counts;
  ASSERT_TRUE(attention_forward(a.call(out, lse), context).ok());
  EXPECT_EQ(counts.launches, 2);
  EXPECT_EQ(counts.blocks, 6 + 1);  // of 256 keys and one for four queries
  EXPECT_EQ(counts.async_copies, (6 * 64 + 2 * 1344) * 32 * 2 / 16);  // 1300 keys in tiles of 64
}

TEST(TensorAttention, RefusesWhatItCannotDo) {
  const AssociationProblem s{.name = "", .B = 1, .H = 1, .L = 2, .M = 2, .D = 257, .Dv = 4};
  const Arrays a(s);
  Halves out;
  std::vector<float> lse;
  EXPECT_EQ(attention_forward(a.call(out, lse), SimtContext{}).code, Status::Code::unsupported);
  const TestContext cpu(1);
  const AssociationProblem small{.name = "", .B = 1, .H = 1, .L = 2, .M = 2, .D = 8, .Dv = 4};
  EXPECT_EQ(attention_forward(Arrays(small).call(out, lse), cpu.get()).code,
            Status::Code::unsupported);
}

}  // namespace
}  // namespace basin::kernels
