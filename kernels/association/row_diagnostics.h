// How sharp one row of weights is. Every function takes time O(n) for n keys, or O(n log n) where
// said, and no memory beyond the scratch it is given.
#pragma once

#include <cstdint>

namespace basin::kernels {

/// -sum p ln p in nats, p the weights over their sum; they are >= 0. NaN if the sum is not positive
/// and finite.
double weights_entropy(const double* weights, std::int64_t count);

/// Mean 0 and variance 1 (divided by n), into `standardised`. False, and all zero, if the scores
/// are constant up to rounding (deviation at most 1e-12 of the largest magnitude) or none.
bool standardise(const double* scores, std::int64_t count, double* standardised);

/// The entropy of softmax(scores / temperature), in nats.
double softmax_entropy(const double* scores, std::int64_t count, double temperature);

inline constexpr double kLeastTemperature = 1e-3;
inline constexpr double kMostTemperature = 1e3;

/// The temperature in [1e-3, 1e3] at which softmax(z / temperature) of the standardised scores z
/// has this entropy, within 1e-9 of its logarithm; the nearer end of the range if there is none,
/// the upper one for constant rows. The entropy rises with the temperature, so bisection finds it.
double effective_temperature(const double* standardised, std::int64_t count, double entropy);

/// The fewest weights that together reach `share` of their sum; 0 if the sum is 0. `scratch` has
/// room for `count` numbers. O(n log n).
std::int64_t fewest_weights(const double* weights, std::int64_t count, double share,
                            double* scratch);

/// What a row does with the n keys it could choose from (the three regimes of H. Ramsauer et al.
/// 2020, section 2, made countable): fixed_point: one weight holds 90 %; metastable: at most half
/// of the keys do; global_average: it takes more.
enum class Regime : std::uint8_t { fixed_point, metastable, global_average };
const char* name_of(Regime);

/// fewest = fewest_weights(..., 0.9), at least 1.
Regime regime_of(std::int64_t fewest, std::int64_t keys);

}  // namespace basin::kernels
