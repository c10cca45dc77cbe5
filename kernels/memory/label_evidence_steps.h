// What label_evidence_cpu.cpp keeps in its workspace, the same for every instruction set.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernels/memory/label_evidence.h"

namespace basin::kernels {

inline constexpr std::int64_t kRowsForward = 16;
// Gradients of labels are summed over rows in this many pieces at most.
inline constexpr std::int64_t kPieces = 16;
inline constexpr std::int64_t kLeastRows = 8;

// Memories are padded to whole vectors of any width: a padded one has label units and overlaps of
// 0, so that F of it is the same with a label on as with all off.
constexpr std::int64_t padded(std::int64_t memories) { return (memories + 7) / 8 * 8; }

inline std::int64_t rows_of_piece(std::int64_t rows) {
  return std::max(kLeastRows, (rows + kPieces - 1) / kPieces);
}
inline std::int64_t pieces(std::int64_t rows) {
  return (rows + rows_of_piece(rows) - 1) / rows_of_piece(rows);
}

// For each label and memory, how turning the label on changes y: 2 labels / scale is added, or, for
// the exponential, F is multiplied by 1 + step. `off` is what all labels off subtract from z.
struct Steps {
  double* step;  // (C, padded K)
  double* off;   // (padded K)
};

template <class T>
void make_steps(const T* labels, const InteractionOf& by, std::int64_t K, std::int64_t C,
                const Steps& to) {
  const std::int64_t width = padded(K);
  const auto degree = static_cast<double>(by.degree);
  std::fill(to.step, to.step + C * width, 0.0);
  std::fill(to.off, to.off + width, 0.0);
  for (std::int64_t k = 0; k < K; ++k) {
    for (std::int64_t c = 0; c < C; ++c) {
      const auto label = static_cast<double>(labels[k * C + c]);
      const double step = 2.0 * label / by.scale;
      to.step[c * width + k] =
          by.kind == Interaction::exponential ? std::expm1(degree * step) : step;
      to.off[k] += label;
    }
  }
}

inline Status check_extents(const InteractionOf& by, std::int64_t B, std::int64_t K,
                            std::int64_t C) {
  if (by.degree < 1 || !(by.scale > 0.0)) {
    return Status::invalid("degree must be at least 1 and scale above 0");
  }
  return B < 0 || K < 0 || C < 0 ? Status::invalid("negative extent") : Status{};
}

}  // namespace basin::kernels
