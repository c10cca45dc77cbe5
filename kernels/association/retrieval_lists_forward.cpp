// Of each query of a tile: the largest score so far, a bound below which no key can have a weight,
// and a list of the keys above it. With z = (alpha - 1) (s - largest), tau >= -1, so the first
// bound is largest - 1 / (alpha - 1); now and then tau of the list itself gives a better one.
#include "kernels/association/retrieval_lists.h"
#include "kernels/association/row_weights.h"
#include "kernels/common/dispatch.h"
#include "kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/association/retrieval_lists_forward.cpp"
#include <hwy/foreach_target.h>
//
#include "kernels/association/candidate_list-inl.h"
#include "kernels/association/key_blocks-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

constexpr std::int64_t kListQueries = 48;  // of a tile: whole groups at every level
constexpr std::int64_t kRoom = 640;        // of a list, a block included
constexpr std::int64_t kFirstPrune = 48;   // entries after which a list looks for a better bound

// Elements between lists.
template <class T>
constexpr std::int64_t list_room() {
  return kRoom + kListSlack<T>;
}

// Where things lie in the scratch of a thread, in elements; indices count as elements.
template <class T>
struct ListLayout {
  std::int64_t M;
  std::int64_t scores() const { return kBlockRows * kKeysOfBlock; }
  std::int64_t lists() const { return kListQueries * list_room<T>(); }
  /// Scores and weights of a stored row, and of a list on its way to weights.
  std::int64_t rows() const { return 2 * std::max(M, list_room<T>()) + list_room<T>(); }
  std::int64_t elements() const { return scores() + 2 * lists() + rows(); }
};

template <class T>
struct Candidates {
  T* scores;
  IndexOf<T>* keys;
  std::int64_t count = 0;
  std::int64_t next_prune = kFirstPrune;
  T largest = -std::numeric_limits<T>::infinity();
  T bound = -std::numeric_limits<T>::infinity();
  bool overflows = false;
};

// Sums over x = z - tau > 0 in lanes that fit vectors: of x^p and x^(p - 1).
struct TauSums {
  double powers = 0;
  double slopes = 0;
};
template <class T>
TauSums tau_sums(const T* z, std::int64_t count, T tau, double p) {
  constexpr std::int64_t kWide = 16;
  TauSums sums;
  if (p != 1.0 && p != 2.0) {
    for (std::int64_t j = 0; j < count; ++j) {
      const double x = static_cast<double>(z[j]) - static_cast<double>(tau);
      if (x > 0) {
        const double lower = std::pow(x, p - 1);
        sums.slopes += lower;
        sums.powers += lower * x;
      }
    }
    return sums;
  }
  T powers[kWide] = {};
  T slopes[kWide] = {};
  const auto add = [&](std::int64_t lane, T value) {
    const T x = value > tau ? value - tau : T(0);
    if (p == 1.0) {
      powers[lane] += x;
      slopes[lane] += x > 0 ? T(1) : T(0);
    } else {
      powers[lane] += x * x;
      slopes[lane] += x;
    }
  };
  std::int64_t j = 0;
  for (; j + kWide <= count; j += kWide) {
    for (std::int64_t lane = 0; lane < kWide; ++lane) {
      add(lane, z[j + lane]);
    }
  }
  for (; j < count; ++j) {
    add(0, z[j]);
  }
  for (std::int64_t lane = 0; lane < kWide; ++lane) {
    sums.powers += static_cast<double>(powers[lane]);
    sums.slopes += static_cast<double>(slopes[lane]);
  }
  return sums;
}

// As solve_tau() of row_weights.h, over a whole row and without copying it.
template <class T>
T row_tau(const T* z, std::int64_t count, double p) {
  double tau = -1.0;
  constexpr int kMostSteps = 100;
  int falls = 0;
  for (int step = 0; step < kMostSteps; ++step) {
    const TauSums sums = tau_sums(z, count, static_cast<T>(tau), p);
    const double norm = std::pow(sums.powers, 1 / p);
    const double next = tau + (norm - 1) * std::pow(norm, p - 1) / sums.slopes;
    falls += next > tau ? 0 : 1;
    if (static_cast<T>(next) == static_cast<T>(tau) || next != next) {
      break;
    }
    tau = next;
    if (falls == 2) {
      break;
    }
  }
  return static_cast<T>(tau);
}

template <class T>
struct ListHead {
  const RetrievalForward& p;
  std::int64_t b, h;
  T beta, scale;
  double exponent;
  const T *q, *v, *blocks;
  bool prefix;  // nothing but causality and padding hides a key

  ListHead(const RetrievalForward& in, std::int64_t head, const T* packed)
      : p(in),
        b(head / in.H),
        h(head % in.H),
        beta(static_cast<const T*>(in.beta)[h]),
        q(in.q.head<T>(b, h)),
        v(in.v.head<T>(b, h)),
        blocks(packed + head * blocks_of(in.visibility.M) * key_block_size<T>(in.D)),
        prefix(in.visibility.is_prefix()) {
    const HeadRule rule = head_rule<T>(in.separation, h);
    scale = static_cast<T>(rule.alpha - 1);
    exponent = rule.kind == Separation::sparsemax ? 1.0 : 1 / (rule.alpha - 1);
  }

  Packed<T> block(std::int64_t n) const {
    return Packed<T>::of(blocks + n * key_block_size<T>(p.D), p.D);
  }
};

// Keys of the list that are not above the bound go; the others keep their order.
template <class T>
void filter(Candidates<T>& list) {
  list.count = filter_list(list.scores, list.keys, list.count, list.bound);
}

// Raises the bound to what tau of the list says. Returns a number that tau of the row is not below.
template <class T>
T raise_bound(const ListHead<T>& head, Candidates<T>& list, T* spare) {
  T tau;
  if (head.exponent == 1.0 || head.exponent == 2.0) {
    tau = tau_from_below(list.scores, list.count, list.largest, head.scale, head.exponent == 2.0);
  } else {
    for (std::int64_t n = 0; n < list.count; ++n) {
      spare[n] = head.scale * (list.scores[n] - list.largest);
    }
    tau = static_cast<T>(solve_tau(spare, list.count, head.exponent, spare + list_room<T>()));
  }
  // Newton's steps are rounded, and so are the scores that tau was made of.
  constexpr T kRoundings = 16 * std::numeric_limits<T>::epsilon();
  const T safe = std::max(T(-1), tau - kRoundings);
  const T bound =
      list.largest + safe / head.scale - kRoundings * (std::abs(list.largest) + T(1) / head.scale);
  list.bound = std::max(list.bound, bound);
  return safe;
}

template <class T>
void prune(const ListHead<T>& head, Candidates<T>& list, T* spare) {
  raise_bound(head, list, spare);
  filter(list);
  list.next_prune = std::max(kFirstPrune, 2 * list.count);
  list.overflows = list.count > kRoom - kKeysOfBlock;
}

// Takes in the scores of `count` keys from key `first` on; the scores can be read up to a whole
// vector.
template <class T>
void take(const ListHead<T>& head, std::int64_t i, const T* scores, std::int64_t first,
          std::int64_t count, Candidates<T>& list, T* spare) {
  const T reach = T(1) / head.scale;
  if (head.prefix) {
    list.largest = std::max(list.largest, vector_max(scores, count));
    list.bound = std::max(list.bound, list.largest - reach);
    list.count += take_above(scores, count, list.bound, first, list.scores + list.count,
                             list.keys + list.count);
  } else {
    // What is hidden must not raise the bound, so that the largest is known only afterwards.
    const std::int64_t found = take_above(scores, count, list.bound, first,
                                          list.scores + list.count, list.keys + list.count);
    std::int64_t end = list.count;
    for (std::int64_t n = list.count; n < list.count + found; ++n) {
      if (head.p.visibility.keep(head.b, head.h, i, list.keys[n])) {
        const T score = list.scores[n];
        list.scores[end] = score;
        list.keys[end++] = list.keys[n];
        list.largest = list.largest < score ? score : list.largest;
      }
    }
    list.count = end;
    list.bound = std::max(list.bound, list.largest - reach);
  }
  if (list.count > std::min(list.next_prune, kRoom - kKeysOfBlock)) {
    prune(head, list, spare);
  }
}

template <class T>
void write_statistics(const RetrievalForward& p, std::int64_t at, T largest, T tau) {
  T* statistics = static_cast<T*>(p.statistics) + 3 * at;
  statistics[0] = largest;
  statistics[1] = tau;
  statistics[2] = -std::numeric_limits<T>::infinity();
  if (p.steps != nullptr) {
    p.steps[at] = 1;
  }
}

template <class T>
HWY_INLINE void add_row(const T* x, T weight, std::int64_t width, T* to) {
  for (std::int64_t c = 0; c < width; ++c) {
    to[c] += weight * x[c];
  }
}

// The exact way for a row whose list overflowed.
template <class T>
void solve_row(const ListHead<T>& head, std::int64_t i, T* out, T* spare) {
  const RetrievalForward& p = head.p;
  const KeyRange range = keys_of_queries(p.visibility, head.b, i, i + 1);
  T* scores = spare;
  const Left<T> q{head.q + i * p.q.row_stride, p.q.row_stride, 1};
  for (std::int64_t n = range.begin / kKeysOfBlock; n * kKeysOfBlock < range.end; ++n) {
    const std::int64_t first = n * kKeysOfBlock;
    product(1, std::min(kKeysOfBlock, range.end - first), p.D, q, head.block(n), scores + first,
            kKeysOfBlock, Update<T>{head.beta, T(0)});
  }
  for (std::int64_t j = range.begin; !head.prefix && j < range.end; ++j) {
    if (!p.visibility.keep(head.b, head.h, i, j)) {
      scores[j] = -std::numeric_limits<T>::infinity();
    }
  }
  T* z = scores + range.begin;
  const std::int64_t count = range.end - range.begin;
  const T largest = vector_max(z, count);
  bool is_number = largest < std::numeric_limits<T>::infinity();
  for (std::int64_t j = 0; j < count; ++j) {
    is_number = is_number && z[j] == z[j];
    z[j] = head.scale * (z[j] - largest);
  }
  const T tau = is_number ? row_tau(z, count, head.exponent) : std::numeric_limits<T>::quiet_NaN();
  for (std::int64_t j = 0; j < count; ++j) {
    const double x = static_cast<double>(z[j]) - static_cast<double>(tau);
    if (!(x <= 0)) {
      add_row(head.v + (range.begin + j) * p.v.row_stride, static_cast<T>(power(x, head.exponent)),
              p.Dv, out);
    }
  }
  write_statistics(p, (head.b * p.H + head.h) * p.visibility.L + i, largest, tau);
}

// Weights of the list and what they read.
template <class T>
void finish(const ListHead<T>& head, std::int64_t i, Candidates<T>& list, T* spare) {
  const RetrievalForward& p = head.p;
  T* out = p.out.head<T>(head.b, head.h) + i * p.out.row_stride;
  std::fill(out, out + p.Dv, T(0));
  if (list.overflows) {
    solve_row(head, i, out, spare);
    return;
  }
  const std::int64_t at = (head.b * p.H + head.h) * p.visibility.L + i;
  bool is_number = list.largest < std::numeric_limits<T>::infinity();
  for (std::int64_t n = 0; n < list.count; ++n) {
    is_number = is_number && list.scores[n] == list.scores[n];
  }
  if (!is_number) {
    std::fill(out, out + p.Dv, std::numeric_limits<T>::quiet_NaN());
    write_statistics(p, at, list.largest, std::numeric_limits<T>::quiet_NaN());
    return;
  }
  if (list.count == 0) {
    write_statistics(p, at, list.largest, T(0));
    return;
  }
  const T start = raise_bound(head, list, spare);
  filter(list);
  for (std::int64_t n = 0; n < list.count; ++n) {
    spare[n] = head.scale * (list.scores[n] - list.largest);
  }
  const double tau = solve_tau(spare, list.count, head.exponent, spare + list_room<T>(),
                               static_cast<double>(start));
  std::int64_t support = 0;
  for (std::int64_t n = 0; n < list.count; ++n) {
    const double x = static_cast<double>(spare[n]) - tau;
    if (x > 0) {
      list.scores[support] = static_cast<T>(power(x, head.exponent));
      list.keys[support++] = list.keys[n];
    }
  }
  add_list(RowList<T>{head.v, p.v.row_stride, list.keys, list.scores, support}, p.Dv, out);
  write_statistics(p, at, list.largest, static_cast<T>(tau));
}

template <class T>
void list_tile(const ListHead<T>& head, std::int64_t begin, T* scratch) {
  const RetrievalForward& p = head.p;
  const Visibility& seen = p.visibility;
  const ListLayout<T> layout{seen.M};
  const std::int64_t rows = std::min(kListQueries, seen.L - begin);
  T* scores = scratch;
  T* list_scores = scores + layout.scores();
  auto* list_keys = reinterpret_cast<IndexOf<T>*>(list_scores + layout.lists());
  T* spare = list_scores + 2 * layout.lists();
  Candidates<T> lists[kListQueries];
  for (std::int64_t r = 0; r < rows; ++r) {
    lists[r].scores = list_scores + r * list_room<T>();
    lists[r].keys = list_keys + r * list_room<T>();
  }
  const Left<T> q{head.q + begin * p.q.row_stride, p.q.row_stride, 1};
  const KeyRange range = keys_of_queries(seen, head.b, begin, begin + rows);
  for (std::int64_t n = range.begin / kKeysOfBlock; n * kKeysOfBlock < range.end; ++n) {
    const std::int64_t first = n * kKeysOfBlock;
    for (std::int64_t r = 0; r < rows; r += kBlockRows) {
      const std::int64_t group = std::min<std::int64_t>(kBlockRows, rows - r);
      const auto within = [&](std::int64_t row) {
        return std::clamp<std::int64_t>(seen.prefix(head.b, begin + row) - first, 0, kKeysOfBlock);
      };
      const std::int64_t most = within(r + group - 1);
      if (most == 0) {
        continue;
      }
      product(group, most, p.D, q.at(r, 0), head.block(n), scores, kKeysOfBlock,
              Update<T>{head.beta, T(0)});
      for (std::int64_t g = 0; g < group; ++g) {
        if (!lists[r + g].overflows) {
          take(head, begin + r + g, scores + g * kKeysOfBlock, first, within(r + g), lists[r + g],
               spare);
        }
      }
    }
  }
  for (std::int64_t r = 0; r < rows; ++r) {
    finish(head, begin + r, lists[r], spare);
  }
}

template <class T>
void lists_forward(const RetrievalForward& p, const CpuContext& context) {
  T* packed = static_cast<T*>(p.workspace);
  T* scratch = packed + p.B * p.H * blocks_of(p.visibility.M) * key_block_size<T>(p.D);
  pack_all_keys(p, context, packed);
  const std::int64_t tiles = (p.visibility.L + kListQueries - 1) / kListQueries;
  const ListLayout<T> layout{p.visibility.M};
  context.pool->run(p.B * p.H * tiles, [&](std::int64_t chunk) {
    const ListHead<T> head(p, chunk / tiles, packed);
    // The longest rows of a causal head first: the last chunks are then short ones.
    list_tile(head, (tiles - 1 - chunk % tiles) * kListQueries,
              scratch + ThreadPool::thread_index() * layout.elements());
  });
}

void lists_forward_target(const RetrievalForward& p, const CpuContext& context) {
  if (p.dtype == DType::f64) {
    lists_forward<double>(p, context);
  } else {
    lists_forward<float>(p, context);
  }
}

template <class T>
std::int64_t lists_forward_bytes(const RetrievalForward& p, const CpuContext& context) {
  const std::int64_t packed = p.B * p.H * blocks_of(p.visibility.M) * key_block_size<T>(p.D);
  return (packed + context.pool->threads() * ListLayout<T>{p.visibility.M}.elements()) *
         static_cast<std::int64_t>(sizeof(T));
}

std::int64_t lists_forward_workspace_target(const RetrievalForward& p, const CpuContext& context) {
  return p.dtype == DType::f64 ? lists_forward_bytes<double>(p, context)
                               : lists_forward_bytes<float>(p, context);
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace basin::kernels {

HWY_EXPORT(lists_forward_target);
HWY_EXPORT(lists_forward_workspace_target);

void retrieval_lists_forward(const RetrievalForward& p, const CpuContext& context) {
  HWY_DYNAMIC_DISPATCH(lists_forward_target)(p, context);
}

std::int64_t retrieval_lists_forward_workspace(const RetrievalForward& p,
                                               const CpuContext& context) {
  return HWY_DYNAMIC_DISPATCH(lists_forward_workspace_target)(p, context);
}

}  // namespace basin::kernels
#endif
