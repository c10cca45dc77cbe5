// The loop over time that the recurrences share on a GPU: a block takes one batch item, or a few
// that share every weight it reads, through all steps. The state stays in shared memory. A
// recurrent product is cut into parts, of which each thread does one for one unit; the parts are
// added up in a fixed order that depends on the width alone. Where a thread's weights fit into its
// registers they are read once for all steps, else from the cache at every step.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/common/device.h"
#include "kernels/common/launch.h"
#include "kernels/common/launch_sizes.h"
#include "kernels/common/math.h"
#include "kernels/recurrent/check.h"

namespace basin::kernels {

namespace {

constexpr int kMostThreads = 512;
constexpr int kWeightsInRegisters = 64;  // of a thread, f32 only

/// Which part of a product a thread has.
struct RecurrenceShape {
  std::int64_t B, L, width;
  int units;           ///< threads along x: the units, or as many as a block takes at a time
  int parts;           ///< threads along y
  std::int64_t inner;  ///< numbers in a part; parts * inner is at least the whole
};

/// `whole`: products in a sum.
inline RecurrenceShape recurrence_shape(std::int64_t B, std::int64_t L, std::int64_t width,
                                        std::int64_t whole) {
  constexpr std::int64_t kLeastInner = 8;
  RecurrenceShape s{B, L, width, 0, 0, 0};
  s.units = static_cast<int>(std::min<std::int64_t>(pieces_of(width, 32) * 32, kMostThreads));
  s.parts = static_cast<int>(
      std::min<std::int64_t>(kMostThreads / s.units, pieces_of(whole, kLeastInner)));
  s.inner = pieces_of(whole, s.parts);
  return s;
}

/// to[k][row] = from[row][k] for a (rows, columns) matrix, in squares of 32.
template <class T>
BASIN_KERNEL void transpose_kernel(const T* from, T* to, std::int64_t rows, std::int64_t columns) {
  constexpr int kSide = 32;
  T* const square = shared<T, kSide*(kSide + 1)>();
  const std::int64_t first_row = std::int64_t{blockIdx.y} * kSide;
  const std::int64_t first_column = std::int64_t{blockIdx.x} * kSide;
  for (unsigned y = threadIdx.y; y < kSide; y += blockDim.y) {
    const std::int64_t row = first_row + y;
    const std::int64_t column = first_column + threadIdx.x;
    if (row < rows && column < columns) {
      square[y * (kSide + 1) + threadIdx.x] = from[row * columns + column];
    }
  }
  __syncthreads();
  for (unsigned y = threadIdx.y; y < kSide; y += blockDim.y) {
    const std::int64_t row = first_row + threadIdx.x;
    const std::int64_t column = first_column + y;
    if (row < rows && column < columns) {
      to[column * rows + row] = square[threadIdx.x * (kSide + 1) + y];
    }
  }
}

/// A thread's parts of the products of kItems vectors with a matrix of kGates * width columns, for
/// unit, width + unit, ...
template <class T, int kItems, int kGates, int kHeld>
class PartialProduct {
 public:
  /// `matrix` has `whole` rows; the vectors lie in shared memory, shape.parts * shape.inner apart.
  BASIN_DEVICE PartialProduct(const RecurrenceShape& shape, const T* matrix, std::int64_t whole)
      : shape_(shape), matrix_(matrix) {
    first_ = threadIdx.y * shape.inner;
    last_ = first_ + shape.inner < whole ? first_ + shape.inner : whole;
    if constexpr (kHeld > 0) {
      BASIN_UNROLL
      for (int k = 0; k < kHeld; ++k) {
        BASIN_UNROLL
        for (int g = 0; g < kGates; ++g) {
          const bool there = first_ + k < last_ && threadIdx.x < shape.width;
          held_[k][g] = there ? weight(first_ + k, g, threadIdx.x) : T(0);
        }
      }
    }
  }

  /// Into sums[part][item][gate][unit].
  BASIN_DEVICE void multiply(const T* vectors, T* sums) const {
    const std::int64_t distance = shape_.parts * shape_.inner;
    for (std::int64_t unit = threadIdx.x; unit < shape_.width; unit += shape_.units) {
      T sum[kItems][kGates] = {};
      if constexpr (kHeld > 0) {
        BASIN_UNROLL
        for (int k = 0; k < kHeld; ++k) {
          if (k < shape_.inner) {
            add(held_[k], vectors + first_ + k, distance, sum);
          }
        }
      } else {
        for (std::int64_t k = first_; k < last_; ++k) {
          T weights[kGates];
          BASIN_UNROLL
          for (int g = 0; g < kGates; ++g) {
            weights[g] = weight(k, g, unit);
          }
          add(weights, vectors + k, distance, sum);
        }
      }
      BASIN_UNROLL
      for (int i = 0; i < kItems; ++i) {
        BASIN_UNROLL
        for (int g = 0; g < kGates; ++g) {
          sums[((threadIdx.y * kItems + i) * kGates + g) * shape_.width + unit] = sum[i][g];
        }
      }
    }
  }

  /// The whole sum for one item, gate and unit.
  BASIN_DEVICE T total(const T* sums, std::int64_t item, int gate, std::int64_t unit) const {
    T sum = 0;
    for (int part = 0; part < shape_.parts; ++part) {
      sum += sums[((part * kItems + item) * kGates + gate) * shape_.width + unit];
    }
    return sum;
  }

 private:
  BASIN_DEVICE T weight(std::int64_t k, int gate, std::int64_t unit) const {
    return matrix_[(k * kGates + gate) * shape_.width + unit];
  }
  BASIN_DEVICE static void add(const T (&weights)[kGates], const T* vectors, std::int64_t distance,
                               T (&sum)[kItems][kGates]) {
    BASIN_UNROLL
    for (int i = 0; i < kItems; ++i) {
      const T number = vectors[i * distance];
      BASIN_UNROLL
      for (int g = 0; g < kGates; ++g) {
        sum[i][g] += weights[g] * number;
      }
    }
  }

  const RecurrenceShape& shape_;
  const T* matrix_;
  std::int64_t first_;
  std::int64_t last_;
  T held_[kHeld > 0 ? kHeld : 1][kGates];
};

/// Sets what lies between the threads' numbers in shared memory to 0.
template <class T>
BASIN_DEVICE void clear(T* numbers, std::int64_t count) {
  const std::int64_t threads = std::int64_t{blockDim.x} * blockDim.y;
  for (std::int64_t at = threadIdx.y * blockDim.x + threadIdx.x; at < count; at += threads) {
    numbers[at] = T(0);
  }
}

/// Calls `function(item of the block, unit)` for the items that there are, each pair on one thread,
/// the same at every step.
template <int kItems, class F>
BASIN_DEVICE void for_each_unit(const RecurrenceShape& shape, F&& function) {
  const std::int64_t threads = std::int64_t{blockDim.x} * blockDim.y;
  const std::int64_t first = std::int64_t{blockIdx.x} * kItems;
  for (std::int64_t at = threadIdx.y * blockDim.x + threadIdx.x; at < kItems * shape.width;
       at += threads) {
    if (first + at / shape.width < shape.B) {
      function(at / shape.width, at % shape.width);
    }
  }
}

/// `matrix`: the weights transposed, (width, kGates, width). Cell::step(item, t, unit, sums, h)
/// gets W h_(t-1) of its gates and h_(t-1) and replaces h by h_t.
template <class Cell, class T, int kItems, int kHeld>
BASIN_KERNEL void BASIN_AT_MOST(kMostThreads)
    recurrence_forward_kernel(Cell cell, RecurrenceShape shape, const T* matrix) {
  constexpr int kGates = Cell::kGates;
  T* const h = dynamic_shared<T>();
  const std::int64_t distance = shape.parts * shape.inner;
  T* const sums = h + kItems * distance;
  const PartialProduct<T, kItems, kGates, kHeld> product(shape, matrix, shape.width);
  const std::int64_t first = std::int64_t{blockIdx.x} * kItems;
  clear(h, kItems * distance);
  __syncthreads();
  for (std::int64_t t = 0; t < shape.L; ++t) {
    if (t > 0) {
      product.multiply(h, sums);
      __syncthreads();
    }
    for_each_unit<kItems>(shape, [&](std::int64_t item, std::int64_t unit) {
      T total[kGates] = {};
      BASIN_UNROLL
      for (int g = 0; g < kGates; ++g) {
        total[g] = t > 0 ? product.total(sums, item, g, unit) : T(0);
      }
      cell.step(first + item, t, unit, total, h[item * distance + unit]);
    });
    __syncthreads();
  }
}

/// `matrix`: the weights as they are, (kGates * width, width). Cell::step(item, t, unit, later,
/// carried, da) gets W^T da_(t+1) and sets da_t of its gates; `carried` is its own from step to
/// step, 0 first.
template <class Cell, class T, int kItems, int kHeld>
BASIN_KERNEL void BASIN_AT_MOST(kMostThreads)
    recurrence_backward_kernel(Cell cell, RecurrenceShape shape, const T* matrix) {
  constexpr int kGates = Cell::kGates;
  T* const da = dynamic_shared<T>();
  const std::int64_t distance = shape.parts * shape.inner;
  T* const carried = da + kItems * distance;
  T* const sums = carried + kItems * shape.width;
  const PartialProduct<T, kItems, 1, kHeld> product(shape, matrix, kGates * shape.width);
  const std::int64_t first = std::int64_t{blockIdx.x} * kItems;
  clear(da, kItems * (distance + shape.width));
  __syncthreads();
  for (std::int64_t t = shape.L - 1; t >= 0; --t) {
    for_each_unit<kItems>(shape, [&](std::int64_t item, std::int64_t unit) {
      const T later = t + 1 < shape.L ? product.total(sums, item, 0, unit) : T(0);
      T gates[kGates];
      cell.step(first + item, t, unit, later, carried[item * shape.width + unit], gates);
      BASIN_UNROLL
      for (int g = 0; g < kGates; ++g) {
        da[item * distance + g * shape.width + unit] = gates[g];
      }
    });
    __syncthreads();
    if (t > 0) {
      product.multiply(da, sums);
      __syncthreads();
    }
  }
}

constexpr std::size_t kMostSharedBytes = 163 * 1024;  // of a block on 8.0
constexpr std::int64_t kBatchOfSingles = 128;         // up to here a block has one item

template <class Kernel, class Cell, class T>
Status launch_recurrence(const char* name, const RecurrenceShape& shape, std::int64_t items,
                         std::int64_t numbers, const DeviceContext& context, Kernel kernel,
                         const Cell& cell, const T* matrix) {
  return launch({name,
                 {static_cast<unsigned>(pieces_of(shape.B, items)), 1, 1},
                 {static_cast<unsigned>(shape.units), static_cast<unsigned>(shape.parts), 1},
                 sizeof(T) * static_cast<std::size_t>(numbers)},
                context, kernel, cell, shape, matrix);
}

/// Numbers in shared memory for `items`.
inline std::int64_t forward_numbers(const RecurrenceShape& s, std::int64_t items, int gates) {
  return items * s.parts * (s.inner + gates * s.width);
}
inline std::int64_t backward_numbers(const RecurrenceShape& s, std::int64_t items) {
  return items * (s.parts * (s.inner + s.width) + s.width);
}

/// How many items a block has, or 0 if shared memory does not hold the numbers of one.
inline int items_of_block(std::int64_t B, std::int64_t numbers_of_one, std::size_t size) {
  const std::size_t bytes = size * static_cast<std::size_t>(numbers_of_one);
  if (bytes > kMostSharedBytes) {
    return 0;
  }
  // f64, which exists for checks, has one item a block.
  return size == 4 && B > kBatchOfSingles && 4 * bytes <= kMostSharedBytes ? 4 : 1;
}

inline Status too_wide() {
  return Status::unsupported("recurrence: a block's shared memory does not hold states this wide");
}

template <class Cell, class T, int kItems, int kHeld>
Status launch_forward_with(const char* name, const RecurrenceShape& shape, const Cell& cell,
                           const T* matrix, const DeviceContext& context) {
  return launch_recurrence(name, shape, kItems, forward_numbers(shape, kItems, Cell::kGates),
                           context, recurrence_forward_kernel<Cell, T, kItems, kHeld>, cell,
                           matrix);
}

template <class Cell, class T, int kItems, int kHeld>
Status launch_backward_with(const char* name, const RecurrenceShape& shape, const Cell& cell,
                            const T* matrix, const DeviceContext& context) {
  return launch_recurrence(name, shape, kItems, backward_numbers(shape, kItems), context,
                           recurrence_backward_kernel<Cell, T, kItems, kHeld>, cell, matrix);
}

// f64 has its weights in the cache.
template <class T, class Cell>
Status launch_forward(const char* name, const Cell& cell, std::int64_t B, std::int64_t L,
                      std::int64_t width, const void* weight, void* workspace,
                      const DeviceContext& context) {
  const RecurrenceShape shape = recurrence_shape(B, L, width, width);
  const int items = items_of_block(B, forward_numbers(shape, 1, Cell::kGates), sizeof(T));
  if (items == 0) {
    return too_wide();
  }
  const std::int64_t rows = Cell::kGates * width;
  T* const transposed = static_cast<T*>(workspace);
  const Status status = launch(
      {"recurrence_transpose",
       {static_cast<unsigned>(pieces_of(width, 32)), static_cast<unsigned>(pieces_of(rows, 32)), 1},
       {32, 8, 1}},
      context, transpose_kernel<T>, static_cast<const T*>(weight), transposed, rows, width);
  if (!status.ok()) {
    return status;
  }
  const T* const matrix = transposed;
  if constexpr (sizeof(T) == 4) {
    constexpr int kHeld = kWeightsInRegisters / (Cell::kGates > 1 ? 4 : 1);
    const bool held = shape.inner <= kHeld && width <= shape.units;
    if (items > 1) {
      return held ? launch_forward_with<Cell, T, 4, kHeld>(name, shape, cell, matrix, context)
                  : launch_forward_with<Cell, T, 4, 0>(name, shape, cell, matrix, context);
    }
    if (held) {
      return launch_forward_with<Cell, T, 1, kHeld>(name, shape, cell, matrix, context);
    }
  }
  return launch_forward_with<Cell, T, 1, 0>(name, shape, cell, matrix, context);
}

template <class T, class Cell>
Status launch_backward(const char* name, const Cell& cell, std::int64_t B, std::int64_t L,
                       std::int64_t width, const void* weight, const DeviceContext& context) {
  const RecurrenceShape shape = recurrence_shape(B, L, width, Cell::kGates * width);
  const int items = items_of_block(B, backward_numbers(shape, 1), sizeof(T));
  if (items == 0) {
    return too_wide();
  }
  const T* const matrix = static_cast<const T*>(weight);
  if constexpr (sizeof(T) == 4) {
    constexpr int kHeld = kWeightsInRegisters;
    const bool held = shape.inner <= kHeld && width <= shape.units;
    if (items > 1) {
      return held ? launch_backward_with<Cell, T, 4, kHeld>(name, shape, cell, matrix, context)
                  : launch_backward_with<Cell, T, 4, 0>(name, shape, cell, matrix, context);
    }
    if (held) {
      return launch_backward_with<Cell, T, 1, kHeld>(name, shape, cell, matrix, context);
    }
  }
  return launch_backward_with<Cell, T, 1, 0>(name, shape, cell, matrix, context);
}

template <class T>
BASIN_DEVICE T sigmoid_of(T x) {
  return T(1) / (T(1) + exp_of(-x));
}

/// Bytes of the transposed weights.
template <class P>
std::int64_t transposed_bytes(const P& p, int gates) {
  return static_cast<std::int64_t>(size_of(p.dtype)) * gates * p.width * p.width;
}

template <class P>
Status check_on_device(const P& p, std::int64_t workspace) {
  if (p.variant != 0) {
    return Status::invalid("recurrence: on a GPU there is variant 0 only");
  }
  return check_recurrence(p, workspace);
}

}  // namespace

}  // namespace basin::kernels
