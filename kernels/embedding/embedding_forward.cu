// Table look-up on a GPU: threads along x copy a row in packs of 16 bytes, threads along y take
// rows.
#include <limits>

#include "kernels/common/dispatch.h"
#include "kernels/common/launch.h"
#include "kernels/common/launch_sizes.h"
#include "kernels/common/pack.cuh"
#include "kernels/embedding/embedding.h"

namespace basin::kernels {

namespace {

// A row is `packs` packs of W numbers.
template <class T, int W>
BASIN_KERNEL void forward_kernel(EmbeddingForward p, std::int64_t packs) {
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.y;
  for (std::int64_t t = std::int64_t{blockIdx.x} * blockDim.y + threadIdx.y; t < p.count;
       t += step) {
    const std::int64_t id = p.ids[t];
    const bool known = id >= 0 && id < p.vocabulary;
    const T* const from = static_cast<const T*>(p.table) + (known ? id : 0) * p.width;
    T* const to = static_cast<T*>(p.y) + t * p.width;
    for (std::int64_t pack = threadIdx.x; pack < packs; pack += blockDim.x) {
      Pack<T, W> values;
      if (known) {
        values = load_pack<W>(from + pack * W);
      } else {
        for (int k = 0; k < W; ++k) {
          values.at[k] = std::numeric_limits<T>::quiet_NaN();
        }
      }
      store_pack<W>(to + pack * W, values);
    }
  }
}

template <class T, int W>
Status launch_forward(const EmbeddingForward& p, const DeviceContext& context) {
  constexpr unsigned kThreads = 256;
  const std::int64_t packs = p.width / W;
  unsigned along_x = 1;
  while (along_x < kThreads && along_x < packs) {
    along_x *= 2;
  }
  const unsigned along_y = kThreads / along_x;
  const LaunchShape shape{
      "embedding_forward", {blocks_for(p.count, along_y), 1, 1}, {along_x, along_y, 1}};
  return launch(shape, context, forward_kernel<T, W>, p, packs);
}

}  // namespace

Status embedding_forward(const EmbeddingForward& p, const DeviceContext& context) {
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    if (p.count <= 0 || p.width <= 0) {
      return Status{};
    }
    constexpr int kWidth = pack_width(sizeof(T));
    const bool packs = p.width % kWidth == 0 &&
                       fits_packs<kWidth>(static_cast<const T*>(p.table)) &&
                       fits_packs<kWidth>(static_cast<T*>(p.y));
    return packs ? launch_forward<T, kWidth>(p, context) : launch_forward<T, 1>(p, context);
  });
}

}  // namespace basin::kernels
