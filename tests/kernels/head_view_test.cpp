// The association kernels on arrays as models hold them: packed projections, queries shared by a
// batch, and workspaces of exactly the size they ask for.
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstring>
#include <vector>

#include "kernels/association/linear_attention.h"
#include "kernels/association/softmax_attention.h"
#include "tests/kernels/support.h"

namespace basin::kernels {
namespace {

constexpr std::int64_t B = 2, H = 3, L = 70, D = 8;
constexpr DType kType = DType::f32;
using Array = std::vector<float>;

// Bytes with a border behind them that must stay as it is. The storage is double for its alignment.
class Workspace {
 public:
  explicit Workspace(std::int64_t bytes)
      : bytes_(static_cast<std::size_t>(bytes)), storage_(bytes_ / 8 + 9) {
    std::memset(storage_.data(), kBorder, storage_.size() * 8);
  }
  void* data() { return storage_.data(); }
  bool intact() const {
    const auto* at = reinterpret_cast<const unsigned char*>(storage_.data());
    for (std::size_t i = bytes_; i < storage_.size() * 8; ++i) {
      if (at[i] != kBorder) {
        return false;
      }
    }
    return true;
  }

 private:
  static constexpr unsigned char kBorder = 0xA5;
  std::size_t bytes_;
  std::vector<double> storage_;
};

// What goes in and comes out of one retrieval, forward and backward.
struct Views {
  HeadView q, k, v;
};

struct Results {
  Array out = Array(B * H * L * D), statistics = Array(B * H * L);
  Array dq = Array(B * H * L * D), dk = dq, dv = dq, dbeta = Array(H);
};

// (B, H, L, D), contiguous.
HeadView contiguous(const Array& x) { return {const_cast<float*>(x.data()), H * L * D, L * D, D}; }

void run_softmax(const Views& in, const Array& dout, const Array& beta, int variant, Results& r,
                 const CpuContext& context) {
  AttentionForward forward{in.q,
                           in.k,
                           in.v,
                           contiguous(r.out),
                           beta.data(),
                           nullptr,
                           r.statistics.data(),
                           nullptr,
                           B,
                           H,
                           L,
                           L,
                           D,
                           D,
                           true,
                           kType,
                           variant};
  Workspace forward_space(attention_forward_workspace(forward, context));
  forward.workspace = forward_space.data();
  ASSERT_TRUE(attention_forward(forward, context).ok());
  EXPECT_TRUE(forward_space.intact());

  AttentionBackward backward{in.q,
                             in.k,
                             in.v,
                             contiguous(r.out),
                             contiguous(dout),
                             contiguous(r.dq),
                             contiguous(r.dk),
                             contiguous(r.dv),
                             beta.data(),
                             r.dbeta.data(),
                             nullptr,
                             r.statistics.data(),
                             nullptr,
                             B,
                             H,
                             L,
                             L,
                             D,
                             D,
                             true,
                             kType,
                             variant};
  Workspace backward_space(attention_backward_workspace(backward, context));
  backward.workspace = backward_space.data();
  ASSERT_TRUE(attention_backward(backward, context).ok());
  EXPECT_TRUE(backward_space.intact());
}

void run_linear(const Views& in, const Array& dout, Results& r, const CpuContext& context) {
  LinearAttentionForward forward{
      in.q, in.k, in.v, contiguous(r.out), nullptr, r.statistics.data(), nullptr, B, H, L, L, D, D,
      true, 1e-6, kType};
  Workspace forward_space(linear_attention_forward_workspace(forward, context));
  forward.workspace = forward_space.data();
  ASSERT_TRUE(linear_attention_forward(forward, context).ok());
  EXPECT_TRUE(forward_space.intact());

  LinearAttentionBackward backward{in.q,
                                   in.k,
                                   in.v,
                                   contiguous(r.out),
                                   contiguous(dout),
                                   contiguous(r.dq),
                                   contiguous(r.dk),
                                   contiguous(r.dv),
                                   nullptr,
                                   r.statistics.data(),
                                   nullptr,
                                   B,
                                   H,
                                   L,
                                   L,
                                   D,
                                   D,
                                   true,
                                   1e-6,
                                   kType};
  Workspace backward_space(linear_attention_backward_workspace(backward, context));
  backward.workspace = backward_space.data();
  ASSERT_TRUE(linear_attention_backward(backward, context).ok());
  EXPECT_TRUE(backward_space.intact());
}

void expect_same(const Results& a, const Results& b) {
  EXPECT_TRUE(same_bits(a.out, b.out));
  EXPECT_TRUE(same_bits(a.statistics, b.statistics));
  EXPECT_TRUE(same_bits(a.dq, b.dq));
  EXPECT_TRUE(same_bits(a.dk, b.dk));
  EXPECT_TRUE(same_bits(a.dv, b.dv));
  EXPECT_TRUE(same_bits(a.dbeta, b.dbeta));
}

class HeadViews : public testing::TestWithParam<int> {
 protected:
  // Both kernels, on the number of threads of the parameter.
  std::vector<Results> run(const Views& in) const {
    const TestContext context(GetParam());
    const Array dout = uniform_numbers<float>(B * H * L * D, 4);
    const Array beta = uniform_numbers<float>(H, 5, 0.2, 1.0);
    std::vector<Results> all(3);
    run_softmax(in, dout, beta, 1, all[0], context);
    run_softmax(in, dout, beta, 2, all[1], context);
    run_linear(in, dout, all[2], context);
    return all;
  }
};

// (B, L, 3 H D) of one matrix product, against three arrays of their own.
TEST_P(HeadViews, ReadAPackedProjectionInPlace) {
  const Array packed = uniform_numbers<float>(B * L * 3 * H * D, 1);
  std::vector<Array> parts(3, Array(B * H * L * D));
  for (std::int64_t b = 0; b < B; ++b) {
    for (std::int64_t i = 0; i < L; ++i) {
      for (std::int64_t part = 0; part < 3; ++part) {
        for (std::int64_t h = 0; h < H; ++h) {
          for (std::int64_t c = 0; c < D; ++c) {
            parts[static_cast<std::size_t>(part)]
                 [static_cast<std::size_t>(((b * H + h) * L + i) * D + c)] =
                     packed[static_cast<std::size_t>((((b * L + i) * 3 + part) * H + h) * D + c)];
          }
        }
      }
    }
  }
  const auto view = [&](std::int64_t part) {
    return HeadView{const_cast<float*>(packed.data()) + part * H * D, L * 3 * H * D, D, 3 * H * D};
  };
  const auto in_place = run({view(0), view(1), view(2)});
  const auto copied = run({contiguous(parts[0]), contiguous(parts[1]), contiguous(parts[2])});
  for (std::size_t kernel = 0; kernel < in_place.size(); ++kernel) {
    SCOPED_TRACE(kernel);
    expect_same(in_place[kernel], copied[kernel]);
  }
}

// A batch stride of 0: the learned queries of a pooling layer.
TEST_P(HeadViews, ShareOneQueryAcrossTheBatch) {
  const Array query = uniform_numbers<float>(H * L * D, 1);
  Array repeated = query;
  repeated.insert(repeated.end(), query.begin(), query.end());
  const Array k = uniform_numbers<float>(B * H * L * D, 2);
  const Array v = uniform_numbers<float>(B * H * L * D, 3);
  HeadView shared = contiguous(query);
  shared.batch_stride = 0;
  const auto once = run({shared, contiguous(k), contiguous(v)});
  const auto twice = run({contiguous(repeated), contiguous(k), contiguous(v)});
  for (std::size_t kernel = 0; kernel < once.size(); ++kernel) {
    SCOPED_TRACE(kernel);
    expect_same(once[kernel], twice[kernel]);
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, HeadViews, testing::Values(1, 3));

}  // namespace
}  // namespace basin::kernels
