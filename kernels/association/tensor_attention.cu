#include "kernels/association/tensor_attention.h"

#include <algorithm>
#include <initializer_list>

#include "kernels/association/delta.cuh"
#include "kernels/association/device_width.h"
#include "kernels/association/tensor_attention_backward.cuh"
#include "kernels/association/tensor_attention_forward.cuh"
#include "kernels/association/tensor_bf16.cuh"
#include "kernels/common/launch.h"
#include "kernels/common/launch_sizes.h"

namespace basin::kernels {

namespace {

template <class Arithmetic, int kWidth, bool kPipelined>
Status launch_tensor_forward(const AttentionForward& p, const DeviceContext& context) {
  using Tile = TensorForwardTile<Arithmetic, kWidth, kPipelined>;
  constexpr std::size_t kSize = sizeof(typename Arithmetic::Number);
  const bool wide = copies_wide(p.q, kSize) && copies_wide(p.k, kSize) && copies_wide(p.v, kSize);
  const std::int64_t tiles = pieces_of(p.L, Tile::kQueries);
  const LaunchShape shape{
      kPipelined ? "tensor_attention_forward" : "tensor_attention_forward_in_turn",
      {static_cast<unsigned>(p.B * p.H * tiles), 1, 1},
      {kTileThreads, 1, 1},
      Tile::kBytes};
  return launch(shape, context,
                tensor_attention_forward_kernel<Arithmetic, kWidth, kPipelined, PrefixVisibility>,
                p, tiles, wide, copies_wide(p.out, kSize));
}

}  // namespace

Status tensor_attention_forward(const AttentionForward& p, const DeviceContext& context) {
  // The widths of f32.
  return dispatch_width<float>(std::max(p.D, p.Dv), [&]<int kWidth>() {
    return p.variant == 1 ? launch_tensor_forward<Bf16Arithmetic, kWidth, false>(p, context)
                          : launch_tensor_forward<Bf16Arithmetic, kWidth, true>(p, context);
  });
}

namespace {

template <class Arithmetic, int kWidth, Side kSide>
Status launch_tensor_gradient(const AttentionBackward& p, const DeviceContext& context,
                              const float* delta, double* parts) {
  using Tile = TensorBackwardTile<Arithmetic, kWidth, kSide>;
  const std::int64_t tiles = pieces_of(kSide == Side::keys ? p.M : p.L, kTensorRows);
  if (tiles == 0) {
    return {};
  }
  const auto all_wide = [](std::initializer_list<const HeadView*> views) {
    return std::all_of(views.begin(), views.end(), [](const HeadView* view) {
      return copies_wide(*view, sizeof(typename Arithmetic::Number));
    });
  };
  const LaunchShape shape{
      kSide == Side::keys ? "tensor_attention_backward_keys" : "tensor_attention_backward_queries",
      {static_cast<unsigned>(p.B * p.H * tiles * Tile::kParts), 1, 1},
      {kTileThreads, 1, 1},
      Tile::kBytes};
  return launch(shape, context, tensor_gradient_kernel<Arithmetic, kWidth, kSide, PrefixVisibility>,
                p, delta, parts, tiles, all_wide({&p.q, &p.k, &p.v, &p.dout}),
                all_wide({&p.dq, &p.dk, &p.dv}));
}

template <class Arithmetic, int kWidth>
Status launch_tensor_backward(const AttentionBackward& p, const DeviceContext& context) {
  const std::int64_t tiles = pieces_of(p.L, kTensorRows);
  double* const parts = static_cast<double*>(p.workspace);
  float* const delta = reinterpret_cast<float*>(parts + p.B * p.H * tiles);
  Status status =
      launch_delta<typename Arithmetic::Number>("tensor_attention_delta", p, context, delta);
  if (status.ok()) {
    status = launch_tensor_gradient<Arithmetic, kWidth, Side::queries>(
        p, context, delta, p.dbeta == nullptr ? nullptr : parts);
  }
  if (status.ok()) {
    status = launch_tensor_gradient<Arithmetic, kWidth, Side::keys>(p, context, delta, nullptr);
  }
  if (status.ok() && p.dbeta != nullptr) {
    status =
        launch({"tensor_attention_dbeta", {static_cast<unsigned>(p.H), 1, 1}, {256, 1, 1}}, context,
               attention_dbeta_kernel<float>, p, static_cast<const double*>(parts), tiles);
  }
  return status;
}

}  // namespace

// Parts of dbeta as f64, then delta.
std::int64_t tensor_attention_backward_workspace(const AttentionBackward& p, const DeviceContext&) {
  return p.B * p.H *
         (pieces_of(p.L, kTensorRows) * std::int64_t{sizeof(double)} +
          p.L * std::int64_t{sizeof(float)});
}

Status tensor_attention_backward(const AttentionBackward& p, const DeviceContext& context) {
  return dispatch_width<float>(std::max(p.D, p.Dv), [&]<int kWidth>() {
    return launch_tensor_backward<Bf16Arithmetic, kWidth>(p, context);
  });
}

}  // namespace basin::kernels
