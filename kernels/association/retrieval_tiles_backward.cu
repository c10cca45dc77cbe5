// The gradients of variant 3 of retrieval on a GPU: the loop of softmax_attention_backward.cuh over
// gathered keys and queries, of a top-k behind a search for its thresholds.
#include <algorithm>

#include "kernels/association/attention_launch.cuh"
#include "kernels/association/retrieval_rule.cuh"
#include "kernels/association/retrieval_tensor.h"
#include "kernels/association/retrieval_tiles.h"

namespace basin::kernels {

namespace {

// Softmax has no exponent.
template <class T>
BASIN_KERNEL void retrieval_no_dalpha_kernel(T* dalpha, std::int64_t H) {
  const std::int64_t h = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (h < H) {
    dalpha[h] = T(0);
  }
}

/// Bytes of the thresholds of a top-k, at the beginning of the workspace.
std::int64_t threshold_bytes(const RetrievalBackward& p) {
  constexpr std::int64_t kAlignment = 16;
  const std::int64_t bytes =
      p.B * p.H * p.visibility.L * static_cast<std::int64_t>(size_of(p.dtype));
  return pieces_of(bytes, kAlignment) * kAlignment;
}

const BackwardNames kNames = {"retrieval_tiles_delta", "retrieval_tiles_backward_queries",
                              "retrieval_tiles_backward_sum", "retrieval_tiles_backward_keys",
                              "retrieval_tiles_dbeta"};

Status top_backward(RetrievalBackward p, const DeviceContext& context) {
  GatheredRule rule = rule_of(p);
  rule.thresholds = p.workspace;
  p.workspace = static_cast<char*>(p.workspace) + threshold_bytes(p);
  const Status status = find_retrieval_thresholds(
      "retrieval_thresholds_backward",
      thresholds_of(p, const_cast<void*>(rule.thresholds), p.workspace), context);
  return status.ok() ? launch_attention_backward(kNames, shape_of(p), rule, context) : status;
}

Status without_dalpha(const RetrievalBackward& p, const DeviceContext& context) {
  if (p.visibility.has_top()) {
    return top_backward(p, context);
  }
  return retrieves_on_tensor_cores(p)
             ? retrieval_tensor_backward(p, context)
             : launch_attention_backward(kNames, shape_of(p), rule_of(p), context);
}

}  // namespace

std::int64_t retrieval_tiles_backward_workspace(const RetrievalBackward& p,
                                                const DeviceContext& context) {
  if (p.visibility.has_top()) {  // the thresholds, and one after the other
    const RetrievalThresholds search = thresholds_of(p, nullptr, nullptr);
    return threshold_bytes(p) + std::max(retrieval_thresholds_workspace(search, context),
                                         attention_backward_bytes(shape_of(p), rule_of(p)));
  }
  if (retrieves_on_tensor_cores(p)) {
    return retrieval_tensor_backward_workspace(p, context);
  }
  return attention_backward_bytes(shape_of(p), rule_of(p));
}

Status retrieval_tiles_backward(const RetrievalBackward& p, const DeviceContext& context) {
  if (p.H == 0) {
    return {};
  }
  const Status status = without_dalpha(p, context);
  if (!status.ok() || p.dalpha == nullptr) {
    return status;
  }
  constexpr unsigned kThreads = 256;
  return dispatch_floating(p.dtype == DType::bf16 ? DType::f32 : p.dtype, [&]<class T>(T) {
    return launch({"retrieval_tiles_no_dalpha",
                   {static_cast<unsigned>(pieces_of(p.H, kThreads)), 1, 1},
                   {kThreads, 1, 1}},
                  context, retrieval_no_dalpha_kernel<T>, static_cast<T*>(p.dalpha), p.H);
  });
}

}  // namespace basin::kernels
