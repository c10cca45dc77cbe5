// Where retrieval ends: which stored pattern, its negative, or something that nobody stored.
#pragma once

#include <cstdint>
#include <vector>

#include "nn/memories/modern.h"

namespace basin::nn {

struct Attractor {
  enum class Kind : unsigned char { pattern, negative, spurious };

  Kind kind = Kind::spurious;
  std::int64_t pattern = -1;  ///< whose, unless it is spurious
  std::vector<double> state;  ///< the first end state that was found here
};

/// Attractors and which of them each end state belongs to.
struct Basins {
  std::vector<Attractor> attractors;  ///< patterns first, then negatives, then spurious states
  std::vector<std::int64_t> of;       ///< (Q): an index into `attractors`
};

/// Sorts end states (Q,D): at a stored pattern (M,D), or at the negative of one, if that is the
/// nearest of these and no farther than `radius`; else with the spurious states that lie within
/// `radius` of the first of their kind. Radius 0 stands for half of R, R = half the smallest
/// distance between two patterns. Throws Error for shapes that do not fit, and for radius 0 without
/// two different patterns.
Basins sort_by_attractor(const Tensor& ends, const Tensor& patterns, double radius = 0.0);

/// States at the centres of the cells of a grid over [x_low, x_high] x [y_low, y_high]: (rows
/// columns, 2) f64, row by row from y_low.
Tensor grid_states(double x_low, double x_high, std::int64_t columns, double y_low, double y_high,
                   std::int64_t rows);

}  // namespace basin::nn
