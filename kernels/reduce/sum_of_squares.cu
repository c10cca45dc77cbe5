// Sums of squares of many arrays on a GPU, in few launches: the arrays of a launch are named in its
// parameters, and a block takes one piece of one of them. 256 threads read 16 bytes each, 4 kB in a
// row.
#include "kernels/common/array_list.cuh"
#include "kernels/common/block_reduce.cuh"
#include "kernels/common/dispatch.h"
#include "kernels/common/launch.h"
#include "kernels/common/pack.cuh"
#include "kernels/reduce/reduce.h"

namespace basin::kernels {

namespace {

constexpr unsigned kThreads = 256;
constexpr int kArrays = 128;  // 2 kB of parameters and 1 kB for the pieces

template <class T>
BASIN_KERNEL void squares_kernel(ArrayList<NumberArray, kArrays> list, double* partials) {
  constexpr int kWidth = pack_width(sizeof(T));
  const PieceOfArray here = piece_of_array(list, blockIdx.x, kSumOfSquaresPiece);
  const NumberArray& array = list.arrays[here.array];
  const T* const x = static_cast<const T*>(array.x) + here.begin;
  const std::int64_t rest = array.count - here.begin;
  const std::int64_t count = rest < kSumOfSquaresPiece ? rest : kSumOfSquaresPiece;
  const std::int64_t packs = all_at_packs<kWidth>(x) ? count / kWidth : 0;
  double sum = 0;
  for (std::int64_t pack = threadIdx.x; pack < packs; pack += blockDim.x) {
    const auto values = load_pack<kWidth>(x + pack * kWidth);
    for (int k = 0; k < kWidth; ++k) {
      const double value = static_cast<double>(values.at[k]);
      sum += value * value;
    }
  }
  for (std::int64_t i = packs * kWidth + threadIdx.x; i < count; i += blockDim.x) {
    const double value = static_cast<double>(x[i]);
    sum += value * value;
  }
  sum = block_reduce<Sum>(sum);
  if (threadIdx.x == 0) {
    partials[blockIdx.x] = sum;
  }
}

// One block: `count` numbers are few.
BASIN_KERNEL void add_partials(const double* partials, std::int64_t count, double* result) {
  double sum = 0;
  for (std::int64_t i = threadIdx.x; i < count; i += blockDim.x) {
    sum += partials[i];
  }
  sum = block_reduce<Sum>(sum);
  if (threadIdx.x == 0) {
    *result = sum;
  }
}

}  // namespace

Status sum_of_squares(const SumOfSquaresList& p, const DeviceContext& context) {
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    std::int64_t pieces = 0;
    Status status = for_array_lists<kArrays>(
        p.arrays, p.array_count, kSumOfSquaresPiece,
        [&](const ArrayList<NumberArray, kArrays>& list, unsigned blocks) {
          double* const partials = p.partials + pieces;
          pieces += blocks;
          return launch({"sum_of_squares", {blocks, 1, 1}, {kThreads, 1, 1}}, context,
                        squares_kernel<T>, list, partials);
        });
    if (status.ok()) {
      status = launch({"sum_of_squares_add", {1, 1, 1}, {kThreads, 1, 1}}, context, add_partials,
                      p.partials, pieces, p.result);
    }
    return status;
  });
}

Status sum_of_squares(const SumOfSquares& p, const DeviceContext& context) {
  const NumberArray array{p.x, p.count};
  return sum_of_squares(SumOfSquaresList{&array, 1, p.result, p.partials, p.dtype}, context);
}

}  // namespace basin::kernels
