// A walk (prefix_walk.cuh) for any visibility: the columns that some row of the block sees are
// found by its threads, in rising order, and gathered into tiles, each with a word that says which
// rows see it. So a window costs its band, and a random mask whose draws a tile of queries shares
// costs what it keeps; a tile that all rows see whole asks nothing more.
//
// The keys' side of such a mask is gathered twice. A key is drawn anew for each group of queries,
// so of a tile of keys a group sees a few. A block therefore has a longer range of keys, takes for
// one group after the other those that are left as its rows, and adds up what the groups give.
//
// Top-k hides what the scores decide: the loops ask for the threshold of a query
// (retrieval_thresholds.h) and take the pairs below it out of the sight of a tile.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/association/general_visibility.cuh"
#include "kernels/association/key_sample.h"
#include "kernels/association/prefix_visibility.cuh"
#include "kernels/association/tiles.cuh"
#include "kernels/common/block_reduce.cuh"
#include "kernels/common/block_scan.cuh"

namespace basin::kernels {

namespace {

template <Side kSide, int kRows, int kColumns, bool kAhead, bool kSamples = false>
class GatheredWalk;

struct GatheredRule {
  static constexpr bool kGathers = true;
  template <Side kSide, int kRows, int kColumns, bool kAhead = false>
  using Walk = GatheredWalk<kSide, kRows, kColumns, kAhead>;

  Visibility seen;
  WeightDropout dropout;
  bool normalise_all = false;
  std::int64_t key_range =
      0;  ///< of a block of the keys' side that adds up groups; 0: there is none
  void* statistics = nullptr;  ///< as in retrieval.h
  std::int64_t* steps = nullptr;
  /// Of top-k, the least score that each query keeps, threshold_stride from one query to the next;
  /// or null: it keeps all.
  const void* thresholds = nullptr;
  std::int64_t threshold_stride = 1;

  BASIN_HOST_DEVICE bool has_thresholds() const { return thresholds != nullptr; }
  /// Of query `i` of those that begin at `first` of all; where i is below 0 there is none.
  template <class T>
  BASIN_DEVICE T threshold(std::int64_t first, std::int64_t i) const {
    return i < 0 ? Maximum::identity<T>()
                 : static_cast<const T*>(thresholds)[(first + i) * threshold_stride];
  }
  /// Takes the pairs of a tile out of `sight` whose score, beta times a product, is below the
  /// threshold of their query; queries of the head begin at `first` of all.
  template <Side kSide, class Walk, class T, int kR, int kC, class Sight>
  BASIN_DEVICE void drop_below(const Walk& walk, std::int64_t first, T beta,
                               const T (&products)[kR][kC], Sight& sight) const {
    constexpr bool kOfKeys = kSide == Side::keys;
    sight.partial = true;
    BASIN_UNROLL
    for (int outer = 0; outer < (kOfKeys ? kC : kR); ++outer) {
      const std::int64_t query =
          kOfKeys ? walk.column(tile_x() + outer * kAcross) : walk.row(tile_y() + outer * kDown);
      const T least = threshold<T>(first, query);
      BASIN_UNROLL
      for (int inner = 0; inner < (kOfKeys ? kR : kC); ++inner) {
        const int r = kOfKeys ? inner : outer;
        const int c = kOfKeys ? outer : inner;
        if (beta * products[r][c] < least) {
          sight.drop(r, c, !normalise_all);
        }
      }
    }
  }

  /// Some pairs take part in the weights without being read.
  BASIN_HOST_DEVICE bool splits() const { return normalise_all || dropout.p > 0; }

  std::int64_t keys_passed(std::int64_t M) const {
    if (seen.has_window()) {
      return 0;  // they lie together: cut in parts, all would be in one
    }
    const bool shares = seen.is_random() && seen.query_shift >= 6 && !normalise_all;
    return shares ? static_cast<std::int64_t>(static_cast<double>(M) *
                                              static_cast<double>(seen.keep_below) /
                                              static_cast<double>(Visibility::kKeepAll))
                  : M;
  }

  /// With a range of keys, if that pays: as many as leave each group of queries four fifths of a
  /// tile, so that most groups need one.
  GatheredRule for_keys(std::int64_t rows, std::int64_t M) const {
    constexpr std::uint64_t kMost = Visibility::kKeepAll / 4 * 3;
    GatheredRule rule = *this;
    const bool shares = seen.query_shift >= 6 && (std::int64_t{1} << seen.key_shift) < rows;
    if (shares && seen.keep_below < kMost && !normalise_all) {
      const auto wanted = static_cast<std::int64_t>(static_cast<std::uint64_t>(rows) * 4 / 5 *
                                                    Visibility::kKeepAll / (seen.keep_below + 1));
      const std::int64_t range = wanted < M ? wanted : M;
      rule.key_range = (range < rows ? rows : range) / 4 * 4;
    }
    return rule;
  }
  BASIN_HOST_DEVICE std::int64_t keys_of_block(std::int64_t rows) const {
    return key_range > 0 ? key_range : rows;
  }
  BASIN_HOST_DEVICE bool adds() const { return key_range > 0; }

  template <class T, class P>
  BASIN_DEVICE void keep(const P& /*p*/, std::int64_t at, T largest, T sum) const {
    T* const to = static_cast<T*>(statistics) + 3 * at;
    to[0] = largest;
    to[1] = sum;
    if (!has_thresholds()) {  // else it is there already
      to[2] = Maximum::identity<T>();
    }
    if (steps != nullptr) {
      steps[at] = 1;
    }
  }
  template <class T, class P>
  BASIN_DEVICE T lse(const P& /*p*/, std::int64_t at) const {
    const T* const from = static_cast<const T*>(statistics) + 3 * at;
    return from[1] == T(0) ? Maximum::identity<T>() : from[0] + std::log(from[1]);
  }
};

/// Two ranges of numbers, which are passed through in steps. Numbers are at most 2^31
/// (retrieval_check.h), and in the loops of a walk registers are scarce: 32 bits for each.
class SpanCursor {
 public:
  BASIN_DEVICE SpanCursor() = default;
  /// A step begins at a multiple of `alignment`, a power of two.
  BASIN_DEVICE SpanCursor(const Spans& spans, unsigned alignment)
      : begin_(number(spans.begin)),
        end_(number(spans.end)),
        next_begin_(number(spans.next_begin)),
        next_end_(number(spans.next_end)),
        alignment_(alignment) {
    settle();
  }
  BASIN_DEVICE bool more() const { return begin_ < end_; }
  BASIN_DEVICE std::int64_t at() const { return begin_ & ~(alignment_ - 1); }
  BASIN_DEVICE std::int64_t begin() const { return begin_; }
  BASIN_DEVICE std::int64_t end() const { return end_; }
  /// How many numbers are left.
  BASIN_DEVICE std::int64_t left() const {
    const auto length = [](unsigned begin, unsigned end) { return begin < end ? end - begin : 0; };
    return std::int64_t{length(begin_, end_)} + length(next_begin_, next_end_);
  }
  BASIN_DEVICE void step(int count) {
    begin_ = (begin_ & ~(alignment_ - 1)) + static_cast<unsigned>(count);
    settle();
  }

 private:
  BASIN_DEVICE static unsigned number(std::int64_t x) {
    return x < 0 ? 0 : static_cast<unsigned>(x);
  }
  BASIN_DEVICE void settle() {
    if (begin_ >= end_) {
      begin_ = next_begin_;
      end_ = next_end_;
      next_begin_ = next_end_ = 0;
    }
  }
  unsigned begin_ = 0, end_ = 0, next_begin_ = 0, next_end_ = 0;
  unsigned alignment_ = 1;
};

/// Numbers that the threads of a block find, with or without words, in the order of the threads; a
/// tile of kTile is used at a time, and with `kKeepsBefore` the one before it stays.
template <int kTile, int kStep, bool kKeepsBefore>
struct FoundList {
  static constexpr int kKept = (kKeepsBefore ? 2 : 1) * kTile;
  static constexpr int kRoom = kKept + kStep;
  static_assert(kKept <= kTileThreads);
  using Word = std::uint64_t;

  std::int32_t* numbers = nullptr;  ///< kRoom of them
  int words = 0;   ///< 0: numbers alone; 1: who counts them, kRoom in front of the numbers; 2: and
                   ///< who reads them, in front of those
  int before = 0;  ///< the first of the tile before
  int first = 0;   ///< of this tile, behind that one
  int past = 0;    ///< the end of this tile
  int count = 0;   ///< found so far

  static std::size_t bytes(int words) {
    return kRoom * (static_cast<std::size_t>(words) * sizeof(Word) + sizeof(std::int32_t));
  }
  BASIN_DEVICE Word* counted() const { return reinterpret_cast<Word*>(numbers) - kRoom; }
  BASIN_DEVICE Word* read() const { return counted() - kRoom; }
  BASIN_DEVICE int in_tile() const { return past - first; }

  BASIN_DEVICE void restart() { before = first = past = count = 0; }

  /// One number with its words at place `at`.
  BASIN_DEVICE void put(int at, std::int64_t number, Word counted_by, Word read_by) const {
    numbers[at] = static_cast<std::int32_t>(number);
    if (words > 0) {
      counted()[at] = counted_by;
    }
    if (words > 1) {
      read()[at] = read_by;
    }
  }

  /// To the next tile, which is shorter than kTile only if it is the last one. find(list) looks
  /// through one step of `cursor`, puts what it finds behind `count` and raises that.
  template <class Find>
  BASIN_DEVICE bool advance(SpanCursor& cursor, Find&& find) {
    before = first;
    first = past;
    if (count - first < kTile && cursor.more()) {
      const int kept = kKeepsBefore ? before : first;  // from here on all move to the front
      const int left = count - kept;
      const int thread = static_cast<int>(threadIdx.x);
      const bool moves = kept > 0 && thread < left;
      std::int32_t number = 0;
      Word of_counted = 0;
      Word of_read = 0;
      if (moves) {
        number = numbers[kept + thread];
        of_counted = words > 0 ? counted()[kept + thread] : 0;
        of_read = words > 1 ? read()[kept + thread] : 0;
      }
      __syncthreads();
      if (moves) {
        put(thread, number, of_counted, of_read);
      }
      before = 0;
      first -= kept;
      count = left;
      while (count - first < kTile && cursor.more()) {
        find(*this);
      }
      __syncthreads();
    }
    past = first + kTile < count ? first + kTile : count;
    return first < past;
  }
};

/// With `kSamples` it can pass over but a sample of the keys.
template <Side kSide, int kRows, int kColumns, bool kAhead, bool kSamples>
class GatheredWalk {
 public:
  static constexpr bool kOfKeys = kSide == Side::keys;

 private:
  static_assert(kRows <= 64 && kRows % 8 == 0 && kColumns <= kTileThreads);
  static_assert(!kSamples || !kOfKeys);
  // Two threads look at four keys, or at one query, each for half of the rows.
  static constexpr int kHalf = kRows / 2;
  static constexpr int kStep = kTileThreads / 2 * (kOfKeys ? 1 : 4);
  static constexpr int kRowStep = kTileThreads * 4;
  static constexpr int kC = kColumns / kAcross;
  using Columns = FoundList<kColumns, kStep, kAhead>;
  using Rows = FoundList<kRows, kRowStep, false>;
  using Word = std::uint64_t;

 public:
  static std::size_t bytes(const GatheredRule& rule) {
    return Columns::bytes(rule.splits() ? 2 : 1) + (kOfKeys && rule.adds() ? Rows::bytes(0) : 0);
  }

  template <class P>
  BASIN_DEVICE GatheredWalk(const GatheredRule& rule, const P& p, std::int64_t b, std::int64_t h,
                            std::int64_t first, void* memory)
      : rule_(rule),
        b_(static_cast<unsigned>(b)),
        h_(static_cast<unsigned>(h)),
        row_(static_cast<unsigned>(first)) {
    const std::int64_t rows = kOfKeys ? p.M : p.L;
    const std::int64_t past = first + (kOfKeys ? rule.keys_of_block(kRows) : kRows);
    row_end_ = static_cast<unsigned>(past < rows ? past : rows);
    columns_.words = rule.splits() ? 2 : 1;
    columns_.numbers = reinterpret_cast<std::int32_t*>(static_cast<Word*>(memory) +
                                                       columns_.words * Columns::kRoom);
    if (adds()) {
      rows_.numbers = columns_.numbers + Columns::kRoom;
      return;
    }
    all_rows_ = low_bits(row_end_ - row_);
    cursor_ = kOfKeys ? SpanCursor(pairs().queries_for(row_, row_end_), 1)
                      : SpanCursor(pairs().keys_for(row_, row_end_), 4);
  }

  BASIN_DEVICE void limit_columns(std::int64_t begin, std::int64_t end) {
    Spans spans = pairs().keys_for(row_, row_end_);
    spans.begin = spans.begin < begin ? begin : spans.begin;
    spans.end = spans.end < end ? spans.end : end;
    spans.next_begin = spans.next_begin < begin ? begin : spans.next_begin;
    spans.next_end = spans.next_end < end ? spans.next_end : end;
    cursor_ = SpanCursor(spans, 4);
  }
  /// About how many columns there are to look at; before the first step.
  BASIN_DEVICE std::int64_t candidates() const { return cursor_.left(); }
  /// Before the first step: only columns for which is_sampled(.., below).
  BASIN_DEVICE void sample(std::uint64_t below) {
    static_assert(kSamples);
    sampled_below_ = below;
  }
  BASIN_DEVICE bool advance() {
    return columns_.advance(cursor_, [this](Columns& list) {
      if constexpr (kOfKeys) {
        find_queries(list);
      } else {
        find_keys(list);
      }
    });
  }
  template <int kWidth, class T>
  BASIN_DEVICE void load_rows(T* tile, const T* from, std::int64_t row_stride, std::int64_t width,
                              bool wide) const {
    kernels::load_rows<kRows, kWidth>(
        tile, from, row_stride, [this](int n) { return row(n); }, static_cast<int>(width), wide);
  }
  template <int kWidth, class T>
  BASIN_DEVICE void load_columns(T* tile, const T* from, std::int64_t row_stride,
                                 std::int64_t width, bool wide) const {
    kernels::load_rows<kColumns, kWidth>(
        tile, from, row_stride, [this](int n) { return column(n); }, static_cast<int>(width), wide);
  }
  BASIN_DEVICE std::int64_t row(int n) const {
    if (adds()) {
      return n < rows_.in_tile() ? rows_.numbers[rows_.first + n] : -1;
    }
    const unsigned number = row_ + static_cast<unsigned>(n);
    return number < row_end_ ? std::int64_t{number} : -1;
  }
  BASIN_DEVICE std::int64_t column(int n) const {
    return n < columns_.in_tile() ? columns_.numbers[columns_.first + n] : -1;
  }

  struct Sight {
    Word counted[kC];  // bit r kDown: row tile_y() + r kDown
    Word read[kC];
    bool partial;

    BASIN_DEVICE bool takes_part(int r, int c) const {
      return ((counted[c] >> (r * kDown)) & 1) != 0;
    }
    BASIN_DEVICE bool is_read(bool /*takes_part*/, int r, int c) const {
      return ((read[c] >> (r * kDown)) & 1) != 0;
    }
    /// Takes the pair out of the read-out, and out of the weights unless those are of all keys.
    BASIN_DEVICE void drop(int r, int c, bool from_weights) {
      const Word others = ~(Word{1} << (r * kDown));
      read[c] &= others;
      counted[c] &= from_weights ? others : ~Word{0};
    }
  };
  BASIN_DEVICE Sight sight() const {
    Sight result;
    bool whole = true;
    BASIN_UNROLL
    for (int c = 0; c < kC; ++c) {
      const int n = tile_x() + c * kAcross;
      const bool there = n < columns_.in_tile();
      const Word counted = there ? columns_.counted()[columns_.first + n] : 0;
      const Word read = there && columns_.words > 1 ? columns_.read()[columns_.first + n] : counted;
      whole = whole && (counted & read) == all_rows_;
      result.counted[c] = counted >> tile_y();
      result.read[c] = read >> tile_y();
    }
    // The lanes of a warp have all columns between them, so that all warps come to one answer.
    result.partial = __all_sync(kAllLanes, whole ? 1 : 0) == 0;
    return result;
  }

  struct Before {
    const Columns& list;
    bool partial;

    BASIN_DEVICE bool takes_part(int row, int column) const {
      const int at = list.before + column;
      return at < list.first && ((list.counted()[at] >> row) & 1) != 0;
    }
    BASIN_DEVICE bool is_read(int row, int column) const {
      const int at = list.before + column;
      const Word* const words = list.words > 1 ? list.read() : list.counted();
      return at < list.first && ((words[at] >> row) & 1) != 0;
    }
  };
  BASIN_DEVICE Before before() const {
    static_assert(kAhead);
    bool whole = true;
    for (int n = static_cast<int>(threadIdx.x) % kWarpSize; n < kColumns; n += kWarpSize) {
      const int at = columns_.before + n;
      const bool there = at < columns_.first;
      const Word counted = there ? columns_.counted()[at] : 0;
      const Word read = there && columns_.words > 1 ? columns_.read()[at] : counted;
      whole = whole && (counted & read) == all_rows_;
    }
    return {columns_, __all_sync(kAllLanes, whole ? 1 : 0) == 0};
  }

  BASIN_DEVICE bool next_rows() {
    if constexpr (kOfKeys) {
      if (!adds()) {
        return group_++ < 0;
      }
      const Visibility& seen = rule_.seen;
      while (!rows_.advance(row_cursor_, [this](Rows& list) { find_rows(list); })) {
        ++group_;
        const std::int64_t first = std::int64_t{group_} << seen.query_shift;
        if (first >= seen.L) {
          return false;
        }
        rows_.restart();
        row_cursor_ = SpanCursor({row_, row_end_, 0, 0}, 4);
      }
      const std::int64_t first = std::int64_t{group_} << seen.query_shift;
      const std::int64_t past = std::int64_t{group_ + 1} << seen.query_shift;
      all_rows_ = low_bits(rows_.in_tile());
      columns_.restart();
      cursor_ = SpanCursor({first, past < seen.L ? past : seen.L, 0, 0}, 1);
      return true;
    } else {
      return group_++ < 0;
    }
  }
  BASIN_DEVICE bool adds() const { return kOfKeys && rule_.adds(); }
  template <class T>
  BASIN_DEVICE T scale() const {
    return static_cast<T>(1.0 / (1.0 - rule_.dropout.p));
  }

 private:
  // Made where it is needed: while tiles are multiplied, registers are scarce.
  BASIN_DEVICE PairVisibility pairs() const {
    return {rule_.seen, rule_.dropout, rule_.normalise_all, b_, h_};
  }
  BASIN_DEVICE static Word low_bits(std::int64_t count) {
    return count >= 64 ? ~Word{0} : (Word{1} << count) - 1;
  }
  // The words of a pair of threads, each of which has the bits of its half of the rows.
  BASIN_DEVICE static Word of_both(std::uint32_t mine, std::uint32_t others) {
    const bool upper = threadIdx.x % 2 != 0;
    return upper ? (Word{mine} << kHalf) | others : (Word{others} << kHalf) | mine;
  }
  // Rows of this thread's half.
  BASIN_DEVICE static int half_begin() { return static_cast<int>(threadIdx.x % 2) * kHalf; }
  BASIN_DEVICE static int half_count(std::int64_t rows) {
    const std::int64_t left = rows - half_begin();
    return static_cast<int>(left < 0 ? 0 : (left < kHalf ? left : kHalf));
  }

  // Each thread ends with two of the four keys that a pair has looked at.
  BASIN_DEVICE void find_keys(Columns& list) {
    const std::int64_t key = cursor_.at() + threadIdx.x / 2 * 4;
    SightWords words[4] = {};
    unsigned sampled = 15;
    if constexpr (kSamples) {
      BASIN_UNROLL
      for (int e = 0; e < 4; ++e) {
        sampled &= is_sampled(key + e, sampled_below_) ? ~0u : ~(1u << e);
      }
    }
    if (key < cursor_.end() && sampled != 0) {
      pairs().look_at_keys(key, cursor_.begin(), cursor_.end(), row_ + half_begin(),
                           half_count(row_end_ - row_), words);
    }
    const bool upper = threadIdx.x % 2 != 0;
    Word counted[2];
    Word read[2];
    BASIN_UNROLL
    for (int e = 0; e < 2; ++e) {
      const SightWords mine = upper ? words[2 + e] : words[e];
      const SightWords given = upper ? words[e] : words[2 + e];
      counted[e] = of_both(mine.counted, __shfl_xor_sync(kAllLanes, given.counted, 1));
      read[e] = of_both(mine.read, __shfl_xor_sync(kAllLanes, given.read, 1));
      if constexpr (kSamples) {
        counted[e] = ((sampled >> ((upper ? 2 : 0) + e)) & 1u) != 0 ? counted[e] : 0;
      }
    }
    int total = 0;
    int at =
        list.count + block_offset((counted[0] != 0 ? 1 : 0) + (counted[1] != 0 ? 1 : 0), total);
    BASIN_UNROLL
    for (int e = 0; e < 2; ++e) {
      if (counted[e] != 0) {
        list.put(at, key + (upper ? 2 : 0) + e, counted[e], read[e]);
        ++at;
      }
    }
    list.count += total;
    cursor_.step(kStep);
  }

  // The even thread of a pair ends with the query that both have looked at.
  BASIN_DEVICE void find_queries(Columns& list) {
    const std::int64_t query = cursor_.at() + threadIdx.x / 2;
    SightWords words{0, 0};
    if (query < cursor_.end()) {
      if (adds()) {
        words = pairs().look_at_query(query, rows_.numbers + rows_.first + half_begin(),
                                      half_count(rows_.in_tile()));
      } else {
        words = pairs().look_at_query(query, row_ + half_begin(), half_count(row_end_ - row_));
      }
    }
    const Word counted = of_both(words.counted, __shfl_xor_sync(kAllLanes, words.counted, 1));
    const Word read = of_both(words.read, __shfl_xor_sync(kAllLanes, words.read, 1));
    const bool found = threadIdx.x % 2 == 0 && counted != 0;
    int total = 0;
    const int at = list.count + block_offset(found ? 1 : 0, total);
    if (found) {
      list.put(at, query, counted, read);
    }
    list.count += total;
    cursor_.step(kStep);
  }

  // Keys of the block's range that this group of queries draws: four for a thread.
  BASIN_DEVICE void find_rows(Rows& list) {
    const Visibility& seen = rule_.seen;
    const std::int64_t key = row_cursor_.at() + threadIdx.x * 4;
    std::uint32_t drawn = 0;
    if (key < row_cursor_.end()) {
      const std::array<std::uint32_t, 4> draws =
          seen.draws(b_, h_, std::int64_t{group_} << seen.query_shift, key);
      BASIN_UNROLL
      for (int e = 0; e < 4; ++e) {
        const bool there = key + e >= row_cursor_.begin() && key + e < row_cursor_.end();
        const bool kept = word_of(draws, (key + e) >> seen.key_shift) < seen.keep_below;
        drawn |= there && kept ? 1u << e : 0u;
      }
    }
    int total = 0;
    int at = list.count + block_offset(__popc(drawn), total);
    BASIN_UNROLL
    for (int e = 0; e < 4; ++e) {
      if (((drawn >> e) & 1u) != 0) {
        list.put(at, key + e, 0, 0);
        ++at;
      }
    }
    list.count += total;
    row_cursor_.step(kRowStep);
  }

  const GatheredRule& rule_;
  unsigned b_, h_;
  unsigned row_, row_end_;  // of the block, all sets together
  Word all_rows_ = 0;       // the rows there are
  Columns columns_;
  SpanCursor cursor_;
  Rows rows_;
  SpanCursor row_cursor_;
  int group_ = -1;  // of queries that share draws
  std::uint64_t sampled_below_ = Visibility::kKeepAll;
};

}  // namespace

}  // namespace basin::kernels
