// The weights of one query and their derivative, from its scores in memory.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/association/separation.h"
#include "kernels/common/qualifiers.h"
#include "kernels/common/row_math.h"

namespace basin::kernels {

/// A separation for one head.
struct HeadRule {
  Separation kind;
  double alpha;  ///< softmax 1, sparsemax 2, entmax its own
  std::int64_t degree;

  /// Keys can have a weight of exactly 0; they are then left out everywhere.
  BASIN_HOST_DEVICE bool is_sparse() const { return kind != Separation::softmax; }
};

template <class T>
BASIN_HOST_DEVICE HeadRule head_rule(const SeparationRule& rule, std::int64_t h) {
  double alpha = 1.0;
  if (rule.kind == Separation::sparsemax) {
    alpha = 2.0;
  } else if (rule.kind == Separation::entmax) {
    alpha = static_cast<double>(static_cast<const T*>(rule.alpha)[h]);
  }
  return {rule.kind, alpha, rule.degree};
}

/// x^p for x > 0, exact for the powers of sparsemax and entmax-1.5.
BASIN_HOST_DEVICE inline double power(double x, double p) {
  return p == 1.0 ? x : (p == 2.0 ? x * x : std::pow(x, p));
}

/// tau with sum_j max(z_j - tau, 0)^p = 1 for z_j <= 0, the largest of them 0, and p >= 1. Newton's
/// method on the p-norm of max(z - tau, 0), which is convex and falls: from -1, where the norm is
/// at least 1, it rises to the root; once rounding stops it, a last step or two may also fall. A
/// row whose other z are all at most -1 keeps tau = -1 exactly. `active` is scratch of `count`.
/// `start`, at least -1 and not above tau, saves the first steps.
template <class T>
double solve_tau(const T* z, std::int64_t count, double p, T* active, double start = -1.0) {
  double tau = start;
  std::int64_t left = 0;
  for (std::int64_t j = 0; j < count; ++j) {
    if (static_cast<double>(z[j]) > start) {
      active[left++] = z[j];
    }
  }
  constexpr int kMostSteps = 100;
  int falls = 0;
  for (int step = 0; step < kMostSteps; ++step) {
    double sum = 0;    // of x^p
    double slope = 0;  // of x^(p - 1)
    std::int64_t kept = 0;
    for (std::int64_t n = 0; n < left; ++n) {
      const double x = static_cast<double>(active[n]) - tau;
      if (x > 0) {
        const double lower = power(x, p - 1);
        slope += lower;
        sum += lower * x;
        active[kept++] = active[n];  // tau rises: what has fallen out stays out
      }
    }
    left = kept;
    const double norm = p == 1.0 ? sum : (p == 2.0 ? std::sqrt(sum) : std::pow(sum, 1 / p));
    // (norm - 1) / |d norm / d tau|, d norm / d tau = -norm^(1 - p) slope
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

/// What a row of weights was made with; see RetrievalForward::statistics.
template <class T>
struct RowLevel {
  T largest = -std::numeric_limits<T>::infinity();
  T level = 0;
};

/// weights[j] from scores[j], j < count, count >= 1. A NaN or infinite largest score makes all
/// weights NaN. `scratch` has room for 2 count numbers.
template <class T>
RowLevel<T> row_weights(const HeadRule& rule, const T* scores, std::int64_t count, T* weights,
                        T* scratch) {
  RowLevel<T> result;
  result.largest = row_max(scores, count);
  const T largest = result.largest;
  if (rule.kind == Separation::softmax) {
    result.level = row_exp(scores, weights, count, largest);
    for (std::int64_t j = 0; j < count; ++j) {
      weights[j] /= result.level;
    }
    return result;
  }
  bool is_number = largest < std::numeric_limits<T>::infinity();
  for (std::int64_t j = 0; j < count; ++j) {
    is_number = is_number && scores[j] == scores[j];
  }
  if (!is_number || largest == -std::numeric_limits<T>::infinity()) {
    result.level = std::numeric_limits<T>::quiet_NaN();
    std::fill(weights, weights + count, result.level);
    return result;
  }
  if (rule.kind == Separation::polynomial) {
    // Scaled by the largest score, so that no power overflows.
    const double p = static_cast<double>(rule.degree - 1);
    if (!(largest > 0)) {
      std::fill(weights, weights + count, T(0));
      return result;
    }
    double sum = kPolynomialEps * std::exp(-p * std::log(static_cast<double>(largest)));
    for (std::int64_t j = 0; j < count; ++j) {
      const double x = scores[j] > 0 ? power(static_cast<double>(scores[j] / largest), p) : 0;
      weights[j] = static_cast<T>(x);
      sum += x;
    }
    result.level = static_cast<T>(sum);
    for (std::int64_t j = 0; j < count; ++j) {
      weights[j] = static_cast<T>(static_cast<double>(weights[j]) / sum);
    }
    return result;
  }
  const T scale = static_cast<T>(rule.alpha - 1);
  T* z = scratch;
  for (std::int64_t j = 0; j < count; ++j) {
    z[j] = scale * (scores[j] - largest);
  }
  const double p = rule.kind == Separation::sparsemax ? 1.0 : 1 / (rule.alpha - 1);
  const double tau = solve_tau(z, count, p, scratch + count);
  result.level = static_cast<T>(tau);
  for (std::int64_t j = 0; j < count; ++j) {
    const double x = static_cast<double>(z[j]) - tau;
    weights[j] = x > 0 ? static_cast<T>(power(x, p)) : T(0);
  }
  return result;
}

/// slopes[j] = d / d score_j of sum_l weights_l slopes_l, in place; keys of weight 0 are passed
/// over where the rule is sparse. Adds the derivative by alpha to `dalpha`.
template <class T>
void row_slopes(const HeadRule& rule, const T* scores, const T* weights, std::int64_t count,
                T* slopes, double& dalpha) {
  const auto u_of = [&](double weight) {
    return rule.alpha == 2.0
               ? 1.0
               : (rule.alpha == 1.5 ? std::sqrt(weight) : std::pow(weight, 2 - rule.alpha));
  };
  if (rule.kind == Separation::softmax) {
    // What cancels below is added up in double.
    double inner = 0;
    for (std::int64_t j = 0; j < count; ++j) {
      inner += static_cast<double>(weights[j]) * static_cast<double>(slopes[j]);
    }
    for (std::int64_t j = 0; j < count; ++j) {
      slopes[j] = static_cast<T>(static_cast<double>(weights[j]) *
                                 (static_cast<double>(slopes[j]) - inner));
    }
    return;
  }
  if (rule.kind == Separation::polynomial) {
    double inner = 0;
    for (std::int64_t j = 0; j < count; ++j) {
      inner +=
          weights[j] == 0 ? 0 : static_cast<double>(weights[j]) * static_cast<double>(slopes[j]);
    }
    for (std::int64_t j = 0; j < count; ++j) {
      slopes[j] = weights[j] == 0 ? T(0)
                                  : static_cast<T>(static_cast<double>(rule.degree - 1) *
                                                   static_cast<double>(weights[j]) /
                                                   static_cast<double>(scores[j]) *
                                                   (static_cast<double>(slopes[j]) - inner));
    }
    return;
  }
  const bool learns_alpha = rule.kind == Separation::entmax;
  double total = 0;
  double inner = 0;
  double entropy = 0;  // <P, ln P>
  for (std::int64_t j = 0; j < count; ++j) {
    if (weights[j] != 0) {
      const double weight = static_cast<double>(weights[j]);
      const double u = u_of(weight);
      total += u;
      inner += u * static_cast<double>(slopes[j]);
      entropy += learns_alpha ? weight * std::log(weight) : 0;
    }
  }
  const double mean = inner / total;
  const double a = rule.alpha - 1;
  for (std::int64_t j = 0; j < count; ++j) {
    if (weights[j] == 0) {
      slopes[j] = 0;
      continue;
    }
    const double weight = static_cast<double>(weights[j]);
    const double slope = static_cast<double>(slopes[j]);
    const double u = u_of(weight);
    if (learns_alpha) {
      const double share = u / total;
      dalpha +=
          slope * ((weight - share) / (a * a) - (weight * std::log(weight) - share * entropy) / a);
    }
    slopes[j] = static_cast<T>(u * (slope - mean));
  }
}

}  // namespace basin::kernels
