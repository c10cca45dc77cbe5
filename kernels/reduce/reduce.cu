// Sums along one axis on a GPU, accumulated in double.
#include "kernels/reduce/reduce.h"

#include "kernels/common/block_reduce.cuh"
#include "kernels/common/dispatch.h"
#include "kernels/common/launch.h"
#include "kernels/common/launch_sizes.h"

namespace basin::kernels {

namespace {

// The reduced axis is the last one: a block adds up one row.
template <class T>
BASIN_KERNEL void sum_of_rows(const T* x, T* y, std::int64_t rows, std::int64_t extent) {
  for (std::int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    double sum = 0;
    for (std::int64_t e = threadIdx.x; e < extent; e += blockDim.x) {
      sum += static_cast<double>(x[row * extent + e]);
    }
    sum = block_reduce<Sum>(sum);
    if (threadIdx.x == 0) {
      y[row] = static_cast<T>(sum);
    }
  }
}

constexpr int kColumns = 32;  // of a block: neighbours in memory, one a lane
constexpr int kSlices = 8;    // warps that share the extent of a column

// Another axis: a block adds up 32 neighbouring columns, each warp every eighth of their elements.
template <class T>
BASIN_KERNEL void sum_of_columns(const T* x, T* y, std::int64_t extent, std::int64_t inner) {
  double* const of_slice = shared<double, kSlices * kColumns>();
  const std::int64_t column = std::int64_t{blockIdx.x} * kColumns + threadIdx.x;
  x += std::int64_t{blockIdx.y} * extent * inner + column;
  double sum = 0;
  if (column < inner) {
    for (std::int64_t e = threadIdx.y; e < extent; e += kSlices) {
      sum += static_cast<double>(x[e * inner]);
    }
  }
  of_slice[threadIdx.y * kColumns + threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y == 0 && column < inner) {
    for (int slice = 1; slice < kSlices; ++slice) {
      sum += of_slice[static_cast<unsigned>(slice) * kColumns + threadIdx.x];
    }
    y[blockIdx.y * inner + column] = static_cast<T>(sum);
  }
}

constexpr std::int64_t kMostAlongY = 65535;

// Outer extents beyond what a grid can have along y are done in several launches.
template <class T>
Status sum_columns(const Reduce& p, const DeviceContext& context) {
  const auto along_x = static_cast<unsigned>(pieces_of(p.inner, kColumns));
  for (std::int64_t outer = 0; outer < p.outer; outer += kMostAlongY) {
    const auto along_y = static_cast<unsigned>(std::min(p.outer - outer, kMostAlongY));
    const Status status =
        launch({"reduce_sum", {along_x, along_y, 1}, {kColumns, kSlices, 1}}, context,
               sum_of_columns<T>, static_cast<const T*>(p.x) + outer * p.extent * p.inner,
               static_cast<T*>(p.y) + outer * p.inner, p.extent, p.inner);
    if (!status.ok()) {
      return status;
    }
  }
  return {};
}

}  // namespace

Status reduce(const Reduce& p, const DeviceContext& context) {
  if (p.op != ReduceOp::sum) {
    return Status::unsupported("reduce: the CUDA kernels only sum so far");
  }
  if (p.outer <= 0 || p.inner <= 0) {
    return {};
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    if (p.inner > 1) {
      return sum_columns<T>(p, context);
    }
    const LaunchShape shape{
        "reduce_sum", {blocks_for(p.outer, 1), 1, 1}, {threads_for_row(p.extent), 1, 1}};
    return launch(shape, context, sum_of_rows<T>, static_cast<const T*>(p.x), static_cast<T*>(p.y),
                  p.outer, p.extent);
  });
}

}  // namespace basin::kernels
