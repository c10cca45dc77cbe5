#include "kernels/loss/linear_rows.h"

#include <limits>

#include "kernels/common/dispatch.h"
#include "kernels/common/launch.h"
#include "kernels/common/launch_sizes.h"
#include "kernels/loss/row_loss.cuh"

namespace basin::kernels {

namespace {

// One block, which counts.
BASIN_KERNEL void target_scale_kernel(LinearTargetScale p) {
  std::int64_t counted = 0;
  for (std::int64_t row = threadIdx.x; row < p.rows; row += blockDim.x) {
    counted += p.targets[row] != p.ignore_index ? 1 : 0;
  }
  // Exact: whole numbers far below 2^53.
  const double sum = block_reduce<Sum>(static_cast<double>(counted));
  if (threadIdx.x == 0) {
    *p.scale = 1.0 / sum;
  }
}

// Threads along x copy a row, threads along y take rows.
template <class T, int W>
BASIN_KERNEL void counted_kernel(LinearCountedRows p) {
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.y;
  for (std::int64_t row = std::int64_t{blockIdx.x} * blockDim.y + threadIdx.y; row < p.rows;
       row += step) {
    const bool counts = p.targets[row] != p.ignore_index;
    const T* const from = static_cast<const T*>(p.x) + row * p.width;
    T* const to = static_cast<T*>(p.counted) + row * p.width;
    for (std::int64_t c = std::int64_t{threadIdx.x} * W; c < p.width;
         c += std::int64_t{blockDim.x} * W) {
      Pack<T, W> values{};
      if (counts) {
        values = load_pack<W>(from + c);
      }
      store_pack<W>(to + c, values);
    }
  }
}

// A block for a row.
template <class T>
BASIN_KERNEL void judged_kernel(LinearJudgedRows p) {
  const T smoothing = static_cast<T>(p.label_smoothing);
  const T scale = static_cast<T>(p.scale_pointer != nullptr ? *p.scale_pointer : p.scale);
  const T even = static_cast<T>(p.label_smoothing / static_cast<double>(p.classes));
  const T hit = static_cast<T>(1.0 - p.label_smoothing);
  for (std::int64_t row = blockIdx.x; row < p.rows; row += gridDim.x) {
    T* const x = static_cast<T*>(p.logits) + row * p.classes;
    const std::int64_t target = p.targets[row];
    T loss = 0;
    if (target != p.ignore_index && target >= 0 && target < p.classes) {
      const RowSums<T> sums = sums_of_row(x, p.classes, smoothing != T(0));
      // Before another thread puts a slope in its place; sums_of_row ends with a barrier, and here
      // stands the next.
      loss = loss_of_row(sums, x[target], p.classes, smoothing);
      __syncthreads();
      if (p.slopes) {
        slopes_of_row(x, x, p.classes, target, sums.lse, scale, even, hit);
      }
    } else {
      const T value = target == p.ignore_index ? T(0) : std::numeric_limits<T>::quiet_NaN();
      loss = value;
      if (p.slopes) {
        fill_row(x, p.classes, value);
      }
    }
    if (threadIdx.x == 0) {
      static_cast<T*>(p.row_loss)[row] = loss;
    }
  }
}

constexpr int kColumns = 32;
constexpr int kSlices = 8;

// A block for 32 neighbouring columns; each of its warps adds every eighth row.
template <class T>
BASIN_KERNEL void column_sums_kernel(LinearColumnSums p) {
  double* const of_slice = shared<double, kSlices * kColumns>();
  const std::int64_t column = std::int64_t{blockIdx.x} * kColumns + threadIdx.x;
  double sum = 0;
  if (column < p.columns) {
    const T* const x = static_cast<const T*>(p.x) + column;
    for (std::int64_t row = threadIdx.y; row < p.rows; row += kSlices) {
      sum += static_cast<double>(x[row * p.columns]);
    }
  }
  of_slice[threadIdx.y * kColumns + threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y == 0 && column < p.columns) {
    for (unsigned slice = 1; slice < kSlices; ++slice) {
      sum += of_slice[slice * kColumns + threadIdx.x];
    }
    T* const to = static_cast<T*>(p.sum) + column;
    *to = static_cast<T>(p.adds ? static_cast<double>(*to) + sum : sum);
  }
}

}  // namespace

Status linear_target_scale(const LinearTargetScale& p, const DeviceContext& context) {
  return launch({"linear_target_scale", {1, 1, 1}, {threads_for_row(p.rows), 1, 1}}, context,
                target_scale_kernel, p);
}

Status linear_counted_rows(const LinearCountedRows& p, const DeviceContext& context) {
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    if (p.rows <= 0 || p.width <= 0) {
      return Status{};
    }
    constexpr unsigned kThreads = 256;
    constexpr int kWidth = pack_width(sizeof(T));
    const bool packs = p.width % kWidth == 0 && fits_packs<kWidth>(static_cast<const T*>(p.x)) &&
                       fits_packs<kWidth>(static_cast<const T*>(p.counted));
    unsigned along_x = 1;
    while (along_x < kThreads && along_x < (packs ? p.width / kWidth : p.width)) {
      along_x *= 2;
    }
    const unsigned along_y = kThreads / along_x;
    const LaunchShape shape{
        "linear_counted_rows", {blocks_for(p.rows, along_y), 1, 1}, {along_x, along_y, 1}};
    return launch(shape, context, packs ? counted_kernel<T, kWidth> : counted_kernel<T, 1>, p);
  });
}

Status linear_judged_rows(const LinearJudgedRows& p, const DeviceContext& context) {
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    if (p.rows <= 0) {
      return Status{};
    }
    const LaunchShape shape{
        "linear_judged_rows", {blocks_for(p.rows, 1), 1, 1}, {threads_for_row(p.classes), 1, 1}};
    return launch(shape, context, judged_kernel<T>, p);
  });
}

Status linear_column_sums(const LinearColumnSums& p, const DeviceContext& context) {
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const auto blocks = static_cast<unsigned>(pieces_of(p.columns, kColumns));
    return launch({"linear_column_sums", {blocks, 1, 1}, {kColumns, kSlices, 1}}, context,
                  column_sums_kernel<T>, p);
  });
}

}  // namespace basin::kernels
