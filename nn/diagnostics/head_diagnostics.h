// What the heads of a model do with their keys: the figures of every row of weights, collected over
// batches and summed up per layer and head.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "kernels/association/retrieval_diagnostics.h"
#include "kernels/association/row_diagnostics.h"
#include "tensor/tensor.h"

namespace basin::nn {

using kernels::Regime;
using kernels::RowFigure;

/// "entropy", "effective temperature", ... and "nats", "" , ... of a figure.
const char* name_of(RowFigure figure);
const char* unit_of(RowFigure figure);

/// A figure over rows: those for which it has a meaning.
struct FigureSummary {
  std::int64_t rows = 0;
  double mean = 0.0;                  ///< NaN without rows
  std::array<double, 5> quantiles{};  ///< kQuantiles, between neighbours linearly; NaN without rows
};
inline constexpr std::array<double, 5> kQuantiles = {0.05, 0.25, 0.5, 0.75, 0.95};

struct HeadSummary {
  std::int64_t layer = 0;  ///< the number of its call in a pass of the model
  std::int64_t head = 0;
  std::int64_t rows = 0;            ///< with at least two candidates and a weight
  std::int64_t without_choice = 0;  ///< with one candidate: any weights are "sharp"; left out
  std::int64_t empty = 0;           ///< with no candidate or no weight at all; left out
  std::array<FigureSummary, kernels::kRowFigures> figures;
  std::array<double, 3> regimes{};  ///< the share of the rows in each Regime; they add up to 1
  FigureSummary relative_entropy;   ///< entropy / ln n, in [0, 1]
  FigureSummary relative_fewest;    ///< fewest_90 / n
  double beta = 0.0;                ///< the inverse temperature of the head; 1 where it has none

  const FigureSummary& operator[](RowFigure figure) const {
    return figures[static_cast<std::size_t>(figure)];
  }
  double share(Regime regime) const { return regimes[static_cast<std::size_t>(regime)]; }
};

struct DiagnosisOptions {
  double settled = 1e-3;         ///< see RowFigure::further_steps
  std::int64_t most_steps = 32;  ///< 0: further_steps is not counted
};

/// Keeps some numbers per row, O(rows), and nothing of size L times M.
class HeadDiagnostics {
 public:
  explicit HeadDiagnostics(DiagnosisOptions options = {}) : options_(options) {}

  /// Runs `forward`, a pass of a model over some batch, without gradients, and looks on. rows (B,
  /// L) u8 or bool or undefined: the queries that count; sources (B, L) i64 or undefined: the key
  /// whose weight is RowFigure::source_weight. Passes must have the same layers and heads. Throws
  /// Error for a pass that has others or none, and for shapes that do not fit.
  void observe(const std::function<void()>& forward, const Tensor& rows = {},
               const Tensor& sources = {});

  /// By layer, then head.
  std::vector<HeadSummary> summary() const;

 private:
  struct Head {
    double beta = 0.0;
    std::array<std::vector<double>, kernels::kRowFigures> values;  // all rows, in their order
  };
  void take(std::size_t layer, const Tensor& figures, const Tensor& beta);

  DiagnosisOptions options_;
  std::vector<std::vector<Head>> layers_;
};

}  // namespace basin::nn
