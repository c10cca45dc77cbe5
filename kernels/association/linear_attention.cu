// Linear attention on a GPU, forward and backward, as passes of linear_scan.cuh.
#include "kernels/association/linear_attention.h"

#include <algorithm>

#include "kernels/association/check.h"
#include "kernels/association/device_width.h"
#include "kernels/association/linear_launch.cuh"
#include "kernels/association/linear_scan.cuh"
#include "kernels/association/tensor_linear_attention.h"
#include "kernels/common/dispatch.h"

namespace basin::kernels {

namespace {

template <class T, int kWidth>
std::int64_t state_bytes(const LinearPass& p) {
  using Tile = LinearTile<T, kWidth>;
  return numbers_of_states(p, cut_of(p, Tile::kRows, Tile::kSlice), Tile::kState) *
         static_cast<std::int64_t>(sizeof(T));
}

template <class T, int kWidth>
Status launch_pass(const LinearPass& p, const DeviceContext& context, T* states) {
  using Tile = LinearTile<T, kWidth>;
  const LinearCut cut = cut_of(p, Tile::kRows, Tile::kSlice);
  const std::int64_t parts = p.B * p.H * cut.slices;
  if (parts == 0 || p.rows() == 0) {
    return {};
  }
  Status status;
  if (cut.segments > 0) {
    status = launch({"linear_attention_states",
                     {static_cast<unsigned>(parts * cut.segments), 1, 1},
                     {kTileThreads, 1, 1},
                     Tile::kStateBytes},
                    context, linear_states_kernel<T, kWidth>, p, cut, states);
  }
  if (status.ok()) {
    status = launch_prefix(p, cut, Tile::kState, context, states);
  }
  if (status.ok()) {
    status = launch({"linear_attention_rows",
                     {static_cast<unsigned>(parts * cut.row_segments), 1, 1},
                     {kTileThreads, 1, 1},
                     Tile::kBytes},
                    context, linear_rows_kernel<T, kWidth>, p, cut, static_cast<const T*>(states),
                    p.extended());
  }
  return status;
}

// c_i = -dout_i . out_i / n_i: a warp for a query of any head.
template <class T>
BASIN_KERNEL void linear_slopes_kernel(LinearAttentionBackward p, T* slopes) {
  const std::int64_t at = std::int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  if (at >= p.B * p.H * p.L) {
    return;  // the whole warp
  }
  const std::int64_t head = at / p.L;
  const std::int64_t i = at % p.L;
  const T* const out = p.out.head<T>(head / p.H, head % p.H) + i * p.out.row_stride;
  const T* const dout = p.dout.head<T>(head / p.H, head % p.H) + i * p.dout.row_stride;
  T sum = 0;
  for (std::int64_t c = threadIdx.x; c < p.Dv; c += kWarpSize) {
    sum += dout[c] * out[c];
  }
  sum = warp_reduce<Sum>(sum);
  if (threadIdx.x == 0) {
    slopes[at] = -sum / static_cast<const T*>(p.normaliser)[at];
  }
}

BackwardPasses backward_passes(const LinearAttentionBackward& p, const void* slopes) {
  BackwardPasses all{pass_of(p, false, p.Dv, p.D), pass_of(p, true, p.Dv, p.D),
                     pass_of(p, true, p.D, p.Dv)};
  for (LinearPass* pass : {&all.dq, &all.dk, &all.dv}) {
    pass->n = p.normaliser;
  }
  all.dq.a = p.dout;
  all.dq.take_a = Take::divided;
  all.dq.alpha = slopes;
  all.dq.b = p.v;
  all.dq.w = p.k;
  all.dq.take_w = Take::features;
  all.dq.y = p.dq;
  all.dq.x = p.q;

  all.dk.a = p.v;
  all.dk.b = p.dout;
  all.dk.take_b = Take::divided;
  all.dk.gamma = slopes;
  all.dk.w = p.q;
  all.dk.take_w = Take::features;
  all.dk.y = p.dk;
  all.dk.x = p.k;

  all.dv.a = p.k;
  all.dv.take_a = Take::features;
  all.dv.b = p.q;
  all.dv.take_b = Take::features;
  all.dv.w = p.dout;
  all.dv.take_w = Take::divided;
  all.dv.y = p.dv;
  return all;
}

// The passes come one after the other and share the memory of their states.
template <class T, int kWidth>
std::int64_t backward_state_bytes(const LinearAttentionBackward& p) {
  const BackwardPasses all = backward_passes(p, nullptr);
  return std::max({state_bytes<T, kWidth>(all.dq), state_bytes<T, kWidth>(all.dk),
                   state_bytes<T, kWidth>(all.dv)});
}

template <class T, int kWidth>
Status launch_backward(const LinearAttentionBackward& p, const DeviceContext& context) {
  constexpr unsigned kQueries = 4;  // of a block
  T* const states = static_cast<T*>(p.workspace);
  T* const slopes = states + backward_state_bytes<T, kWidth>(p) / static_cast<int>(sizeof(T));
  const std::int64_t count = p.B * p.H * p.L;
  Status status;
  if (count > 0) {
    status = launch({"linear_attention_slopes",
                     {static_cast<unsigned>(pieces_of(count, kQueries)), 1, 1},
                     {kWarpSize, kQueries, 1}},
                    context, linear_slopes_kernel<T>, p, slopes);
  }
  const BackwardPasses all = backward_passes(p, slopes);
  for (const LinearPass* pass : {&all.dq, &all.dk, &all.dv}) {
    if (status.ok()) {
      status = launch_pass<T, kWidth>(*pass, context, states);
    }
  }
  return status;
}

// function.operator()<T, kWidth>() with the type and padded width of the problem.
template <class P, class F>
Status dispatch(const P& p, F&& function) {
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    return dispatch_width<T>(std::max(p.D, p.Dv), [&]<int kWidth>() {
      return function.template operator()<T, kWidth>();
    });
  });
}

}  // namespace

std::int64_t linear_attention_forward_workspace(const LinearAttentionForward& p,
                                                const DeviceContext& context) {
  if (p.dtype == DType::bf16) {
    return tensor_linear_attention_forward_workspace(p, context);
  }
  std::int64_t bytes = 0;
  dispatch(p, [&]<class T, int kWidth>() {
    bytes = state_bytes<T, kWidth>(forward_pass(p));
    return Status{};
  });
  return bytes;
}

Status linear_attention_forward(const LinearAttentionForward& p, const DeviceContext& context) {
  if (const Status status = check_attention(p, 0); !status.ok()) {
    return status;
  }
  if (p.dtype == DType::bf16) {
    return tensor_linear_attention_forward(p, context);
  }
  return dispatch(p, [&]<class T, int kWidth>() {
    return launch_pass<T, kWidth>(forward_pass(p), context, static_cast<T*>(p.workspace));
  });
}

std::int64_t linear_attention_backward_workspace(const LinearAttentionBackward& p,
                                                 const DeviceContext& context) {
  if (p.dtype == DType::bf16) {
    return tensor_linear_attention_backward_workspace(p, context);
  }
  std::int64_t bytes = 0;
  dispatch(p, [&]<class T, int kWidth>() {
    bytes =
        backward_state_bytes<T, kWidth>(p) + p.B * p.H * p.L * static_cast<std::int64_t>(sizeof(T));
    return Status{};
  });
  return bytes;
}

Status linear_attention_backward(const LinearAttentionBackward& p, const DeviceContext& context) {
  if (const Status status = check_attention(p, 0); !status.ok()) {
    return status;
  }
  if (p.dtype == DType::bf16) {
    return tensor_linear_attention_backward(p, context);
  }
  return dispatch(p, [&]<class T, int kWidth>() { return launch_backward<T, kWidth>(p, context); });
}

}  // namespace basin::kernels
