// One query against one head: which keys it sees, their weights, what it reads, and the way back.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/association/heads.h"
#include "kernels/association/row_weights.h"
#include "kernels/association/visibility.h"

namespace basin::kernels {

/// Scratch of a thread for rows of at most M keys.
template <class T>
struct RowScratch {
  std::int64_t* all;                     ///< keys whose scores are computed
  std::int64_t* keys;                    ///< keys that take part in the weights
  T *scores, *weights, *slopes, *spare;  ///< spare: 2 M

  static constexpr std::int64_t bytes(std::int64_t M) {
    return 2 * M * static_cast<std::int64_t>(sizeof(std::int64_t)) +
           5 * M * static_cast<std::int64_t>(sizeof(T)) + 8;
  }
  RowScratch(void* memory, std::int64_t M)
      : all(static_cast<std::int64_t*>(memory)),
        keys(all + M),
        scores(reinterpret_cast<T*>(keys + M)),
        weights(scores + M),
        slopes(weights + M),
        spare(slopes + M) {}
};

/// Bytes of scratch as whole doubles, so that what follows is aligned.
constexpr std::int64_t whole_doubles(std::int64_t bytes) { return (bytes + 7) / 8 * 8; }

template <class T>
struct Row {
  const Visibility& visibility;
  const SeparationRule& separation;
  HeadRule rule;
  RowScratch<T> scratch;
  std::int64_t b, h, i;
  T beta;
  const T* k;
  std::int64_t k_row, D;

  std::int64_t all_count = 0;  ///< of scratch.all
  std::int64_t count = 0;      ///< of scratch.keys
  RowLevel<T> level{};
  T threshold = -std::numeric_limits<T>::infinity();

  /// Finds the keys whatever the state is; once for all steps of a query.
  void gather() {
    all_count = 0;
    const auto take = [&](std::int64_t j) { scratch.all[all_count++] = j; };
    if (separation.normalise_all) {
      for (std::int64_t j = 0; j < visibility.length(b); ++j) {
        take(j);
      }
    } else {
      for_each_visible(visibility, b, h, i, take);
    }
  }

  /// Scores, top-k and weights of a state.
  void weigh(const T* state) {
    T* scores = scratch.scores;
    for (std::int64_t n = 0; n < all_count; ++n) {
      scores[n] = beta * row_dot(state, k + scratch.all[n] * k_row, D);
    }
    threshold = visibility.has_top() ? least_of_top() : -std::numeric_limits<T>::infinity();
    count = 0;
    for (std::int64_t n = 0; n < all_count; ++n) {
      if (separation.normalise_all || !(scores[n] < threshold)) {
        scratch.keys[count] = scratch.all[n];
        scores[count++] = scores[n];
      }
    }
    if (count > 0) {
      level = row_weights(rule, scores, count, scratch.weights, scratch.spare);
    }
  }

  /// Whether key n of the row may be read out.
  bool reads(std::int64_t n) const {
    if (rule.is_sparse() && scratch.weights[n] == 0) {
      return false;
    }
    return !separation.normalise_all ||
           (visibility.keep(b, h, i, scratch.keys[n]) && !(scratch.scores[n] < threshold));
  }

  /// y = sum of weights times rows of x (M, width).
  void read(const T* x, std::int64_t x_row, std::int64_t width, const WeightDropout& dropout,
            T* y) const {
    std::fill(y, y + width, T(0));
    for (std::int64_t n = 0; n < count; ++n) {
      const std::int64_t j = scratch.keys[n];
      if (!reads(n)) {
        continue;
      }
      const T factor = static_cast<T>(dropout.factor(b, h, i, j));
      if (factor != 0) {
        row_add(y, x + j * x_row, width, factor * scratch.weights[n]);
      }
    }
  }

  /// The way back through read() and weigh(): given dy, adds to dx (the rows that were read) and
  /// dk, and leaves sum_j ds_j k_j in `dstate`, which beta turns into the gradient of the state.
  void backward(const T* state, const T* x, std::int64_t x_row, std::int64_t width,
                const WeightDropout& dropout, const T* dy, T* dx, std::int64_t dx_row, T* dk,
                std::int64_t dk_row, T* dstate, double& dalpha) {
    T* slopes = scratch.slopes;
    for (std::int64_t n = 0; n < count; ++n) {
      const std::int64_t j = scratch.keys[n];
      const T factor = reads(n) ? static_cast<T>(dropout.factor(b, h, i, j)) : T(0);
      slopes[n] = 0;
      if (factor != 0) {
        slopes[n] = factor * row_dot(dy, x + j * x_row, width);
        row_add(dx + j * dx_row, dy, width, factor * scratch.weights[n]);
      }
    }
    std::fill(dstate, dstate + D, T(0));
    if (count > 0) {
      row_slopes(rule, scratch.scores, scratch.weights, count, slopes, dalpha);
    }
    for (std::int64_t n = 0; n < count; ++n) {
      const std::int64_t j = scratch.keys[n];
      if (rule.is_sparse() && scratch.weights[n] == 0) {
        continue;
      }
      row_add(dstate, k + j * k_row, D, slopes[n]);
      row_add(dk + j * dk_row, state, D, beta * slopes[n]);
    }
  }

  /// The energy of a state x after gather(), see RetrievalEnergy; 0 where nothing is seen. Weighs
  /// x.
  T energy(const T* x) {
    if (all_count == 0) {
      return 0;
    }
    weigh(x);
    const double half = static_cast<double>(row_dot(x, x, D)) / 2;
    if (rule.kind == Separation::softmax) {
      double longest = 0;
      for (std::int64_t n = 0; n < count; ++n) {
        const T* pattern = k + scratch.keys[n] * k_row;
        longest = std::max(longest, static_cast<double>(row_dot(pattern, pattern, D)));
      }
      const double lse =
          static_cast<double>(level.largest) + std::log(static_cast<double>(level.level));
      return static_cast<T>(half - lse / static_cast<double>(beta) +
                            std::log(static_cast<double>(count)) / static_cast<double>(beta) +
                            longest / 2);
    }
    double reward = 0;  // P.s - Omega(P)
    const double alpha = rule.alpha;
    for (std::int64_t n = 0; n < count; ++n) {
      const double weight = static_cast<double>(scratch.weights[n]);
      if (weight != 0) {
        reward += weight * static_cast<double>(scratch.scores[n]) -
                  (std::pow(weight, alpha) - weight) / (alpha * (alpha - 1));
      }
    }
    return static_cast<T>(half - reward / static_cast<double>(beta));
  }

 private:
  /// The top_count-th largest score of the visible keys; -inf if there are no more than that, or if
  /// one is NaN (which then shows in the weights).
  T least_of_top() {
    T* visible = scratch.spare;
    std::int64_t found = 0;
    for (std::int64_t n = 0; n < all_count; ++n) {
      if (!separation.normalise_all || visibility.keep(b, h, i, scratch.all[n])) {
        if (scratch.scores[n] != scratch.scores[n]) {
          return -std::numeric_limits<T>::infinity();
        }
        visible[found++] = scratch.scores[n];
      }
    }
    const std::int64_t wanted = visibility.top_count(b);
    if (found <= wanted) {
      return -std::numeric_limits<T>::infinity();
    }
    std::nth_element(visible, visible + (wanted - 1), visible + found,
                     [](T x, T y) { return x > y; });
    return visible[wanted - 1];
  }
};

/// Whether the state is as good as settled: |next - state| <= tolerance |state|.
template <class T>
bool has_settled(const T* state, const T* next, std::int64_t width, double tolerance) {
  if (!(tolerance > 0)) {
    return false;
  }
  double moved = 0;
  double size = 0;
  for (std::int64_t d = 0; d < width; ++d) {
    const double step = static_cast<double>(next[d]) - static_cast<double>(state[d]);
    moved += step * step;
    size += static_cast<double>(state[d]) * static_cast<double>(state[d]);
  }
  return moved <= tolerance * tolerance * size;
}

}  // namespace basin::kernels
