// A product with GELU on a GPU. Forward: the product, then a pass over it. Backward: a thread for a
// column of 64 rows, which keeps the sum for the bias in a register; then the pieces are added up.
#include "kernels/gemm/linear_gelu.h"

#include "kernels/common/dispatch.h"
#include "kernels/common/gelu.h"
#include "kernels/common/launch.h"
#include "kernels/common/launch_sizes.h"
#include "kernels/gemm/linear_gelu_product.h"

namespace basin::kernels {

namespace {

constexpr unsigned kColumns = 128;       // of a block
constexpr std::int64_t kPieceRows = 64;  // as linear_gelu_backward_workspace() has it

template <class T>
BASIN_KERNEL void activation_kernel(const T* z, T* y, std::int64_t count) {
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    y[i] = gelu_value(z[i]);
  }
}

template <class T>
BASIN_KERNEL void slope_kernel(LinearGeluBackward p) {
  const std::int64_t c = std::int64_t{blockIdx.x} * kColumns + threadIdx.x;
  if (c >= p.out) {
    return;
  }
  const std::int64_t first = std::int64_t{blockIdx.y} * kPieceRows;
  const std::int64_t last = first + kPieceRows < p.rows ? first + kPieceRows : p.rows;
  T sum = 0;
  for (std::int64_t row = first; row < last; ++row) {
    const std::int64_t at = row * p.out + c;
    const T slope =
        static_cast<const T*>(p.dy)[at] * gelu_derivative(static_cast<const T*>(p.z)[at]);
    static_cast<T*>(p.dz)[at] = slope;
    sum += slope;
  }
  if (p.dbias != nullptr) {
    reinterpret_cast<T*>(p.workspace)[std::int64_t{blockIdx.y} * p.out + c] = sum;
  }
}

template <class T>
BASIN_KERNEL void add_pieces_kernel(LinearGeluBackward p, std::int64_t pieces) {
  const std::int64_t c = std::int64_t{blockIdx.x} * kColumns + threadIdx.x;
  if (c >= p.out) {
    return;
  }
  double sum = 0;
  for (std::int64_t piece = 0; piece < pieces; ++piece) {
    sum += static_cast<double>(reinterpret_cast<const T*>(p.workspace)[piece * p.out + c]);
  }
  static_cast<T*>(p.dbias)[c] = static_cast<T>(sum);
}

}  // namespace

std::int64_t linear_gelu_workspace(const LinearGeluForward& p, const DeviceContext& context) {
  return gemm_workspace(product_of(p), context);
}

Status linear_gelu_forward(const LinearGeluForward& p, const DeviceContext& context) {
  constexpr unsigned kThreads = 256;
  if (p.rows < 0 || p.in < 0 || p.out < 0) {
    return Status::invalid("linear_gelu: negative extent");
  }
  if (p.variant != 0) {
    return Status::invalid("linear_gelu: on a GPU there is variant 0 alone");
  }
  const std::int64_t count = p.rows * p.out;
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const Status status = gemm(product_of(p), context);
    if (!status.ok() || count == 0) {
      return status;
    }
    return launch({"linear_gelu_forward", {blocks_for(count, kThreads), 1, 1}, {kThreads, 1, 1}},
                  context, activation_kernel<T>, static_cast<const T*>(p.z), static_cast<T*>(p.y),
                  count);
  });
}

Status linear_gelu_backward(const LinearGeluBackward& p, const DeviceContext& context) {
  const std::int64_t pieces = pieces_of(p.rows, kPieceRows);
  if (p.out <= 0) {
    return {};
  }
  if (pieces > 65535) {  // the most blocks along y
    return Status::unsupported("linear_gelu_backward: more than 4194240 rows");
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const auto blocks = static_cast<unsigned>(pieces_of(p.out, kColumns));
    Status status;
    if (pieces > 0) {
      status = launch(
          {"linear_gelu_backward", {blocks, static_cast<unsigned>(pieces), 1}, {kColumns, 1, 1}},
          context, slope_kernel<T>, p);
    }
    if (status.ok() && p.dbias != nullptr) {
      status = launch({"linear_gelu_add_pieces", {blocks, 1, 1}, {kColumns, 1, 1}}, context,
                      add_pieces_kernel<T>, p, pieces);
    }
    return status;
  });
}

}  // namespace basin::kernels
