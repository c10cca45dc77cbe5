#include "kernels/association/tensor_linear_attention.h"

#include <algorithm>

#include "kernels/association/delta.cuh"
#include "kernels/association/device_width.h"
#include "kernels/association/linear_launch.cuh"
#include "kernels/association/tensor_linear_rows.cuh"

namespace basin::kernels {

namespace {

template <int kWidth>
LinearCut tensor_cut(const LinearPass& p) {
  using Tile = TensorLinearTile<kWidth>;
  return cut_of(p, Tile::kRows, Tile::kSlice);
}

template <int kWidth>
std::int64_t tensor_state_numbers(const LinearPass& p) {
  return numbers_of_states(p, tensor_cut<kWidth>(p), TensorLinearTile<kWidth>::kState);
}

template <int kWidth>
Status launch_tensor_pass(const LinearPass& p, const DeviceContext& context, float* states) {
  using Tile = TensorLinearTile<kWidth>;
  const LinearCut cut = tensor_cut<kWidth>(p);
  const std::int64_t parts = p.B * p.H * cut.slices;
  if (parts == 0 || p.rows() == 0) {
    return {};
  }
  constexpr std::size_t kSize = sizeof(BFloat16);
  const LinearWide wide{copies_wide(p.a, kSize), copies_wide(p.b, kSize), copies_wide(p.w, kSize),
                        copies_wide(p.x, kSize), copies_wide(p.y, kSize)};
  Status status;
  if (cut.segments > 0) {
    status = launch({"tensor_linear_attention_states",
                     {static_cast<unsigned>(parts * cut.segments), 1, 1},
                     {kTileThreads, 1, 1},
                     TensorLinearStates<kWidth>::kBytes},
                    context, tensor_linear_states_kernel<kWidth>, p, cut, wide, states);
  }
  if (status.ok()) {
    status = launch_prefix(p, cut, Tile::kState, context, states);
  }
  if (status.ok()) {
    status = launch({"tensor_linear_attention_rows",
                     {static_cast<unsigned>(parts * cut.row_segments), 1, 1},
                     {kTileThreads, 1, 1},
                     TensorLinearRows<kWidth>::bytes(p.causal)},
                    context,
                    p.extended() ? tensor_linear_rows_kernel<kWidth, true>
                                 : tensor_linear_rows_kernel<kWidth, false>,
                    p, cut, wide, static_cast<const float*>(states));
  }
  return status;
}

BackwardPasses tensor_backward_passes(const LinearAttentionBackward& p, const float* delta) {
  BackwardPasses all{pass_of(p, false, p.Dv, p.D), pass_of(p, true, p.Dv, p.D),
                     pass_of(p, true, p.D, p.Dv)};
  for (LinearPass* pass : {&all.dq, &all.dk, &all.dv}) {
    pass->n = p.normaliser;
  }
  all.dq.a = p.dout;
  all.dq.alpha = delta;
  all.dq.b = p.v;
  all.dq.w = p.k;
  all.dq.take_w = Take::features;
  all.dq.y = p.dq;
  all.dq.x = p.q;
  all.dq.row_n = p.normaliser;

  all.dk.a = p.v;
  all.dk.b = p.dout;
  all.dk.gamma = delta;
  all.dk.w = p.q;
  all.dk.take_w = Take::features_divided;
  all.dk.y = p.dk;
  all.dk.x = p.k;

  all.dv.a = p.k;
  all.dv.take_a = Take::features;
  all.dv.b = p.q;
  all.dv.take_b = Take::features_divided;
  all.dv.w = p.dout;
  all.dv.y = p.dv;
  return all;
}

// The passes come one after the other and share the memory of their states.
template <int kWidth>
std::int64_t tensor_backward_numbers(const LinearAttentionBackward& p) {
  const BackwardPasses all = tensor_backward_passes(p, nullptr);
  return std::max({tensor_state_numbers<kWidth>(all.dq), tensor_state_numbers<kWidth>(all.dk),
                   tensor_state_numbers<kWidth>(all.dv)});
}

template <int kWidth>
Status launch_tensor_backward(const LinearAttentionBackward& p, const DeviceContext& context) {
  float* const states = static_cast<float*>(p.workspace);
  float* const delta = states + tensor_backward_numbers<kWidth>(p);
  Status status = launch_delta<BFloat16>("tensor_linear_attention_delta", p, context, delta);
  const BackwardPasses all = tensor_backward_passes(p, delta);
  for (const LinearPass* pass : {&all.dq, &all.dk, &all.dv}) {
    if (status.ok()) {
      status = launch_tensor_pass<kWidth>(*pass, context, states);
    }
  }
  return status;
}

// The widths of f32.
template <class P, class F>
Status dispatch_tensor_width(const P& p, F&& function) {
  return dispatch_width<float>(std::max(p.D, p.Dv), function);
}

}  // namespace

std::int64_t tensor_linear_attention_forward_workspace(const LinearAttentionForward& p,
                                                       const DeviceContext&) {
  std::int64_t numbers = 0;
  dispatch_tensor_width(p, [&]<int kWidth>() {
    numbers = tensor_state_numbers<kWidth>(forward_pass(p));
    return Status{};
  });
  return numbers * static_cast<std::int64_t>(sizeof(float));
}

Status tensor_linear_attention_forward(const LinearAttentionForward& p,
                                       const DeviceContext& context) {
  return dispatch_tensor_width(p, [&]<int kWidth>() {
    return launch_tensor_pass<kWidth>(forward_pass(p), context, static_cast<float*>(p.workspace));
  });
}

std::int64_t tensor_linear_attention_backward_workspace(const LinearAttentionBackward& p,
                                                        const DeviceContext&) {
  std::int64_t numbers = 0;
  dispatch_tensor_width(p, [&]<int kWidth>() {
    numbers = tensor_backward_numbers<kWidth>(p) + p.B * p.H * p.L;
    return Status{};
  });
  return numbers * static_cast<std::int64_t>(sizeof(float));
}

Status tensor_linear_attention_backward(const LinearAttentionBackward& p,
                                        const DeviceContext& context) {
  return dispatch_tensor_width(
      p, [&]<int kWidth>() { return launch_tensor_backward<kWidth>(p, context); });
}

}  // namespace basin::kernels
