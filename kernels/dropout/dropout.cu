// Dropout on a GPU. A thread takes the four elements of a Philox block, 16 bytes of f32.
#include "kernels/dropout/dropout.h"

#include "kernels/common/dispatch.h"
#include "kernels/common/launch.h"
#include "kernels/common/launch_sizes.h"
#include "kernels/common/pack.cuh"
#include "kernels/common/philox.h"
#include "kernels/common/stream_offset.h"

namespace basin::kernels {

namespace {

constexpr int kOfBlock = 4;

// W elements at a time are read and written.
template <class T, int W>
BASIN_KERNEL void dropout_kernel(Dropout p, T scale, float threshold) {
  const T* const x = static_cast<const T*>(p.x);
  T* const y = static_cast<T*>(p.y);
  const std::uint64_t stream = offset_stream(p.stream, p.stream_offset);
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t block = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
       block * kOfBlock < p.count; block += step) {
    const auto words = philox(p.key, static_cast<std::uint64_t>(block), stream);
    const auto drawn = [&](T value, int at) {
      const bool keep = uniform_from_word(words[static_cast<std::size_t>(at)]) >= threshold;
      return keep ? value * scale : T(0);
    };
    const std::int64_t first = block * kOfBlock;
    if (first + kOfBlock <= p.count) {
      for (int part = 0; part < kOfBlock; part += W) {
        Pack<T, W> values = load_pack<W>(x + first + part);
        for (int k = 0; k < W; ++k) {
          values.at[k] = drawn(values.at[k], part + k);
        }
        store_pack<W>(y + first + part, values);
      }
    } else {
      for (int k = 0; k < p.count - first; ++k) {
        y[first + k] = drawn(x[first + k], k);
      }
    }
  }
}

}  // namespace

Status dropout(const Dropout& p, const DeviceContext& context) {
  if (!(p.p >= 0.0 && p.p < 1.0)) {
    return Status::invalid("dropout: the probability must be in [0, 1)");
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    if (p.count <= 0) {
      return Status{};
    }
    constexpr unsigned kThreads = 256;
    constexpr int kWidth = pack_width(sizeof(T));
    const unsigned blocks = blocks_for(pieces_of(p.count, kOfBlock), kThreads);
    const bool packs =
        packs_of<kWidth>(p.count, static_cast<const T*>(p.x), static_cast<const T*>(p.y)) > 0;
    return launch({"dropout", {blocks, 1, 1}, {kThreads, 1, 1}}, context,
                  packs ? dropout_kernel<T, kWidth> : dropout_kernel<T, 1>, p,
                  static_cast<T>(1.0 / (1.0 - p.p)), static_cast<float>(p.p));
  });
}

}  // namespace basin::kernels
