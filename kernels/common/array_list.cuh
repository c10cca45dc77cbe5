// Many arrays in one launch. A parameter tensor of a small model is too little work for a GPU, and
// a launch for each costs more than the work; so their addresses are passed by value, as many at a
// time as fit into the 4 KiB of parameters that a kernel may have.
#pragma once

#include <cstdint>

#include "kernels/common/device.h"
#include "kernels/common/launch_sizes.h"
#include "kernels/common/status.h"

namespace basin::kernels {

/// Up to N arrays, each cut into pieces that blocks take. `Array` has a member `count`.
template <class Array, int N>
struct ArrayList {
  int size = 0;
  Array arrays[N] = {};
  std::int64_t first_piece[N] = {};  ///< how many pieces the arrays before this one have
};

struct PieceOfArray {
  int array;
  std::int64_t begin;  ///< the first element
};

/// The piece of `block`, found by halving: 7 steps for 128 arrays, in the constant cache.
template <class Array, int N>
BASIN_DEVICE inline PieceOfArray piece_of_array(const ArrayList<Array, N>& list, std::int64_t block,
                                                std::int64_t piece) {
  int low = 0;
  int high = list.size;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (list.first_piece[middle] <= block) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return {low, (block - list.first_piece[low]) * piece};
}

/// Calls function(list, blocks) for N arrays after the other; arrays without elements are left out.
/// Stops at a status that is not ok.
template <int N, class Array, class F>
static Status for_array_lists(const Array* arrays, std::int64_t count, std::int64_t piece,
                              F&& function) {
  constexpr std::int64_t kMostBlocks = 0x7FFFFFFF;
  Status status;
  for (std::int64_t at = 0; status.ok() && at < count;) {
    ArrayList<Array, N> list;
    std::int64_t blocks = 0;
    for (; at < count && list.size < N; ++at) {
      const std::int64_t pieces = pieces_of(arrays[at].count, piece);
      if (blocks + pieces > kMostBlocks) {
        break;
      }
      if (pieces > 0) {
        list.arrays[list.size] = arrays[at];
        list.first_piece[list.size++] = blocks;
        blocks += pieces;
      }
    }
    if (list.size == 0 && at < count) {
      return Status::unsupported("an array of more than 2^31 pieces");
    }
    if (list.size > 0) {
      status = function(list, static_cast<unsigned>(blocks));
    }
  }
  return status;
}

}  // namespace basin::kernels
