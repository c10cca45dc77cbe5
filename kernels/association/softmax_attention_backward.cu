#include <algorithm>

#include "kernels/association/check.h"
#include "kernels/association/delta.cuh"
#include "kernels/association/device_width.h"
#include "kernels/association/softmax_attention_backward.cuh"
#include "kernels/association/tensor_attention.h"
#include "kernels/common/dispatch.h"
#include "kernels/common/launch.h"
#include "kernels/common/launch_sizes.h"

namespace basin::kernels {

namespace {

constexpr std::int64_t kFewestQueries = 2 * kDown;  // of a tile, in any version of the kernel

// Parts of dbeta as f64, then delta.
std::int64_t most_parts(const AttentionBackward& p) {
  return p.B * p.H * pieces_of(p.L, kFewestQueries);
}

template <class T, int kWidth, Side kSide>
Status launch_gradient(const AttentionBackward& p, const DeviceContext& context, const T* delta,
                       double* parts, bool wide) {
  using Tile = BackwardTile<T, kWidth, kSide>;
  const std::int64_t tiles = pieces_of(kSide == Side::keys ? p.M : p.L, Tile::kRows);
  if (tiles == 0) {
    return {};
  }
  const LaunchShape shape{
      kSide == Side::keys ? "attention_backward_keys" : "attention_backward_queries",
      {static_cast<unsigned>(p.B * p.H * tiles), 1, 1},
      {kTileThreads, 1, 1},
      Tile::kBytes};
  return launch(shape, context, attention_gradient_kernel<T, kWidth, kSide, PrefixVisibility>, p,
                delta, parts, tiles, wide);
}

template <class T, int kWidth>
Status launch_all(const AttentionBackward& p, const DeviceContext& context) {
  double* const parts = static_cast<double*>(p.workspace);
  T* const delta = reinterpret_cast<T*>(parts + most_parts(p));
  bool wide = true;
  for (const HeadView* view : {&p.q, &p.k, &p.v, &p.dout}) {
    wide = wide && copies_wide(*view, sizeof(T));
  }
  Status status = launch_delta<T>("attention_backward_delta", p, context, delta);
  if (status.ok()) {
    status = launch_gradient<T, kWidth, Side::queries>(p, context, delta,
                                                       p.dbeta == nullptr ? nullptr : parts, wide);
  }
  if (status.ok()) {
    status = launch_gradient<T, kWidth, Side::keys>(p, context, delta, nullptr, wide);
  }
  if (status.ok() && p.dbeta != nullptr) {
    using Tile = BackwardTile<T, kWidth, Side::queries>;
    status = launch({"attention_backward_dbeta", {static_cast<unsigned>(p.H), 1, 1}, {256, 1, 1}},
                    context, attention_dbeta_kernel<T>, p, static_cast<const double*>(parts),
                    pieces_of(p.L, Tile::kRows));
  }
  return status;
}

}  // namespace

std::int64_t attention_backward_workspace(const AttentionBackward& p, const DeviceContext&) {
  return most_parts(p) * static_cast<std::int64_t>(sizeof(double)) +
         p.B * p.H * p.L * std::max<std::int64_t>(4, static_cast<std::int64_t>(size_of(p.dtype)));
}

Status attention_backward(const AttentionBackward& p, const DeviceContext& context) {
  if (const Status status = check_attention(p, 0); !status.ok()) {
    return status;
  }
  if (p.H == 0) {
    return {};
  }
  if (p.dtype == DType::bf16) {
    return tensor_attention_backward(p, context);
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    return dispatch_width<T>(std::max(p.D, p.Dv),
                             [&]<int kWidth>() { return launch_all<T, kWidth>(p, context); });
  });
}

}  // namespace basin::kernels
