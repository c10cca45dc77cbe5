// The scores of a tile of queries and the least that each keeps. Both directions find them in the
// same way from the same products, so that they agree to the bit. Included once per target.
#if defined(BASIN_KERNELS_ASSOCIATION_TOP_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BASIN_KERNELS_ASSOCIATION_TOP_ROWS_INL_H_
#undef BASIN_KERNELS_ASSOCIATION_TOP_ROWS_INL_H_
#else
#define BASIN_KERNELS_ASSOCIATION_TOP_ROWS_INL_H_
#endif

#include <limits>

#include "kernels/association/key_blocks-inl.h"
#include "kernels/association/list_sums-inl.h"
#include "kernels/simd/select-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

constexpr std::int64_t kTopQueries = 2 * kBlockRows;  // of a tile

/// The scratch of a thread, in elements; numbers of keys have the size of one.
template <class T>
struct TopLayout {
  std::int64_t M;
  std::int64_t row() const { return blocks_of(M) * kKeysOfBlock; }
  std::int64_t scores() const { return kTopQueries * row(); }
  std::int64_t spare() const { return row() + 2 * kLanesOf<T>; }
  /// Of a block: numbers, scores and slopes of the keys that one query keeps.
  static constexpr std::int64_t list() { return kKeysOfBlock + kLanesOf<T>; }
  static constexpr std::int64_t lists() { return 3 * kTopQueries * list(); }
  std::int64_t elements() const { return scores() + spare() + lists(); }
};

/// One head in either direction.
template <class T, class P>
struct TopHead {
  const P& p;
  std::int64_t b, h;
  T beta;
  const T *q, *v, *blocks;
  bool prefix;  // nothing but causality, padding and top-k hides a key

  TopHead(const P& in, std::int64_t head, const T* packed)
      : p(in),
        b(head / in.H),
        h(head % in.H),
        beta(static_cast<const T*>(in.beta)[h]),
        q(in.q.template head<T>(b, h)),
        v(in.v.template head<T>(b, h)),
        blocks(packed + head * blocks_of(in.visibility.M) * key_block_size<T>(in.D)) {
    Visibility rest = in.visibility;
    rest.top_k = 0;
    rest.top_fraction = 0;
    prefix = rest.is_prefix();
  }
};

/// The keys of a block that one query keeps, by number within the block.
template <class T>
struct KeptKeys {
  IndexOf<T>* numbers;
  T* weights;
  T* slopes;
  std::int64_t count;

  RowList<T> weights_of(const T* rows, std::int64_t stride) const {
    return {rows, stride, numbers, weights, count};
  }
  RowList<T> slopes_of(const T* rows, std::int64_t stride) const {
    return {rows, stride, numbers, slopes, count};
  }
};

/// What is known of one query of a tile.
template <class T>
struct TopRow {
  T largest = -std::numeric_limits<T>::infinity();
  T threshold = -std::numeric_limits<T>::infinity();  ///< as in the statistics
};

/// The queries begin ... begin + rows - 1: scores by whole blocks of keys first ... end - 1, where
/// a hidden key has -inf.
template <class T, class P>
struct TopTile {
  const TopHead<T, P>& head;
  std::int64_t begin, rows, first, end;
  T* scores;
  T* spare;
  T* lists;
  TopRow<T> row[kTopQueries];

  TopTile(const TopHead<T, P>& in, std::int64_t from, std::int64_t to, T* scratch)
      : head(in), begin(from), rows(to - from) {
    const TopLayout<T> layout{head.p.visibility.M};
    scores = scratch;
    spare = scores + layout.scores();
    lists = spare + layout.spare();
    const KeyRange range = keys_of_queries(head.p.visibility, head.b, from, to);
    first = range.begin / kKeysOfBlock * kKeysOfBlock;
    end = std::max(first, range.end);
    score();
    for (std::int64_t r = 0; r < rows; ++r) {
      row[r] = decide(scores_of(r), hide(begin + r, scores_of(r)));
    }
  }

  std::int64_t blocks_end() const { return first + blocks_of(end - first) * kKeysOfBlock; }
  T* scores_of(std::int64_t r) const {
    return scores + r * TopLayout<T>{head.p.visibility.M}.row();
  }

  KeptKeys<T> list_of(std::int64_t r) const {
    constexpr std::int64_t size = TopLayout<T>::list();
    T* at = lists + 3 * r * size;
    return {reinterpret_cast<IndexOf<T>*>(at), at + size, at + 2 * size, 0};
  }

  /// The keys of one block that query r keeps, with their scores for weights.
  KeptKeys<T> keep(std::int64_t r, std::int64_t block) const {
    const hn::ScalableTag<T> d;
    const hn::RebindToSigned<decltype(d)> di;
    // A key of score -inf has weight 0; NaN is kept.
    const auto least = hn::Set(d, std::max(row[r].threshold, std::numeric_limits<T>::lowest()));
    const T* from = scores_of(r) + block;
    KeptKeys<T> list = list_of(r);
    for (std::int64_t j = 0; j < kKeysOfBlock; j += kLanesOf<T>) {
      const auto value = hn::LoadU(d, from + j);
      const auto mask = hn::Not(hn::Lt(value, least));
      hn::StoreU(hn::Compress(value, mask), d, list.weights + list.count);
      hn::StoreU(hn::Compress(hn::Iota(di, static_cast<IndexOf<T>>(j)), hn::RebindMask(di, mask)),
                 di, list.numbers + list.count);
      list.count += static_cast<std::int64_t>(hn::CountTrue(d, mask));
    }
    return list;
  }

 private:
  void score() {
    const P& p = head.p;
    const Left<T> q{head.q + begin * p.q.row_stride, p.q.row_stride, 1};
    for (std::int64_t at = first; at < end; at += kKeysOfBlock) {
      product(rows, std::min(kKeysOfBlock, end - at), p.D, q,
              Packed<T>::of(head.blocks + at / kKeysOfBlock * key_block_size<T>(p.D), p.D),
              scores + at, TopLayout<T>{p.visibility.M}.row(), Update<T>{head.beta, T(0)});
    }
  }

  /// Gives hidden keys -inf; returns how many are visible.
  std::int64_t hide(std::int64_t i, T* x) const {
    constexpr T hidden = -std::numeric_limits<T>::infinity();
    const Visibility& seen = head.p.visibility;
    const std::int64_t last = std::clamp(seen.prefix(head.b, i), first, end);
    std::fill(x + last, x + blocks_end(), hidden);
    if (head.prefix) {
      return last - first;
    }
    std::int64_t visible = 0;
    DrawsOfQuery drawn(seen, head.b, head.h, i);
    for (std::int64_t j = first; j < last; ++j) {
      if (seen.in_window(i, j) && seen.in_mask(head.b, head.h, i, j) && drawn(j)) {
        ++visible;
      } else {
        x[j] = hidden;
      }
    }
    return visible;
  }

  TopRow<T> decide(const T* x, std::int64_t visible) const {
    const hn::ScalableTag<T> d;
    TopRow<T> found;
    const std::int64_t count = blocks_end() - first;
    auto most = hn::Set(d, found.largest);
    auto not_numbers = hn::Zero(d);
    for (std::int64_t j = 0; j < count; j += kLanesOf<T>) {
      const auto value = hn::LoadU(d, x + first + j);
      most = hn::Max(most, value);
      not_numbers = hn::Or(not_numbers, hn::VecFromMask(d, hn::IsNaN(value)));
    }
    found.largest = hn::GetLane(hn::MaxOfLanes(d, most));
    const std::int64_t wanted = head.p.visibility.top_count(head.b);
    if (wanted < visible && hn::AllFalse(d, hn::MaskFromVec(not_numbers))) {
      found.threshold = kth_largest(x + first, count, wanted, spare);
    }
    return found;
  }
};

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
