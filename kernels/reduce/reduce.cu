// Reductions along one axis on a GPU. Sums are accumulated in double. The maximum is looked for
// together with its place, which settles between equals.
#include "kernels/reduce/reduce.h"

#include <limits>

#include "kernels/common/block_reduce.cuh"
#include "kernels/common/dispatch.h"
#include "kernels/common/launch.h"
#include "kernels/common/launch_sizes.h"
#include "kernels/common/pack.cuh"

namespace basin::kernels {

namespace {

// A running sum, or what is left of it in one lane.
struct Total {
  double sum;

  BASIN_DEVICE static Total of_nothing() { return {0}; }
  template <class T>
  BASIN_DEVICE void add(T value, std::int64_t) {
    sum += static_cast<double>(value);
  }
  BASIN_DEVICE void add(const Total& other) { sum += other.sum; }
  BASIN_DEVICE Total of_lane(int lane) const { return {__shfl_xor_sync(kAllLanes, sum, lane)}; }
};

// The largest number so far, NaN being larger than all others, and the first place it stands at.
template <class T>
struct Largest {
  T value;
  std::int64_t at;

  BASIN_DEVICE static Largest of_nothing() {
    return {-std::numeric_limits<T>::infinity(), std::numeric_limits<std::int64_t>::max()};
  }
  BASIN_DEVICE void add(T other, std::int64_t place) {
    const bool nan = other != other;
    const bool equal = other == value || (nan && value != value);
    if (equal ? place < at : other > value || nan) {
      value = other;
      at = place;
    }
  }
  BASIN_DEVICE void add(const Largest& other) { add(other.value, other.at); }
  BASIN_DEVICE Largest of_lane(int lane) const {
    return {__shfl_xor_sync(kAllLanes, value, lane), __shfl_xor_sync(kAllLanes, at, lane)};
  }
};

// Where a result goes. Sums whose axis is cut into pieces stay double until these are added.
template <class Y>
struct WriteSum {
  Y* y;
  BASIN_DEVICE void operator()(std::int64_t at, const Total& total) const {
    y[at] = static_cast<Y>(total.sum);
  }
};
template <class T>
struct WriteMax {
  T* y;
  BASIN_DEVICE void operator()(std::int64_t at, const Largest<T>& best) const {
    y[at] = best.value;
  }
};
template <class T>
struct WritePlace {
  std::int64_t* y;
  BASIN_DEVICE void operator()(std::int64_t at, const Largest<T>& best) const { y[at] = best.at; }
};

// The axis of every reduction of a launch, cut into pieces of `piece` elements.
struct Axis {
  std::int64_t outer, extent, inner;
  std::int64_t piece;
  std::int64_t pieces;
  bool packs;  // rows are read in packs of 16 bytes
};

// The last axis: a block for each piece of a row.
template <class T, class State, class Write>
BASIN_KERNEL void reduce_rows(const T* x, Axis axis, Write write) {
  constexpr int kWidth = pack_width(sizeof(T));
  State* const of_warp = shared<State, kWarpSize>();
  for (std::int64_t at = blockIdx.x; at < axis.outer * axis.pieces; at += gridDim.x) {
    const std::int64_t row = at % axis.outer;
    const std::int64_t begin = at / axis.outer * axis.piece;
    const std::int64_t end = begin + axis.piece < axis.extent ? begin + axis.piece : axis.extent;
    const T* const from = x + row * axis.extent;
    State state = State::of_nothing();
    std::int64_t scalar = begin;
    if (axis.packs) {
      scalar = begin + (end - begin) / kWidth * kWidth;
      for (std::int64_t e = begin + std::int64_t{threadIdx.x} * kWidth; e < scalar;
           e += std::int64_t{blockDim.x} * kWidth) {
        const auto values = load_pack<kWidth>(from + e);
        for (int k = 0; k < kWidth; ++k) {
          state.add(values.at[k], e + k);
        }
      }
    }
    for (std::int64_t e = scalar + threadIdx.x; e < end; e += blockDim.x) {
      state.add(from[e], e);
    }
    for (int lane = kWarpSize / 2; lane > 0; lane /= 2) {
      state.add(state.of_lane(lane));
    }
    if (threadIdx.x % kWarpSize == 0) {
      of_warp[threadIdx.x / kWarpSize] = state;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      for (unsigned warp = 1; warp < blockDim.x / kWarpSize; ++warp) {
        state.add(of_warp[warp]);
      }
      write(at, state);
    }
    __syncthreads();
  }
}

constexpr int kColumns = 32;  // of a block: neighbours in memory, one a lane
constexpr int kSlices = 8;    // warps that share the axis of a column

// Another axis: a block for 32 neighbouring columns and a piece of the axis, of which each warp
// takes every eighth element. Blocks: columns, outer extents from `outer` on, pieces.
template <class T, class State, class Write>
BASIN_KERNEL void reduce_columns(const T* x, Axis axis, std::int64_t outer, Write write) {
  State* const of_slice = shared<State, kSlices * kColumns>();
  const std::int64_t column = std::int64_t{blockIdx.x} * kColumns + threadIdx.x;
  outer += blockIdx.y;
  const std::int64_t begin = std::int64_t{blockIdx.z} * axis.piece;
  const std::int64_t end = begin + axis.piece < axis.extent ? begin + axis.piece : axis.extent;
  State state = State::of_nothing();
  if (column < axis.inner) {
    const T* const from = x + outer * axis.extent * axis.inner + column;
    for (std::int64_t e = begin + threadIdx.y; e < end; e += kSlices) {
      state.add(from[e * axis.inner], e);
    }
  }
  of_slice[threadIdx.y * kColumns + threadIdx.x] = state;
  __syncthreads();
  if (threadIdx.y == 0 && column < axis.inner) {
    for (unsigned slice = 1; slice < kSlices; ++slice) {
      state.add(of_slice[slice * kColumns + threadIdx.x]);
    }
    write((blockIdx.z * axis.outer + outer) * axis.inner + column, state);
  }
}

// Adds up the pieces of `count` sums: a thread for each.
template <class T>
BASIN_KERNEL void add_pieces(const double* partials, T* y, std::int64_t count,
                             std::int64_t pieces) {
  const std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (at >= count) {
    return;
  }
  double sum = 0;
  for (std::int64_t piece = 0; piece < pieces; ++piece) {
    sum += partials[piece * count + at];
  }
  y[at] = static_cast<T>(sum);
}

constexpr std::int64_t kMostAlongY = 65535;

// Outer extents beyond what a grid can have along y are done in several launches.
template <class T, class State, class Write>
Status run(const Reduce& p, const Axis& axis, const DeviceContext& context, Write write) {
  const T* const x = static_cast<const T*>(p.x);
  if (p.inner == 1) {
    const LaunchShape shape{"reduce",
                            {blocks_for(axis.outer * axis.pieces, 1), 1, 1},
                            {threads_for_row(axis.piece), 1, 1}};
    return launch(shape, context, reduce_rows<T, State, Write>, x, axis, write);
  }
  const auto along_x = static_cast<unsigned>(pieces_of(p.inner, kColumns));
  const auto along_z = static_cast<unsigned>(axis.pieces);
  Status status;
  for (std::int64_t outer = 0; status.ok() && outer < p.outer; outer += kMostAlongY) {
    const auto along_y = static_cast<unsigned>(std::min(p.outer - outer, kMostAlongY));
    status = launch({"reduce", {along_x, along_y, along_z}, {kColumns, kSlices, 1}}, context,
                    reduce_columns<T, State, Write>, x, axis, outer, write);
  }
  return status;
}

// How many pieces the axis of a sum is cut into, by shape alone: so many that a few hundred blocks
// run, and none shorter than is worth a block.
std::int64_t wanted_pieces(const Reduce& p) {
  if (p.op != ReduceOp::sum || p.outer <= 0 || p.inner <= 0) {
    return 1;
  }
  constexpr std::int64_t kBlocks = 264;
  const std::int64_t blocks = p.outer * pieces_of(p.inner, kColumns);
  const std::int64_t shortest = p.inner == 1 ? 4096 : 128;
  return std::clamp<std::int64_t>(std::min(kBlocks / blocks, p.extent / shortest), 1, kBlocks);
}

template <class T>
Axis axis_of(const Reduce& p, std::int64_t pieces) {
  constexpr int kWidth = pack_width(sizeof(T));
  // Pieces begin at packs, too.
  const std::int64_t piece =
      std::max<std::int64_t>(1, pieces_of(pieces_of(p.extent, pieces), kWidth) * kWidth);
  const bool packs =
      (p.outer == 1 || p.extent % kWidth == 0) && fits_packs<kWidth>(static_cast<const T*>(p.x));
  return {p.outer, p.extent, p.inner, piece, std::max<std::int64_t>(1, pieces_of(p.extent, piece)),
          packs};
}

template <class T>
Status sum(const Reduce& p, const DeviceContext& context) {
  T* const y = static_cast<T*>(p.y);
  const Axis axis = axis_of<T>(p, p.workspace == nullptr ? 1 : wanted_pieces(p));
  if (axis.pieces == 1) {
    return run<T, Total>(p, axis, context, WriteSum<T>{y});
  }
  double* const partials = static_cast<double*>(p.workspace);
  const Status status = run<T, Total>(p, axis, context, WriteSum<double>{partials});
  if (!status.ok()) {
    return status;
  }
  constexpr unsigned kThreads = 128;
  const std::int64_t count = p.outer * p.inner;
  const auto blocks = static_cast<unsigned>(pieces_of(count, kThreads));
  return launch({"reduce_add_pieces", {blocks, 1, 1}, {kThreads, 1, 1}}, context, add_pieces<T>,
                partials, y, count, axis.pieces);
}

}  // namespace

std::int64_t reduce_workspace(const Reduce& p, const DeviceContext&) {
  const std::int64_t pieces = wanted_pieces(p);
  return pieces == 1 ? 0 : pieces * p.outer * p.inner * static_cast<std::int64_t>(sizeof(double));
}

Status reduce(const Reduce& p, const DeviceContext& context) {
  if (p.op != ReduceOp::sum && p.extent == 0) {
    return Status::invalid("reduce: the maximum of no elements");
  }
  if (p.outer <= 0 || p.inner <= 0) {
    return {};
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const Axis axis = axis_of<T>(p, 1);
    switch (p.op) {
      case ReduceOp::sum: return sum<T>(p, context);
      case ReduceOp::max:
        return run<T, Largest<T>>(p, axis, context, WriteMax<T>{static_cast<T*>(p.y)});
      case ReduceOp::argmax: break;
    }
    return run<T, Largest<T>>(p, axis, context, WritePlace<T>{static_cast<std::int64_t*>(p.y)});
  });
}

}  // namespace basin::kernels
