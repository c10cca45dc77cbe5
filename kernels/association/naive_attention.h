// Softmax attention as a plain program computes it with few bits, for the rule about such kernels
// (kernel_table.h): sums and products are f64, and rounded is what such a program rounds.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>
#include <vector>

#include "kernels/association/association_case.h"
#include "kernels/common/half.h"

namespace basin::kernels {

/// What it rounds: what it multiplies, and what it stores.
struct NaiveFormat {
  double (*multiplied)(double);
  double (*stored)(double);
  double unit;  ///< a rounding moves a number by this much of it, on average or so
};

inline double rounded_to_bf16(double x) { return static_cast<double>(to_float(to_bfloat16(x))); }
inline double rounded_to_tf32(double x) {
  return static_cast<double>(without_low_bits<kCutBits<Precision::tf32>>(round_to_odd(x)));
}
inline double as_it_is(double x) { return x; }
inline constexpr NaiveFormat kNaiveTf32{rounded_to_tf32, as_it_is, 1.0 / 4096};
inline constexpr NaiveFormat kNaiveBf16{rounded_to_bf16, rounded_to_bf16, 1.0 / 512};

/// Where its arrays are in a case, all of them f64. `lse` may be null; the last five belong to the
/// backward pass.
struct NaiveArrays {
  void *q, *k, *v, *out;
  const double* beta;
  double* lse = nullptr;
  void *dout = nullptr, *dq = nullptr, *dk = nullptr, *dv = nullptr;
  double* dbeta = nullptr;
};

/// counted(b, h, i, j): key j takes part in the weights of query i. factor(b, h, i, j): what its
/// weight is multiplied by in the read-out; 0 where it is not read.
template <class Counted, class Factor>
class NaiveAttention {
 public:
  NaiveAttention(const AssociationProblem& s, const NaiveFormat& format, const NaiveArrays& arrays,
                 Counted counted, Factor factor)
      : s_(s), format_(format), a_(arrays), counted_(counted), factor_(factor) {}

  /// Weights are rounded before they meet the values. They are taken relative to the largest, as
  /// every program does that must not overflow.
  void forward() const {
    for_heads([&](std::int64_t b, std::int64_t h) {
      const HeadRows v = rows(a_.v, s_.M, s_.Dv, b, h);
      const HeadRows out = rows(a_.out, s_.L, s_.Dv, b, h);
      out.clear(s_.L, s_.Dv);
      for (std::int64_t i = 0; i < s_.L; ++i) {
        const Scores scores = scores_of(b, h, i);
        if (a_.lse != nullptr) {
          a_.lse[(b * s_.H + h) * s_.L + i] = scores.lse;
        }
        double sum = 0;
        for (const auto& [j, score] : scores.of) {
          const double weight = std::exp(score - scores.largest);
          sum += weight;
          const double factor = factor_(b, h, i, j);
          for (std::int64_t c = 0; factor != 0 && c < s_.Dv; ++c) {
            out[i][c] += factor * format_.multiplied(weight) * v[j][c];
          }
        }
        for (std::int64_t c = 0; c < s_.Dv; ++c) {
          out[i][c] = sum > 0 ? format_.stored(out[i][c] / sum) : 0;
        }
      }
    });
  }

  /// Weights and slopes are rounded before they meet what they are multiplied with, gradients when
  /// they are stored; out is what the forward pass stored. dbeta is a single number for each head,
  /// and one naive sum may be right by chance: its place is taken by the exact one and twice the
  /// standard deviation that rounding its summands gives it.
  void backward() const {
    std::vector<double> variances(static_cast<std::size_t>(s_.H));
    std::fill_n(a_.dbeta, s_.H, 0.0);
    for_heads([&](std::int64_t b, std::int64_t h) {
      const HeadRows q = rows(a_.q, s_.L, s_.D, b, h);
      const HeadRows k = rows(a_.k, s_.M, s_.D, b, h);
      const HeadRows v = rows(a_.v, s_.M, s_.Dv, b, h);
      const HeadRows out = rows(a_.out, s_.L, s_.Dv, b, h);
      const HeadRows dout = rows(a_.dout, s_.L, s_.Dv, b, h);
      const HeadRows dq = rows(a_.dq, s_.L, s_.D, b, h);
      const HeadRows dk = rows(a_.dk, s_.M, s_.D, b, h);
      const HeadRows dv = rows(a_.dv, s_.M, s_.Dv, b, h);
      const double beta = a_.beta[h];
      double& variance = variances[static_cast<std::size_t>(h)];
      dq.clear(s_.L, s_.D);
      dk.clear(s_.M, s_.D);
      dv.clear(s_.M, s_.Dv);
      std::vector<double> gains;
      for (std::int64_t i = 0; i < s_.L; ++i) {
        const Scores scores = scores_of(b, h, i);
        double delta = 0;        // of the stored out
        double exact_delta = 0;  // sum of P dP
        double doubt = 0;
        double mean_score = 0;
        for (std::int64_t c = 0; c < s_.Dv; ++c) {
          delta += dout[i][c] * out[i][c];
          doubt += dout[i][c] * out[i][c] * dout[i][c] * out[i][c];
        }
        gains.clear();
        for (const auto& [j, score] : scores.of) {
          const double factor = factor_(b, h, i, j);
          gains.push_back(factor == 0 ? 0 : factor * inner_product(dout[i], v[j], s_.Dv));
          exact_delta += std::exp(score - scores.lse) * gains.back();
        }
        for (std::size_t n = 0; n < scores.of.size(); ++n) {
          const auto& [j, score] = scores.of[n];
          const double weight = std::exp(score - scores.lse);
          const double slope = format_.multiplied(weight * (gains[n] - delta));
          for (std::int64_t c = 0; c < s_.D; ++c) {
            dq[i][c] += beta * slope * k[j][c];
            dk[j][c] += beta * slope * q[i][c];
          }
          const double factor = factor_(b, h, i, j);
          for (std::int64_t c = 0; factor != 0 && c < s_.Dv; ++c) {
            dv[j][c] += factor * format_.multiplied(weight) * dout[i][c];
          }
          const double product = inner_product(q[i], k[j], s_.D);
          a_.dbeta[h] += weight * (gains[n] - exact_delta) * product;
          variance += slope * product * slope * product;
          mean_score += weight * product;
        }
        variance += doubt * mean_score * mean_score;
      }
      for (const auto& [gradient, count, width] :
           {std::tuple(dq, s_.L, s_.D), std::tuple(dk, s_.M, s_.D), std::tuple(dv, s_.M, s_.Dv)}) {
        for (std::int64_t row = 0; row < count; ++row) {
          for (std::int64_t c = 0; c < width; ++c) {
            gradient[row][c] = format_.stored(gradient[row][c]);
          }
        }
      }
    });
    for (std::int64_t h = 0; h < s_.H; ++h) {
      a_.dbeta[h] += 2 * std::sqrt(variances[static_cast<std::size_t>(h)]) * format_.unit;
    }
  }

 private:
  // beta q.k of the keys that take part, and their log-sum-exp.
  struct Scores {
    std::vector<std::pair<std::int64_t, double>> of;
    double largest = -std::numeric_limits<double>::infinity();
    double lse = -std::numeric_limits<double>::infinity();
  };
  Scores scores_of(std::int64_t b, std::int64_t h, std::int64_t i) const {
    const HeadRows q = rows(a_.q, s_.L, s_.D, b, h);
    const HeadRows k = rows(a_.k, s_.M, s_.D, b, h);
    Scores scores;
    for (std::int64_t j = 0; j < s_.M; ++j) {
      if (counted_(b, h, i, j)) {
        scores.of.emplace_back(j, a_.beta[h] * inner_product(q[i], k[j], s_.D));
        scores.largest = std::max(scores.largest, scores.of.back().second);
      }
    }
    double sum = 0;
    for (const auto& [j, score] : scores.of) {
      sum += std::exp(score - scores.largest);
    }
    scores.lse = sum > 0 ? scores.largest + std::log(sum) : scores.lse;
    return scores;
  }
  HeadRows rows(void* data, std::int64_t count, std::int64_t width, std::int64_t b,
                std::int64_t h) const {
    return head_rows(s_.view(data, count, width), b, h);
  }
  template <class F>
  void for_heads(F&& visit) const {
    for (std::int64_t b = 0; b < s_.B; ++b) {
      for (std::int64_t h = 0; h < s_.H; ++h) {
        visit(b, h);
      }
    }
  }

  const AssociationProblem& s_;
  NaiveFormat format_;
  NaiveArrays a_;
  Counted counted_;
  Factor factor_;
};

}  // namespace basin::kernels
