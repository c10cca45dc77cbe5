// What the kernel table does not say about linear attention in bf16 on tensor cores, by the
// executor: rows anywhere in memory, values that are not finite, neighbours in a batch.
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/association/association_case.h"
#include "kernels/association/linear_attention.h"
#include "kernels/common/half.h"
#include "tests/kernels/support.h"
#include "tests/simt/support.h"

namespace basin::kernels {
namespace {

using Halves = std::vector<BFloat16>;
constexpr BFloat16 kThree{0x4040};

Halves drawn(std::int64_t count, std::uint64_t seed) {
  Halves result;
  for (const float number : uniform_numbers<float>(count, seed)) {
    result.push_back(to_bfloat16(number));
  }
  return result;
}

// Arrays of a problem with contiguous heads. The rows of all of them may have a gap, and lie beside
// a multiple of 16 bytes.
class Arrays {
 public:
  Arrays(const AssociationProblem& problem, std::int64_t gap, std::int64_t offset)
      : s_(problem), gap_(gap), offset_(offset) {}

  Halves spread(const Halves& dense, std::int64_t width) const {
    const std::int64_t rows = static_cast<std::int64_t>(dense.size()) / width;
    Halves result(static_cast<std::size_t>(rows * (width + gap_) + offset_), kThree);
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::int64_t c = 0; c < width; ++c) {
        result[static_cast<std::size_t>(offset_ + row * (width + gap_) + c)] =
            dense[static_cast<std::size_t>(row * width + c)];
      }
    }
    return result;
  }
  HeadView view(Halves& data, std::int64_t rows, std::int64_t width) const {
    const std::int64_t row = width + gap_;
    return {data.data() + offset_, s_.H * rows * row, rows * row, row};
  }

 private:
  AssociationProblem s_;
  std::int64_t gap_, offset_;
};

struct Inputs {
  Halves q, k, v, dout;
};

struct Results {
  Halves out, dq, dk, dv;
  std::vector<float> normaliser;

  bool same(const Results& other) const {
    const auto equal = [](const Halves& a, const Halves& b) {
      return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                        [](BFloat16 x, BFloat16 y) { return x.bits == y.bits; });
    };
    return equal(out, other.out) && equal(dq, other.dq) && equal(dk, other.dk) &&
           equal(dv, other.dv) && normaliser == other.normaliser;
  }
};

std::int64_t size(const AssociationProblem& s, std::int64_t rows, std::int64_t width) {
  return s.B * s.H * rows * width;
}

Inputs inputs_of(const AssociationProblem& s) {
  return {drawn(size(s, s.L, s.D), 1), drawn(size(s, s.M, s.D), 2), drawn(size(s, s.M, s.Dv), 3),
          drawn(size(s, s.L, s.Dv), 4)};
}

// Forward and backward. What the kernels do not write keeps a 3.
Results run(const AssociationProblem& s, const Inputs& in, std::int64_t gap = 0,
            std::int64_t offset = 0, const SimtContext& context = {}) {
  const Arrays arrays(s, gap, offset);
  Halves q = arrays.spread(in.q, s.D);
  Halves k = arrays.spread(in.k, s.D);
  Halves v = arrays.spread(in.v, s.Dv);
  Halves dout = arrays.spread(in.dout, s.Dv);
  Results r;
  r.out.assign(dout.size(), kThree);
  r.dq.assign(q.size(), kThree);
  r.dk.assign(k.size(), kThree);
  r.dv.assign(v.size(), kThree);
  r.normaliser.assign(static_cast<std::size_t>(s.B * s.H * s.L), 3.0f);
  LinearAttentionForward f{arrays.view(q, s.L, s.D),
                           arrays.view(k, s.M, s.D),
                           arrays.view(v, s.M, s.Dv),
                           arrays.view(r.out, s.L, s.Dv),
                           s.lengths(),
                           r.normaliser.data(),
                           nullptr,
                           s.B,
                           s.H,
                           s.L,
                           s.M,
                           s.D,
                           s.Dv,
                           s.causal,
                           s.eps,
                           DType::bf16};
  const auto space = [](std::int64_t bytes) {
    return std::vector<double>(static_cast<std::size_t>(bytes / 8 + 1),
                               std::numeric_limits<double>::quiet_NaN());
  };
  std::vector<double> workspace = space(linear_attention_forward_workspace(f, context));
  f.workspace = workspace.data();
  EXPECT_TRUE(linear_attention_forward(f, context).ok());
  LinearAttentionBackward p{f.q,
                            f.k,
                            f.v,
                            f.out,
                            arrays.view(dout, s.L, s.Dv),
                            arrays.view(r.dq, s.L, s.D),
                            arrays.view(r.dk, s.M, s.D),
                            arrays.view(r.dv, s.M, s.Dv),
                            s.lengths(),
                            f.normaliser,
                            nullptr,
                            s.B,
                            s.H,
                            s.L,
                            s.M,
                            s.D,
                            s.Dv,
                            s.causal,
                            s.eps,
                            DType::bf16};
  workspace = space(linear_attention_backward_workspace(p, context));
  p.workspace = workspace.data();
  EXPECT_TRUE(linear_attention_backward(p, context).ok());
  return r;
}

// Copied 16 bytes at a time or one by one: the same bits, and nothing between the rows is touched.
TEST(TensorLinearAttention, RowsMayLieAnywhere) {
  for (const bool causal : {false, true}) {
    const AssociationProblem s{
        .name = "", .B = 2, .H = 2, .L = 70, .M = 90, .D = 20, .Dv = 40, .causal = causal};
    const Inputs in = inputs_of(s);
    const Results plain = run(s, in);
    for (const std::int64_t offset : {0, 1}) {
      for (const std::int64_t gap : {4, 5}) {
        SCOPED_TRACE(std::to_string(offset) + " " + std::to_string(gap));
        const Arrays arrays(s, gap, offset);
        EXPECT_TRUE(run(s, in, gap, offset)
                        .same({arrays.spread(plain.out, s.Dv), arrays.spread(plain.dq, s.D),
                               arrays.spread(plain.dk, s.D), arrays.spread(plain.dv, s.Dv),
                               plain.normaliser}));
      }
    }
  }
}

// The bits of one item are those that it has alone.
TEST(TensorLinearAttention, ItemsOfABatchDoNotDependOnEachOther) {
  const AssociationProblem all{
      .name = "", .B = 3, .H = 1, .L = 150, .M = 150, .D = 24, .Dv = 24, .causal = true};
  AssociationProblem one = all;
  one.B = 1;
  const Inputs in = inputs_of(all);
  const Results together = run(all, in);
  constexpr std::int64_t kNumbers = 150 * 24;
  for (std::int64_t b = 0; b < all.B; ++b) {
    const auto part = [&](const Halves& numbers) {
      return Halves(numbers.begin() + b * kNumbers, numbers.begin() + (b + 1) * kNumbers);
    };
    const Results alone = run(one, {part(in.q), part(in.k), part(in.v), part(in.dout)});
    EXPECT_TRUE(alone.same(
        {part(together.out),
         part(together.dq),
         part(together.dk),
         part(together.dv),
         {together.normaliser.begin() + b * 150, together.normaliser.begin() + (b + 1) * 150}}));
  }
}

// Only a value is strange: it reaches its column of the queries that see it, whether they lie in
// its tile, behind it in its segment or behind that, and nothing else.
TEST(TensorLinearAttention, AStrangeValueReachesThoseWhoSeeItAndItsColumn) {
  const AssociationProblem s{
      .name = "", .B = 1, .H = 1, .L = 300, .M = 300, .D = 16, .Dv = 40, .causal = true};
  constexpr std::int64_t kKey = 150, kColumn = 33;
  Inputs in = inputs_of(s);
  const Results before = run(s, in);
  for (const float strange :
       {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    in.v[kKey * 40 + kColumn] = to_bfloat16(strange);
    const Results after = run(s, in);
    for (std::int64_t i = 0; i < s.L; ++i) {
      for (std::int64_t c = 0; c < s.Dv; ++c) {
        const auto at = static_cast<std::size_t>(i * s.Dv + c);
        if (i >= kKey && c == kColumn) {
          ASSERT_FALSE(std::isfinite(to_float(after.out[at]))) << i;
        } else {
          ASSERT_EQ(after.out[at].bits, before.out[at].bits) << i << " " << c;
        }
      }
    }
  }
}

TEST(TensorLinearAttention, RefusesWhatItCannotDo) {
  LinearAttentionForward p{};
  p.B = p.H = p.L = p.M = p.D = 1;
  p.Dv = 257;
  p.q.row_stride = p.k.row_stride = p.v.row_stride = p.out.row_stride = 257;
  p.dtype = DType::bf16;
  EXPECT_EQ(linear_attention_forward(p, SimtContext{}).code, Status::Code::unsupported);
  p.Dv = 256;
  p.variant = 1;
  EXPECT_EQ(linear_attention_forward(p, SimtContext{}).code, Status::Code::invalid_argument);
  p.variant = 0;
  const TestContext cpu(1);
  EXPECT_EQ(linear_attention_forward(p, cpu.get()).code, Status::Code::unsupported);
}

}  // namespace
}  // namespace basin::kernels
