// A warp with one query: which keys it sees, their weights, what it reads and the way back. The
// rules are those of retrieval_row.h; lanes share the keys where numbers belong to keys and the
// columns where rows are added up, so that every sum has one order.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/association/ordered_bits.cuh"
#include "kernels/association/row_weights.h"
#include "kernels/association/visibility.h"
#include "kernels/common/block_reduce.cuh"
#include "kernels/common/device.h"

namespace basin::kernels {

namespace {

/// Scratch of a warp for rows of at most M keys and `rows` states of width D.
template <class T>
struct WarpScratch {
  T *scores, *weights, *read, *slopes, *states;
  std::int32_t* keys;  ///< j, or ~j of a key that takes part in the weights without being visible

  BASIN_HOST_DEVICE static std::int64_t bytes(std::int64_t M, std::int64_t rows, std::int64_t D) {
    return ((4 * M + rows * D) * static_cast<std::int64_t>(sizeof(T)) + 4 * M + 7) / 8 * 8;
  }
  BASIN_DEVICE WarpScratch(char* memory, std::int64_t M, std::int64_t rows, std::int64_t D)
      : scores(reinterpret_cast<T*>(memory)),
        weights(scores + M),
        read(weights + M),
        slopes(read + M),
        states(slopes + M),
        keys(reinterpret_cast<std::int32_t*>(states + rows * D)) {}
};

template <class T>
BASIN_DEVICE inline T dot(const T* x, const T* y, std::int64_t count) {
  T sum = 0;
  for (std::int64_t c = 0; c < count; ++c) {
    sum += x[c] * y[c];
  }
  return sum;
}

/// For every lane, Op over value(n), n < count.
template <class Op, class T, class F>
BASIN_DEVICE inline T over_lanes(std::int64_t count, F&& value) {
  T result = Op::template identity<T>();
  for (std::int64_t n = threadIdx.x; n < count; n += kWarpSize) {
    result = Op::of(result, value(n));
  }
  return warp_reduce<Op>(result);
}

template <class T>
struct WarpRow {
  Visibility visibility;
  bool normalise_all;
  HeadRule rule;
  WarpScratch<T> scratch;
  std::int64_t b, h, i;
  T beta;
  const T* k;
  std::int64_t k_row, D;

  std::int64_t count = 0;    ///< of scratch.keys
  int taking_part = 0;       ///< in the weights
  T largest = -T(INFINITY);  ///< the statistics of the last step
  T level = 0;
  T threshold = -T(INFINITY);

  BASIN_DEVICE std::int64_t key(std::int64_t n) const {
    const std::int32_t j = scratch.keys[n];
    return j < 0 ? ~j : j;
  }
  BASIN_DEVICE bool is_visible(std::int64_t n) const { return scratch.keys[n] >= 0; }
  BASIN_DEVICE bool is_above(std::int64_t n) const { return !(scratch.scores[n] < threshold); }
  BASIN_DEVICE bool takes_part(std::int64_t n) const { return normalise_all || is_above(n); }
  BASIN_DEVICE bool is_dropped(std::int64_t n) const {
    return rule.is_sparse() && scratch.weights[n] == 0;
  }

  /// Finds the keys whatever the state is; once for all steps of a query.
  BASIN_DEVICE void gather() {
    const Visibility& s = visibility;
    // Candidates: the first `front` keys, then those of the window from `first` on.
    std::int64_t front = normalise_all ? s.length(b) : s.prefix(b, i);
    std::int64_t first = 0;
    std::int64_t candidates = front;
    if (!normalise_all && !s.is_global(i)) {
      const std::int64_t end = front;
      const std::int64_t position = i + s.M - s.L;
      front = s.global_tokens < end ? s.global_tokens : end;
      first = position - s.reach();
      if (first < front) {
        first += (front - first + s.dilation - 1) / s.dilation * s.dilation;
      }
      const std::int64_t past = position + s.reach() + 1 < end ? position + s.reach() + 1 : end;
      candidates = front + (first < past ? (past - first + s.dilation - 1) / s.dilation : 0);
    }
    count = 0;
    for (std::int64_t begin = 0; begin < candidates; begin += kWarpSize) {
      const std::int64_t n = begin + threadIdx.x;
      const std::int64_t j = n < front ? n : first + (n - front) * s.dilation;
      const bool visible = n < candidates && s.keep(b, h, i, j);
      const bool taken = visible || (normalise_all && n < candidates);
      const unsigned lanes = __ballot_sync(kAllLanes, taken ? 1 : 0);
      if (taken) {
        const auto taken_key = static_cast<std::int32_t>(j);
        scratch.keys[count + __popc(lanes & ((1u << threadIdx.x) - 1))] =
            visible ? taken_key : ~taken_key;
      }
      count += __popc(lanes);
    }
    largest = -T(INFINITY);
    level = 0;
    __syncwarp();
  }

  /// Scores, top-k and weights of a state, which all lanes can read.
  BASIN_DEVICE void weigh(const T* state) {
    for (std::int64_t n = threadIdx.x; n < count; n += kWarpSize) {
      scratch.scores[n] = beta * dot(state, k + key(n) * k_row, D);
    }
    threshold = visibility.has_top() ? least_of_top() : -T(INFINITY);
    taking_part =
        over_lanes<Sum, int>(count, [&](std::int64_t n) { return takes_part(n) ? 1 : 0; });
    if (taking_part > 0) {
      set_weights();
    }
  }

  /// y = sum of weights times rows of x (M, width); the weights stay in scratch.read, below 0 where
  /// a row must not be read.
  BASIN_DEVICE void read(const T* x, std::int64_t x_row, std::int64_t width,
                         const WeightDropout& dropout, T* y) {
    set_read(dropout);
    for (std::int64_t c = threadIdx.x; c < width; c += kWarpSize) {
      T sum = 0;
      for (std::int64_t n = 0; n < count; ++n) {
        const T weight = scratch.read[n];
        if (!(weight < 0)) {
          sum += weight * x[key(n) * x_row + c];
        }
      }
      y[c] = sum;
    }
    __syncwarp();
  }

  /// The way back through read() and weigh(): given dy, adds to dx (the rows that were read) and
  /// dk, and leaves sum_j ds_j k_j in `dstate`. Columns belong to lanes, so dx may be dk.
  BASIN_DEVICE void backward(const T* state, const T* x, std::int64_t x_row, std::int64_t width,
                             const WeightDropout& dropout, const T* dy, T* dx, T* dk, T* dstate,
                             double& dalpha) {
    set_read(dropout);
    const T kept = dropout.p == 0.0 ? T(1) : static_cast<T>(1.0 / (1.0 - dropout.p));
    for (std::int64_t n = threadIdx.x; n < count; n += kWarpSize) {
      scratch.slopes[n] = scratch.read[n] < 0 ? T(0) : kept * dot(dy, x + key(n) * x_row, width);
    }
    for (std::int64_t c = threadIdx.x; c < width; c += kWarpSize) {
      for (std::int64_t n = 0; n < count; ++n) {
        if (!(scratch.read[n] < 0)) {
          dx[key(n) * width + c] += scratch.read[n] * dy[c];
        }
      }
    }
    if (taking_part > 0) {
      set_slopes(dalpha);
    }
    __syncwarp();
    for (std::int64_t c = threadIdx.x; c < D; c += kWarpSize) {
      T sum = 0;
      for (std::int64_t n = 0; n < count; ++n) {
        if (takes_part(n) && !is_dropped(n)) {
          sum += scratch.slopes[n] * k[key(n) * k_row + c];
          dk[key(n) * D + c] += beta * scratch.slopes[n] * state[c];
        }
      }
      dstate[c] = sum;
    }
    __syncwarp();
  }

 private:
  /// What the read-out takes of each key.
  BASIN_DEVICE void set_read(const WeightDropout& dropout) {
    for (std::int64_t n = threadIdx.x; n < count; n += kWarpSize) {
      T weight = -1;
      if (is_visible(n) && is_above(n) && !is_dropped(n)) {
        const T factor = static_cast<T>(dropout.factor(b, h, i, key(n)));
        weight = factor == 0 ? T(-1) : factor * scratch.weights[n];
      }
      scratch.read[n] = weight;
    }
    __syncwarp();
  }

  /// The top_count-th largest score of the visible keys; -inf if there are no more than that, or if
  /// one is NaN. Found bit by bit: how many scores are at least this large?
  BASIN_DEVICE T least_of_top() const {
    using Order = Ordered<T>;
    const auto counted = [&](auto&& holds) {
      return over_lanes<Sum, int>(
          count, [&](std::int64_t n) { return is_visible(n) && holds(scratch.scores[n]) ? 1 : 0; });
    };
    const std::int64_t wanted = visibility.top_count(b);
    if (counted([](T) { return true; }) <= wanted || counted([](T x) { return x != x; }) > 0) {
      return -T(INFINITY);
    }
    typename Order::Bits found = 0;
    for (int bit = Order::kBits - 1; bit >= 0; --bit) {
      const typename Order::Bits next = found | (typename Order::Bits{1} << bit);
      if (counted([&](T x) { return Order::of(x) >= next; }) >= wanted) {
        found = next;
      }
    }
    return Order::number(found);
  }

  template <class F>
  BASIN_DEVICE void for_part(F&& visit) const {
    for (std::int64_t n = threadIdx.x; n < count; n += kWarpSize) {
      if (takes_part(n)) {
        visit(n);
      }
    }
  }
  /// The sum over the keys that take part.
  template <class S, class F>
  BASIN_DEVICE S sum_of_part(F&& value) const {
    S sum = 0;
    for_part([&](std::int64_t n) { sum += value(n); });
    return warp_reduce<Sum>(sum);
  }

  BASIN_DEVICE void set_weights() {
    T* const weights = scratch.weights;
    const T* const scores = scratch.scores;
    largest = over_lanes<Maximum, T>(
        count, [&](std::int64_t n) { return takes_part(n) ? scores[n] : -T(INFINITY); });
    if (rule.kind == Separation::softmax) {
      for_part([&](std::int64_t n) { weights[n] = exp_of(scores[n] - largest); });
      level = sum_of_part<T>([&](std::int64_t n) { return weights[n]; });
      for_part([&](std::int64_t n) { weights[n] /= level; });
      return;
    }
    const bool has_exponent =
        rule.kind != Separation::entmax || (rule.alpha > 1 && rule.alpha <= 2);
    if (!(largest < T(INFINITY)) || largest == -T(INFINITY) || !has_exponent) {
      level = std::numeric_limits<T>::quiet_NaN();
      for_part([&](std::int64_t n) { weights[n] = level; });
      return;
    }
    if (rule.kind == Separation::polynomial) {
      set_polynomial_weights();
      return;
    }
    const T scale = static_cast<T>(rule.alpha - 1);
    const double p = rule.kind == Separation::sparsemax ? 1.0 : 1 / (rule.alpha - 1);
    for_part([&](std::int64_t n) { weights[n] = scale * (scores[n] - largest); });
    const double tau = solve_tau_of_part(p);
    level = static_cast<T>(tau);
    for_part([&](std::int64_t n) {
      const double x = static_cast<double>(weights[n]) - tau;
      weights[n] = x > 0 ? static_cast<T>(power(x, p)) : T(0);
    });
  }

  BASIN_DEVICE void set_polynomial_weights() {
    const double p = static_cast<double>(rule.degree - 1);
    if (!(largest > 0)) {
      for_part([&](std::int64_t n) { scratch.weights[n] = 0; });
      return;
    }
    // Scaled by the largest score, so that no power overflows.
    const auto raised = [&](std::int64_t n) {
      const T score = scratch.scores[n];
      return score > 0 ? power(static_cast<double>(score / largest), p) : 0.0;
    };
    const double sum = kPolynomialEps * std::exp(-p * std::log(static_cast<double>(largest))) +
                       sum_of_part<double>(raised);
    level = static_cast<T>(sum);
    for_part([&](std::int64_t n) { scratch.weights[n] = static_cast<T>(raised(n) / sum); });
  }

  /// solve_tau() of row_weights.h with z in scratch.weights.
  BASIN_DEVICE double solve_tau_of_part(double p) const {
    constexpr int kMostSteps = 100;
    double tau = -1.0;
    int falls = 0;
    for (int step = 0; step < kMostSteps; ++step) {
      double sum = 0;    // of x^p
      double slope = 0;  // of x^(p - 1)
      for_part([&](std::int64_t n) {
        const double x = static_cast<double>(scratch.weights[n]) - tau;
        if (x > 0) {
          const double lower = power(x, p - 1);
          slope += lower;
          sum += lower * x;
        }
      });
      sum = warp_reduce<Sum>(sum);
      slope = warp_reduce<Sum>(slope);
      const double norm = p == 1.0 ? sum : (p == 2.0 ? std::sqrt(sum) : std::pow(sum, 1 / p));
      const double next = tau + (norm - 1) * power(norm, p - 1) / slope;
      falls += next > tau ? 0 : 1;
      if (next == tau || next != next) {
        break;
      }
      tau = next;
      if (falls == 2) {
        break;
      }
    }
    return tau;
  }

  /// row_slopes() of row_weights.h on scratch.slopes; each lane adds its share to `dalpha`.
  BASIN_DEVICE void set_slopes(double& dalpha) {
    T* const slopes = scratch.slopes;
    const auto weight = [&](std::int64_t n) { return static_cast<double>(scratch.weights[n]); };
    const auto slope = [&](std::int64_t n) { return static_cast<double>(slopes[n]); };
    if (rule.kind == Separation::softmax || rule.kind == Separation::polynomial) {
      const double inner = sum_of_part<double>(
          [&](std::int64_t n) { return is_dropped(n) ? 0.0 : weight(n) * slope(n); });
      const bool divides = rule.kind == Separation::polynomial;
      for_part([&](std::int64_t n) {
        const double factor =
            divides ? static_cast<double>(rule.degree - 1) / static_cast<double>(scratch.scores[n])
                    : 1.0;
        slopes[n] = is_dropped(n) ? T(0) : static_cast<T>(factor * weight(n) * (slope(n) - inner));
      });
      return;
    }
    const auto u = [&](std::int64_t n) {
      return rule.alpha == 2.0
                 ? 1.0
                 : (rule.alpha == 1.5 ? std::sqrt(weight(n)) : std::pow(weight(n), 2 - rule.alpha));
    };
    const bool learns_alpha = rule.kind == Separation::entmax;
    double total = 0;
    double inner = 0;
    double entropy = 0;  // <P, ln P>
    for_part([&](std::int64_t n) {
      if (!is_dropped(n)) {
        total += u(n);
        inner += u(n) * slope(n);
        entropy += learns_alpha ? weight(n) * std::log(weight(n)) : 0;
      }
    });
    total = warp_reduce<Sum>(total);
    const double mean = warp_reduce<Sum>(inner) / total;
    entropy = warp_reduce<Sum>(entropy);
    const double a = rule.alpha - 1;
    for_part([&](std::int64_t n) {
      if (is_dropped(n)) {
        slopes[n] = 0;
        return;
      }
      if (learns_alpha) {
        const double share = u(n) / total;
        dalpha += slope(n) * ((weight(n) - share) / (a * a) -
                              (weight(n) * std::log(weight(n)) - share * entropy) / a);
      }
      slopes[n] = static_cast<T>(u(n) * (slope(n) - mean));
    });
  }
};

/// Whether the state is as good as settled: |next - state| <= tolerance |state|.
template <class T>
BASIN_DEVICE inline bool has_settled_on(const T* state, const T* next, std::int64_t width,
                                        double tolerance) {
  if (!(tolerance > 0)) {
    return false;
  }
  const double moved = over_lanes<Sum, double>(width, [&](std::int64_t d) {
    const double step = static_cast<double>(next[d]) - static_cast<double>(state[d]);
    return step * step;
  });
  const double size = over_lanes<Sum, double>(width, [&](std::int64_t d) {
    return static_cast<double>(state[d]) * static_cast<double>(state[d]);
  });
  return moved <= tolerance * tolerance * size;
}

}  // namespace

}  // namespace basin::kernels
