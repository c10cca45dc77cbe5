// The tiles that a block of softmax_attention_*.cuh passes over where causality and padding alone
// hide keys: neighbouring rows, and full tiles but for a ragged edge.
//
// What such a walk is asked, here and in gathered_walk.cuh, by all threads of the block. It has
// kRows rows of one side and passes over kColumns of the other:
//   limit_columns() of the side of the queries alone
//   advance()       to the next tile that some row sees; false behind the last one. Behind a
//                   barrier, so that nobody needs the tile before any more.
//   load_rows(), load_columns()
//   row(n)          the number of row n among all, below 0 where there is none; column(n) likewise
//   sight()         of the tile: partial, takes_part(r, c) and is_read(.., r, c) for row
//                   tile_y() + r kDown and column tile_x() + c kAcross
//   before()        of the tile before it, of a walk with `kAhead`: partial, and takes_part(), is
//                   read() for any row and column of the tile. So a loop can fetch a tile while it
//                   uses another.
//   next_rows()     of a walk that gathers, going backward: to the first set of rows and to others,
//                   for each of which the walk begins anew; adds() says that a row may be in
//                   several of them, so that what they give has to be added up
// Its rule is what the kernel gets beside its arrays; what a pass keeps of a query goes through it.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/association/prefix_visibility.cuh"
#include "kernels/association/tiles.cuh"
#include "kernels/common/block_reduce.cuh"

namespace basin::kernels {

namespace {

template <Side kSide, int kRows, int kColumns>
class PrefixWalk;

struct PrefixRule {
  static constexpr bool kGathers = false;
  template <Side kSide, int kRows, int kColumns, bool kAhead = false>
  using Walk = PrefixWalk<kSide, kRows, kColumns>;

  /// About how many of M keys a tile of queries passes over, wherever they lie among them.
  std::int64_t keys_passed(std::int64_t M) const { return M; }
  /// As it has to be where a tile of the keys' side has `rows`, for M keys.
  PrefixRule for_keys(std::int64_t /*rows*/, std::int64_t /*M*/) const { return {}; }
  /// How many keys a block of the keys' side has then, and whether it adds up several sets of them.
  BASIN_HOST_DEVICE std::int64_t keys_of_block(std::int64_t rows) const { return rows; }
  BASIN_HOST_DEVICE static constexpr bool adds() { return false; }

  /// Keeps the statistics of query `at` of all: the largest score (-inf if it sees nothing) and the
  /// sum of the weights below it. And what is left of them: ln of the sum of e^score.
  template <class T, class P>
  BASIN_DEVICE void keep(const P& p, std::int64_t at, T largest, T sum) const {
    static_cast<T*>(p.lse)[at] =
        largest == Maximum::identity<T>() ? largest : largest + std::log(sum);
  }
  template <class T, class P>
  BASIN_DEVICE T lse(const P& p, std::int64_t at) const {
    return static_cast<const T*>(p.lse)[at];
  }
};

template <Side kSide, int kRows, int kColumns>
class PrefixWalk {
 public:
  static constexpr bool kOfKeys = kSide == Side::keys;

  static std::size_t bytes(const PrefixRule&) { return 0; }

  /// `first`: the first row. `memory`: bytes() of the block's shared memory.
  template <class P>
  BASIN_DEVICE PrefixWalk(const PrefixRule&, const P& p, std::int64_t b, std::int64_t h,
                          std::int64_t first, void* /*memory*/)
      : visibility_(p, b, h), row_(first), columns_(kOfKeys ? p.L : p.M) {
    const std::int64_t rows = kOfKeys ? p.M : p.L;
    row_end_ = row_ + kRows < rows ? row_ + kRows : rows;
    const std::int64_t keys_seen = visibility_.key_end(kOfKeys ? p.L : row_end_);
    column_end_ = kOfKeys ? p.L : keys_seen;
    readable_ = kOfKeys && keys_seen < row_end_ ? keys_seen : row_end_;
    const std::int64_t start = kOfKeys ? visibility_.query_begin(row_) : 0;
    column_ = start / kColumns * kColumns - kColumns;
  }

  /// Before the first step: columns in front of `begin`, a multiple of kColumns, and from `end` on
  /// are for others.
  BASIN_DEVICE void limit_columns(std::int64_t begin, std::int64_t end) {
    column_ = begin - kColumns;
    column_end_ = end < column_end_ ? end : column_end_;
  }
  BASIN_DEVICE bool advance() {
    before_ = column_;
    column_ += kColumns;
    while (column_ < column_end_ && kind(column_) == TileKind::skip) {
      column_ += kColumns;
    }
    return column_ < column_end_;
  }
  template <int kWidth, class T>
  BASIN_DEVICE void load_rows(T* tile, const T* from, std::int64_t row_stride, std::int64_t width,
                              bool wide) const {
    load_tile<kRows, kWidth>(tile, from, row_stride, row_, readable_, static_cast<int>(width),
                             wide);
  }
  template <int kWidth, class T>
  BASIN_DEVICE void load_columns(T* tile, const T* from, std::int64_t row_stride,
                                 std::int64_t width, bool wide) const {
    load_tile<kColumns, kWidth>(tile, from, row_stride, column_, column_end_,
                                static_cast<int>(width), wide);
  }
  BASIN_DEVICE std::int64_t row(int n) const { return row_ + n < row_end_ ? row_ + n : -1; }
  BASIN_DEVICE std::int64_t column(int n) const {
    return column_ + n < column_end_ ? column_ + n : -1;
  }

  struct Sight {
    const PrefixWalk& walk;
    bool partial;

    BASIN_DEVICE bool takes_part(int r, int c) const {
      return walk.sees(walk.row_ + tile_y() + r * kDown, walk.column_ + tile_x() + c * kAcross);
    }
    BASIN_DEVICE bool is_read(bool takes_part, int /*r*/, int /*c*/) const { return takes_part; }
  };
  BASIN_DEVICE Sight sight() const { return {*this, kind(column_) == TileKind::partial}; }

  struct Before {
    const PrefixWalk& walk;
    bool partial;

    BASIN_DEVICE bool takes_part(int row, int column) const {
      return walk.sees(walk.row_ + row, walk.before_ + column);
    }
    BASIN_DEVICE bool is_read(int row, int column) const { return takes_part(row, column); }
  };
  BASIN_DEVICE Before before() const { return {*this, kind(before_) == TileKind::partial}; }

  BASIN_DEVICE static constexpr bool adds() { return false; }
  /// What the read-out is multiplied by.
  template <class T>
  BASIN_DEVICE static constexpr T scale() {
    return T(1);
  }

 private:
  BASIN_DEVICE TileKind kind(std::int64_t column) const {
    const std::int64_t past = column + kColumns;
    const std::int64_t end = past < columns_ ? past : columns_;
    const TileKind kind = kOfKeys ? visibility_.classify(column, end, row_, row_end_)
                                  : visibility_.classify(row_, row_end_, column, end);
    return kind == TileKind::full && end != past ? TileKind::partial : kind;
  }
  BASIN_DEVICE bool sees(std::int64_t down, std::int64_t across) const {
    return down < readable_ && across < column_end_ &&
           (kOfKeys ? visibility_.keep(across, down) : visibility_.keep(down, across));
  }

  PrefixVisibility visibility_;
  std::int64_t row_, row_end_, readable_;
  std::int64_t columns_, column_, column_end_;
  std::int64_t before_ = 0;  // of the tile before
};

}  // namespace

}  // namespace basin::kernels
