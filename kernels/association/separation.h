// How scores become weights, as plain numbers that a kernel takes by value.
#pragma once

#include <cstdint>

namespace basin {

/// From the scores s = beta q.k of one query to the weights P of its keys.
/// softmax: exp(s - lse(s)), the dense modern Hopfield network.
/// linear: phi(q).phi(k) / (sum + 1e-6) with phi(x) = elu(x) + 1, no beta (A. Katharopoulos 2020).
/// sparsemax: max(s - tau, 0) with tau so that the row sums to 1, the sparse Hopfield network.
/// entmax: max((alpha - 1) s - tau, 0)^(1 / (alpha - 1)), 1 < alpha <= 2, the generalised sparse
/// Hopfield network; alpha = 2 is sparsemax.
/// polynomial: relu(s)^(degree - 1) / (sum + 1e-12), degree >= 2.
/// random_features: phi(q).phi(k) / sum with random phi that estimate e^s (K. Choromanski 2021).
enum class Separation : std::uint8_t {
  softmax,
  linear,
  sparsemax,
  entmax,
  polynomial,
  random_features
};

/// positive: exp(w.x' - |x'|^2 / 2), an unbiased estimate of exp(beta q.k); relu: max(w.x', 0) +
/// 1e-3. x' = sqrt(beta) x, w a random vector.
enum class FeatureMap : std::uint8_t { positive, relu };
inline constexpr double kReluFeatureFloor = 1e-3;

/// Both cost as much as there are keys, and know no weights of single keys.
constexpr bool is_kernelised(Separation separation) {
  return separation == Separation::linear || separation == Separation::random_features;
}

}  // namespace basin

namespace basin::kernels {

/// Added to the sum of polynomial weights.
inline constexpr double kPolynomialEps = 1e-12;

/// What separates the keys of one query. The kernelised ones have kernels of their own and
/// are refused here.
struct SeparationRule {
  Separation kind = Separation::softmax;
  const void* alpha = nullptr;  ///< entmax: (H) of the dtype of the call, each in (1, 2]
  std::int64_t degree = 2;      ///< polynomial
  /// The weights are those of all keys that padding leaves, and hidden ones are dropped afterwards:
  /// a row then sums to less than 1. Hidden keys are read, hidden values are not.
  bool normalise_all = false;
};

}  // namespace basin::kernels
