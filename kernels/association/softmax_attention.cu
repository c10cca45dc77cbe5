#include <algorithm>

#include "kernels/association/attention_by_threads.h"
#include "kernels/association/check.h"
#include "kernels/association/device_width.h"
#include "kernels/association/softmax_attention_forward.cuh"
#include "kernels/association/tensor_attention.h"
#include "kernels/common/dispatch.h"
#include "kernels/common/launch.h"
#include "kernels/common/launch_sizes.h"

namespace basin::kernels {

std::int64_t attention_forward_workspace(const AttentionForward&, const DeviceContext&) {
  return 0;
}

Status attention_forward(const AttentionForward& p, const DeviceContext& context) {
  if (const Status status = check_attention(p, 2); !status.ok()) {
    return status;
  }
  if (p.B == 0 || p.H == 0 || p.L == 0) {
    return {};
  }
  if (p.dtype == DType::bf16) {
    return tensor_attention_forward(p, context);
  }
  if (p.variant == 1) {
    return attention_by_threads(p, context);
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    return dispatch_width<T>(std::max(p.D, p.Dv), [&]<int kWidth>() {
      using Tile = ForwardTile<T, kWidth>;
      const bool wide =
          copies_wide(p.q, sizeof(T)) && copies_wide(p.k, sizeof(T)) && copies_wide(p.v, sizeof(T));
      const std::int64_t tiles = pieces_of(p.L, Tile::kQueries);
      const LaunchShape shape{"attention_forward",
                              {static_cast<unsigned>(p.B * p.H * tiles), 1, 1},
                              {kTileThreads, 1, 1},
                              Tile::kBytes};
      return launch(shape, context, attention_forward_kernel<T, kWidth, PrefixVisibility>, p, tiles,
                    wide);
    });
  });
}

}  // namespace basin::kernels
