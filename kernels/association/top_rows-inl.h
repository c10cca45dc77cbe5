// The kept keys of a group of queries, and their weights. Both directions find them in the same way
// from the same products, so that they agree to the bit. Included once per target.
#if defined(BASIN_KERNELS_ASSOCIATION_TOP_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BASIN_KERNELS_ASSOCIATION_TOP_ROWS_INL_H_
#undef BASIN_KERNELS_ASSOCIATION_TOP_ROWS_INL_H_
#else
#define BASIN_KERNELS_ASSOCIATION_TOP_ROWS_INL_H_
#endif

#include <bit>
#include <limits>
#include <type_traits>

#include "kernels/association/key_blocks-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

/// The scratch of a thread, in elements; ordered numbers and indices have the size of one.
template <class T>
struct TopLayout {
  std::int64_t M;
  std::int64_t scores() const { return kBlockRows * (M + kKeysOfBlock); }
  std::int64_t elements() const { return scores() + 4 * M; }
};

/// A number whose order as an unsigned integer is that of x; not for NaN.
template <class T>
HWY_INLINE auto ordered(T x) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  constexpr Bits kSign = Bits{1} << (8 * sizeof(T) - 1);
  const Bits bits = std::bit_cast<Bits>(x);
  return (bits & kSign) != 0 ? static_cast<Bits>(~bits) : static_cast<Bits>(bits | kSign);
}
template <class T, class Bits>
T from_ordered(Bits bits) {
  constexpr Bits kSign = Bits{1} << (8 * sizeof(T) - 1);
  return std::bit_cast<T>((bits & kSign) != 0 ? static_cast<Bits>(bits & ~kSign)
                                              : static_cast<Bits>(~bits));
}

/// The k-th largest of `count` >= k >= 1 numbers: bit by bit, the largest bound that at least k of
/// them reach. `keys` is scratch.
template <class T, class Bits>
T kth_largest(const T* x, std::int64_t count, std::int64_t k, Bits* keys) {
  for (std::int64_t j = 0; j < count; ++j) {
    keys[j] = ordered(x[j]);
  }
  Bits bound = 0;
  for (int bit = 8 * static_cast<int>(sizeof(T)) - 1; bit >= 0; --bit) {
    const Bits candidate = bound | (Bits{1} << bit);
    std::int64_t reach = 0;
    constexpr std::int64_t kPiece = 4096;  // so that a piece is counted in 32 bits
    for (std::int64_t begin = 0; begin < count; begin += kPiece) {
      const std::int64_t end = std::min(begin + kPiece, count);
      std::uint32_t found = 0;
      for (std::int64_t j = begin; j < end; ++j) {
        found += keys[j] >= candidate ? 1u : 0u;
      }
      reach += found;
    }
    if (reach >= k) {
      bound = candidate;
      if (reach == k) {
        // The least of those that reach it is the answer: later bits only narrow it down.
        Bits least = ~Bits{0};
        for (std::int64_t j = 0; j < count; ++j) {
          least = keys[j] >= candidate && keys[j] < least ? keys[j] : least;
        }
        return from_ordered<T>(least);
      }
    }
  }
  return from_ordered<T>(bound);
}

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

/// What one query keeps.
template <class T>
struct TopRow {
  std::int32_t* keys;
  T* weights;
  std::int64_t count = 0;
  T largest = -std::numeric_limits<T>::infinity();
  T sum = 0;
  T threshold = -std::numeric_limits<T>::infinity();
};

/// scores (rows, M + kKeysOfBlock) of queries begin ...; returns their range of keys.
template <class T, class P>
KeyRange score_group(const TopHead<T, P>& head, std::int64_t begin, std::int64_t rows, T* scores) {
  const P& p = head.p;
  const KeyRange range = keys_of_queries(p.visibility, head.b, begin, begin + rows);
  const Left<T> q{head.q + begin * p.q.row_stride, p.q.row_stride, 1};
  const std::int64_t stride = p.visibility.M + kKeysOfBlock;
  for (std::int64_t n = range.begin / kKeysOfBlock; n * kKeysOfBlock < range.end; ++n) {
    const std::int64_t first = n * kKeysOfBlock;
    product(rows, std::min(kKeysOfBlock, range.end - first), p.D, q,
            Packed<T>::of(head.blocks + n * key_block_size<T>(p.D), p.D), scores + first, stride,
            Update<T>{head.beta, T(0)});
  }
  return range;
}

/// The kept keys of query i, from its scores, with weights e^(s - largest). `spare` has room for 2
/// M.
template <class T, class P>
void keep_top(const TopHead<T, P>& head, std::int64_t i, const KeyRange& range, const T* scores,
              TopRow<T>& row, T* spare) {
  const Visibility& seen = head.p.visibility;
  T* visible = spare;
  std::int64_t count = 0;
  const std::int64_t end = std::min(range.end, seen.prefix(head.b, i));
  bool is_number = true;
  for (std::int64_t j = range.begin; j < end; ++j) {
    if (head.prefix || seen.keep(head.b, head.h, i, j)) {
      visible[count] = scores[j];
      row.keys[count++] = static_cast<std::int32_t>(j);
      is_number = is_number && scores[j] == scores[j];
    }
  }
  const std::int64_t wanted = seen.top_count(head.b);
  if (is_number && wanted < count) {
    using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
    row.threshold = kth_largest(visible, count, wanted, reinterpret_cast<Bits*>(spare + seen.M));
  }
  row.count = 0;
  for (std::int64_t n = 0; n < count; ++n) {
    row.weights[row.count] = visible[n];
    row.keys[row.count] = row.keys[n];
    row.count += visible[n] < row.threshold ? 0 : 1;
  }
  if (row.count > 0) {
    row.largest = vector_max(row.weights, row.count);
    row.sum = vector_exp_sum(row.weights, row.weights, row.count, row.largest);
  }
}

template <class T>
HWY_INLINE void add_times(const T* x, T factor, std::int64_t width, T* to) {
  for (std::int64_t c = 0; c < width; ++c) {
    to[c] += factor * x[c];
  }
}

/// Where the parts of a thread's scratch lie.
template <class T>
struct TopScratch {
  T* scores;
  TopRow<T> row;
  T* spare;

  TopScratch(T* data, std::int64_t M) : scores(data) {
    const TopLayout<T> layout{M};
    row.weights = data + layout.scores();
    row.keys = reinterpret_cast<std::int32_t*>(row.weights + M);
    spare = row.weights + 2 * M;
  }
  void start() { row = TopRow<T>{row.keys, row.weights}; }
};

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
