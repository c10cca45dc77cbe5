// XOR in a dense associative memory: which energies can tell the four cases apart. Exact, nothing
// is drawn or trained.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "kernels/memory/dense.h"
#include "tasks/experiments/experiment.h"

namespace basin::experiments {

Experiment dam_xor();

/// What one energy makes of XOR with the memories (- - -), (- + +), (+ - +), (+ + -), the third
/// unit being the answer.
struct XorEvidence {
  /// sum_mu F(x xi_1 + y xi_2 + xi_3) - F(x xi_1 + y xi_2 - xi_3) for the inputs (x, y) = (- -),
  /// (- +), (+ -), (+ +): the answer is + where it is above 0, - where it is below, and nothing
  /// where it is 0.
  std::array<double, 4> evidence{};
  int right = 0;
  int ties = 0;

  bool solved() const { return right == 4; }
};

/// By label_evidence() in f64, where powers up to kMostXorDegree are exact: all terms are whole
/// numbers below 2^53.
inline constexpr std::int64_t kMostXorDegree = 30;
XorEvidence xor_evidence(Interaction interaction, std::int64_t degree);

}  // namespace basin::experiments
