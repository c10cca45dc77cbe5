// The scan of linear attention (linear_pass.cuh) in bf16 on tensor cores (sm_80 and later). Sums
// and states are f32; rounded to bf16 are phi(q) and phi(k), the weights of pairs inside a tile,
// and the state where it is multiplied. What is exact stays so: dout is not divided by n, but
//
//     pass     a              b              w            y
//     forward  phi(q)         phi(k)         v            out n
//     dq       dout, -delta   v, 1           phi(k)       n dphi(q)
//     dk       v, 1           dout, -delta   phi(q) / n   dphi(k)
//     dv       phi(k)         phi(q) / n     dout         dv
//
// with delta_i = dout_i . out_i. A block of four warps has tiles of 64 rows. Each warp multiplies
// 16 rows with the columns of the tile, which gives the weights of pairs; then it makes 16 columns
// of y for all rows, so that it needs 16 columns of the state, and has them in registers.
#pragma once

#include "kernels/association/linear_pass.cuh"
#include "kernels/association/tensor_linear_state.cuh"

namespace basin::kernels {

namespace {

/// Which rows can be read or written 16 bytes at a time.
struct LinearWide {
  bool a, b, w, x, y;
};

BASIN_DEVICE inline float half_feature(float x) {
  return x > 0.0f ? x + 1.0f : power_of_2(x * kLog2OfE);
}

/// Rows of one of a, b, w of a head, and what becomes of them.
class LinearOperand {
 public:
  /// Rows 0 ... end - 1 and columns first ... width - 1 exist.
  BASIN_DEVICE LinearOperand(const HeadView& view, Take take, bool wide, const LinearPass& p,
                             const LinearHead& head, std::int64_t end, std::int64_t first,
                             std::int64_t width)
      : from_(view.head<BFloat16>(head.b, head.h) + first),
        n_(take == Take::features_divided ? static_cast<const float*>(p.n) + head.at * p.L
                                          : nullptr),
        stride_(view.row_stride),
        end_(end),
        width_(static_cast<int>(width - first)),
        features_(take != Take::as_it_is),
        wide_(wide) {}

  /// Rows begin ... into a tile of 64, with zeros for what does not exist. With wide() in the
  /// background: commit and wait, else wait at a barrier; then prepare().
  template <int kWidth>
  BASIN_DEVICE void load(BFloat16* tile, std::int64_t begin) const {
    load_tile<kTensorRows, kWidth>(tile, from_, stride_, begin, end_, width_, wide_);
  }
  BASIN_DEVICE bool wide() const { return wide_; }
  BASIN_DEVICE bool features() const { return features_; }

  /// phi of what load() read, or phi / n. A thread does the part that it has copied itself. Says
  /// whether that part is finite.
  template <int kWidth>
  BASIN_DEVICE bool prepare(BFloat16* tile, std::int64_t begin) const {
    constexpr int kChunks = kWidth / 8;
    bool finite = true;
    for (int at = static_cast<int>(threadIdx.x); at < kTensorRows * kChunks; at += kTileThreads) {
      const int column = at % kChunks * 8;
      BFloat16* const place = tile + at / kChunks * kRowOf<BFloat16, kWidth> + column;
      Pack<BFloat16, 8> numbers = load_pack<8>(place);
      if (features_) {
        const std::int64_t row = begin + at / kChunks;
        const bool there = row >= 0 && row < end_;
        const float scale = there && n_ != nullptr ? 1.0f / n_[row] : 1.0f;
        BASIN_UNROLL
        for (int i = 0; i < 8; i += 2) {
          const float low = half_feature(to_float(numbers.at[i])) * scale;
          const float high = half_feature(to_float(numbers.at[i + 1])) * scale;
          const Pack<BFloat16, 2> two =
              to_two_bfloat16(there && column + i < width_ ? low : 0.0f,
                              there && column + i + 1 < width_ ? high : 0.0f);
          numbers.at[i] = two.at[0];
          numbers.at[i + 1] = two.at[1];
        }
        store_pack<8>(place, numbers);
      }
      BASIN_UNROLL
      for (int i = 0; i < 8; ++i) {
        finite = finite && is_finite(numbers.at[i]);
      }
    }
    return finite;
  }

 private:
  const BFloat16* from_;
  const float* n_;
  std::int64_t stride_, end_;
  int width_;
  bool features_, wide_;
};

/// alpha or gamma of 64 rows from `begin` on: -delta, or 1 where there is none; 0 for a row that
/// does not exist.
BASIN_DEVICE inline void take_half_extra(float* extra, const void* delta, const LinearPass& p,
                                         const LinearHead& head, std::int64_t begin,
                                         std::int64_t end) {
  const int row = static_cast<int>(threadIdx.x);
  if (row < kTensorRows) {
    const bool there = begin + row >= 0 && begin + row < end;
    float number = there ? 1.0f : 0.0f;
    if (there && delta != nullptr) {
      number = -static_cast<const float*>(delta)[head.at * p.L + begin + row];
    }
    extra[row] = number;
  }
}

/// How much of a tile the first kernel fetches while it uses another: a second place for all of it
/// where that leaves room for other blocks.
template <int kWidth>
struct TensorLinearStates {
  using Tile = TensorLinearTile<kWidth>;
  static constexpr int kPlaces = kWidth > 128 ? 1 : 2;
  static constexpr std::size_t kBytes = sizeof(float) * (4 * kTileThreads + 2 * Tile::kRows) +
                                        sizeof(BFloat16) * kPlaces * (Tile::kIn + Tile::kValues);
};

/// First kernel: a block for a segment of a slice. `states` has segments + 1 states for each slice
/// of each head.
template <int kWidth>
BASIN_KERNEL void tensor_linear_states_kernel(LinearPass p, LinearCut cut, LinearWide wide,
                                              float* states) {
  using Tile = TensorLinearTile<kWidth>;
  using Plan = TensorLinearStates<kWidth>;
  constexpr int kPlaces = Plan::kPlaces;
  float* const parts_b = dynamic_shared<float>();
  float* const parts_w = parts_b + 2 * kTileThreads;
  float* const gammas = parts_w + 2 * kTileThreads;
  BFloat16* const b_tiles = reinterpret_cast<BFloat16*>(gammas + 2 * Tile::kRows);
  BFloat16* const w_tiles = b_tiles + kPlaces * Tile::kIn;
  const std::int64_t segment = blockIdx.x % cut.segments;
  const std::int64_t part = blockIdx.x / cut.segments;
  const LinearHead head(p, part / cut.slices);
  const std::int64_t slice = part % cut.slices * Tile::kSlice;
  const LinearOperand b(p.b, p.take_b, wide.b, p, head, head.column_end, 0, p.inner);
  const LinearOperand w(p.w, p.take_w, wide.w, p, head, head.column_end, slice, p.width);
  const std::int64_t first = cut.start + segment * cut.tiles * Tile::kRows - head.column_shift;
  const auto load = [&](std::int64_t tile) {
    const std::int64_t column = first + tile * Tile::kRows;
    if (tile < cut.tiles && column < head.column_end) {
      b.load<kWidth>(b_tiles + tile % kPlaces * Tile::kIn, column);
      w.load<Tile::kSlice>(w_tiles + tile % kPlaces * Tile::kValues, column);
    }
    copy_async_commit();
  };

  TensorLinearState<kWidth, Tile::kGroups> state(warp_of_block() / Tile::kWarps);
  ColumnSums<kWidth> sum_b;
  ColumnSums<Tile::kSlice> sum_w;
  load(0);
  for (std::int64_t tile = 0; tile < cut.tiles; ++tile) {
    const std::int64_t column = first + tile * Tile::kRows;
    if (column >= head.column_end) {
      break;
    }
    BFloat16* const b_tile = b_tiles + tile % kPlaces * Tile::kIn;
    BFloat16* const w_tile = w_tiles + tile % kPlaces * Tile::kValues;
    float* const gamma = gammas + tile % 2 * Tile::kRows;
    copy_async_wait<0>();
    if (!b.wide() || !w.wide()) {
      __syncthreads();
    }
    if (b.features()) {
      b.prepare<kWidth>(b_tile, column);
    }
    if (w.features()) {
      w.prepare<Tile::kSlice>(w_tile, column);
    }
    take_half_extra(gamma, p.gamma, p, head, column, head.column_end);
    __syncthreads();  // all of this tile is there, and the one before has been used
    if constexpr (kPlaces == 2) {
      load(tile + 1);
    }
    state.add(b_tile, w_tile);
    if (p.written_n != nullptr) {
      sum_b.add(b_tile, nullptr);
    }
    if (p.extended()) {
      sum_w.add(w_tile, gamma);
    }
    if constexpr (kPlaces == 1) {
      __syncthreads();
      load(tile + 1);
    }
  }
  float* const to = states + (part * (cut.segments + 1) + segment) * Tile::kState;
  state.store(to);
  sum_b.publish(parts_b);
  sum_w.publish(parts_w);
  __syncthreads();
  for (int at = static_cast<int>(threadIdx.x); at < kWidth; at += kTileThreads) {
    to[Tile::kMatrix + at] = ColumnSums<kWidth>::template totals<1>(parts_b, at).at[0];
  }
  if (static_cast<int>(threadIdx.x) < Tile::kSlice) {
    const int at = static_cast<int>(threadIdx.x);
    to[Tile::kMatrix + kWidth + at] =
        ColumnSums<Tile::kSlice>::template totals<1>(parts_w, at).at[0];
  }
}

}  // namespace

}  // namespace basin::kernels
