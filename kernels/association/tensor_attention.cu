#include "kernels/association/tensor_attention.h"

#include <algorithm>

#include "kernels/association/device_width.h"
#include "kernels/association/tensor_attention_forward.cuh"
#include "kernels/common/launch.h"
#include "kernels/common/launch_sizes.h"

namespace basin::kernels {

Status tensor_attention_forward(const AttentionForward& p, const DeviceContext& context) {
  // The widths of f32.
  return dispatch_width<float>(std::max(p.D, p.Dv), [&]<int kWidth>() {
    using Tile = TensorForwardTile<kWidth>;
    constexpr std::size_t kSize = sizeof(BFloat16);
    const bool wide = copies_wide(p.q, kSize) && copies_wide(p.k, kSize) && copies_wide(p.v, kSize);
    const std::int64_t tiles = pieces_of(p.L, Tile::kQueries);
    const LaunchShape shape{"tensor_attention_forward",
                            {static_cast<unsigned>(p.B * p.H * tiles), 1, 1},
                            {kTileThreads, 1, 1},
                            Tile::kBytes};
    return launch(shape, context, tensor_attention_forward_kernel<kWidth, PrefixVisibility>, p,
                  tiles, wide, copies_wide(p.out, kSize));
  });
}

}  // namespace basin::kernels
