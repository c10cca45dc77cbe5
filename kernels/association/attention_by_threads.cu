// A thread takes a query and goes along the keys once, with a running maximum (M. Milakov,
// N. Gimelshein 2018). Nothing is shared: the query is read anew for every key, each thread of a
// block reads every key and value for itself, and the sum of values lies where the result goes, in
// global memory. The tiles of softmax_attention_forward.cuh are what mends that.
#include "kernels/association/attention_by_threads.h"

#include <cmath>

#include "kernels/association/prefix_visibility.cuh"
#include "kernels/common/block_reduce.cuh"
#include "kernels/common/dispatch.h"
#include "kernels/common/launch.h"
#include "kernels/common/launch_sizes.h"
#include "kernels/common/math.h"

namespace basin::kernels {

namespace {

constexpr unsigned kThreads = 128;

template <class T>
BASIN_KERNEL void attention_by_threads_kernel(AttentionForward p) {
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (row >= p.B * p.H * p.L) {
    return;
  }
  const std::int64_t i = row % p.L;
  const std::int64_t b = row / p.L / p.H;
  const std::int64_t h = row / p.L % p.H;
  const PrefixVisibility visibility(p, b, h);
  const T beta = static_cast<const T*>(p.beta)[h];
  const T* const q = p.q.head<T>(b, h) + i * p.q.row_stride;
  const T* const keys = p.k.head<T>(b, h);
  const T* const values = p.v.head<T>(b, h);
  T* const out = p.out.head<T>(b, h) + i * p.out.row_stride;
  for (std::int64_t c = 0; c < p.Dv; ++c) {
    out[c] = T(0);
  }
  T largest = Maximum::identity<T>();
  T total = T(0);
  for (std::int64_t j = 0; j < visibility.key_end(i + 1); ++j) {
    const T* const k = keys + j * p.k.row_stride;
    T score = T(0);
    for (std::int64_t c = 0; c < p.D; ++c) {
      score += q[c] * k[c];
    }
    score *= beta;
    const T most = Maximum::of(largest, score);
    const T shift = most == Maximum::identity<T>() ? T(0) : most;  // nothing but -inf yet
    const T scale = exp_of(largest - shift);
    const T weight = exp_of(score - shift);
    largest = most;
    total = total * scale + weight;
    const T* const v = values + j * p.v.row_stride;
    for (std::int64_t c = 0; c < p.Dv; ++c) {
      out[c] = out[c] * scale + weight * v[c];
    }
  }
  const bool blind = largest == Maximum::identity<T>();
  for (std::int64_t c = 0; c < p.Dv; ++c) {
    out[c] = blind ? T(0) : out[c] / total;
  }
  static_cast<T*>(p.lse)[row] = blind ? largest : largest + std::log(total);
}

}  // namespace

Status attention_by_threads(const AttentionForward& p, const DeviceContext& context) {
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const std::int64_t blocks = pieces_of(p.B * p.H * p.L, kThreads);
    return launch({"attention_by_threads", {static_cast<unsigned>(blocks), 1, 1}, {kThreads, 1, 1}},
                  context, attention_by_threads_kernel<T>, p);
  });
}

}  // namespace basin::kernels
