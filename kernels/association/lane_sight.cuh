// What a lane of a tensor core's kernel has to know of a tile: whom its numbers of an accumulator
// belong to. Of 8 columns it has two neighbours, in the rows lane / 4 and lane / 4 + 8 of its warp
// (fragments.h).
#pragma once

#include <cstdint>

#include "kernels/association/tensor_tiles.cuh"

namespace basin::kernels {

namespace {

/// A bit for each of the lane's numbers of a tile, kColumns wide: which take part in the weights,
/// and which are read.
template <int kColumns>
struct LaneSight {
  static_assert(kColumns <= 64);
  bool partial;
  std::uint32_t counted = ~0u;
  std::uint32_t read = ~0u;

  /// `before`: what a walk says of the tile (prefix_walk.cuh). A tile that is seen whole is not
  /// asked for more. `kSplits`: some pairs may take part without being read.
  template <bool kSplits, class Before>
  BASIN_DEVICE static LaneSight of(const Before& before) {
    LaneSight sight{before.partial};
    if (!before.partial) {
      return sight;
    }
    sight.counted = sight.read = 0;
    const int row = row_of_warp() + lane_of_warp() / 4;
    for (int n = 0; n < kColumns / 8; ++n) {
      BASIN_UNROLL
      for (int c = 0; c < 2; ++c) {
        const int column = n * 8 + column_of_lane() + c;
        BASIN_UNROLL
        for (int r = 0; r < 2; ++r) {
          const std::uint32_t bit = 1u << place(n, c, r);
          sight.counted |= before.takes_part(row + 8 * r, column) ? bit : 0u;
          if constexpr (kSplits) {
            sight.read |= before.is_read(row + 8 * r, column) ? bit : 0u;
          }
        }
      }
    }
    if constexpr (!kSplits) {
      sight.read = sight.counted;
    }
    return sight;
  }
  /// For number 2 r + c of the n-th 8 columns.
  BASIN_DEVICE bool takes_part(int n, int c, int r) const {
    return !partial || ((counted >> place(n, c, r)) & 1u) != 0;
  }
  BASIN_DEVICE bool is_read(int n, int c, int r) const {
    return !partial || ((read >> place(n, c, r)) & 1u) != 0;
  }

 private:
  BASIN_DEVICE static int place(int n, int c, int r) { return n * 4 + c * 2 + r; }
};

}  // namespace

}  // namespace basin::kernels
