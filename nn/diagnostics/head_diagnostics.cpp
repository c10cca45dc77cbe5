#include "nn/diagnostics/head_diagnostics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "autograd/variable.h"
#include "nn/diagnostics/observer.h"
#include "tensor/error.h"
#include "tensor/functions/retrieval_diagnostics.h"

namespace basin::nn {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Of values without NaN; reorders them.
FigureSummary summarise(std::vector<double> values) {
  std::erase_if(values, [](double value) { return std::isnan(value); });
  FigureSummary summary;
  summary.rows = static_cast<std::int64_t>(values.size());
  summary.mean = kNaN;
  summary.quantiles.fill(kNaN);
  if (values.empty()) {
    return summary;
  }
  std::sort(values.begin(), values.end());
  double sum = 0;
  for (const double value : values) {
    sum += value;
  }
  summary.mean = sum / static_cast<double>(values.size());
  for (std::size_t n = 0; n < kQuantiles.size(); ++n) {
    const double place = kQuantiles[n] * static_cast<double>(values.size() - 1);
    const auto low = static_cast<std::size_t>(place);
    const std::size_t high = std::min(low + 1, values.size() - 1);
    const double share = place - static_cast<double>(low);
    // Without a difference: both may be infinite.
    summary.quantiles[n] =
        share == 0 ? values[low] : (1 - share) * values[low] + share * values[high];
  }
  return summary;
}

}  // namespace

const char* name_of(RowFigure figure) {
  switch (figure) {
    case RowFigure::keys: return "keys to choose from";
    case RowFigure::entropy: return "entropy of the weights";
    case RowFigure::temperature: return "effective temperature";
    case RowFigure::fewest_90: return "fewest weights that reach 90 %";
    case RowFigure::separation: return "separation of the nearest pattern";
    case RowFigure::distance: return "distance to the nearest pattern before the update";
    case RowFigure::distance_after: return "distance to the nearest pattern after the update";
    case RowFigure::error: return "distance to the same pattern after the update";
    case RowFigure::bound: return "bound of theorem 4.1";
    case RowFigure::energy: return "energy before the update";
    case RowFigure::energy_after: return "energy after the update";
    case RowFigure::further_steps: return "further steps to the fixed point";
    case RowFigure::source_weight: return "weight of the answer's place";
  }
  return "?";
}

const char* unit_of(RowFigure figure) { return figure == RowFigure::entropy ? "nats" : ""; }

void HeadDiagnostics::observe(const std::function<void()>& forward, const Tensor& rows,
                              const Tensor& sources) {
  const NoGrad no_grad;
  std::size_t layer = 0;
  const bool is_first = layers_.empty();
  {
    const RetrievalObserver observer([&](const RetrievalCall& call) {
      DiagnosticsInputs inputs{call.inputs, call.projection,  rows,
                               sources,     options_.settled, options_.most_steps};
      const std::int64_t heads = call.inputs.q.size(1);
      if (is_first) {
        layers_.emplace_back(static_cast<std::size_t>(heads));
      } else if (layer >= layers_.size() ||
                 static_cast<std::int64_t>(layers_[layer].size()) != heads) {
        fail("[HeadDiagnostics] layer {} with {} heads was not in the first pass", layer, heads);
      }
      take(layer++, retrieval_diagnostics(inputs), call.inputs.beta);
    });
    forward();
  }
  if (layer == 0) {
    fail("[HeadDiagnostics] the model has no retrieval: nothing was observed");
  }
  if (layer != layers_.size()) {
    fail("[HeadDiagnostics] a pass with {} layers after one with {}", layer, layers_.size());
  }
}

void HeadDiagnostics::take(std::size_t layer, const Tensor& figures, const Tensor& beta) {
  const std::vector<double> all = figures.to_vector<double>();
  const auto heads = static_cast<std::size_t>(figures.size(1));
  const auto length = static_cast<std::size_t>(figures.size(2));
  constexpr auto kFigures = static_cast<std::size_t>(kernels::kRowFigures);
  std::vector<double> betas(heads, 1.0);
  if (beta.defined()) {
    betas = beta.to(Device::cpu).to(DType::f64).to_vector<double>();
  }
  for (std::size_t row = 0; row < all.size() / kFigures; ++row) {
    Head& head = layers_[layer][row / length % heads];
    head.beta = betas[row / length % heads];
    const double* values = all.data() + row * kFigures;
    if (std::isnan(values[0])) {
      continue;  // a row that does not count
    }
    for (std::size_t n = 0; n < kFigures; ++n) {
      head.values[n].push_back(values[n]);
    }
  }
}

std::vector<HeadSummary> HeadDiagnostics::summary() const {
  std::vector<HeadSummary> all;
  for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
    for (std::size_t h = 0; h < layers_[layer].size(); ++h) {
      const Head& head = layers_[layer][h];
      const auto of = [&](RowFigure figure) -> const std::vector<double>& {
        return head.values[static_cast<std::size_t>(figure)];
      };
      HeadSummary summary;
      summary.layer = static_cast<std::int64_t>(layer);
      summary.head = static_cast<std::int64_t>(h);
      summary.beta = head.beta;
      std::vector<std::size_t> chosen;
      std::vector<double> relative_entropy;
      std::vector<double> relative_fewest;
      for (std::size_t row = 0; row < of(RowFigure::keys).size(); ++row) {
        const double keys = of(RowFigure::keys)[row];
        const double fewest = of(RowFigure::fewest_90)[row];
        if (keys == 0 || std::isnan(fewest)) {
          ++summary.empty;
        } else if (keys == 1) {
          ++summary.without_choice;
        } else {
          chosen.push_back(row);
          relative_entropy.push_back(of(RowFigure::entropy)[row] / std::log(keys));
          relative_fewest.push_back(fewest / keys);
          const Regime regime = kernels::regime_of(static_cast<std::int64_t>(fewest),
                                                   static_cast<std::int64_t>(keys));
          summary.regimes[static_cast<std::size_t>(regime)] += 1;
        }
      }
      summary.rows = static_cast<std::int64_t>(chosen.size());
      for (double& share : summary.regimes) {
        share /= static_cast<double>(summary.rows);
      }
      for (std::size_t n = 0; n < summary.figures.size(); ++n) {
        std::vector<double> values;
        for (const std::size_t row : chosen) {
          values.push_back(head.values[n][row]);
        }
        summary.figures[n] = summarise(std::move(values));
      }
      summary.relative_entropy = summarise(std::move(relative_entropy));
      summary.relative_fewest = summarise(std::move(relative_fewest));
      all.push_back(summary);
    }
  }
  return all;
}

}  // namespace basin::nn
