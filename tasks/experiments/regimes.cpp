#include "tasks/experiments/regimes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>

#include "kernels/association/row_diagnostics.h"
#include "kernels/common/philox.h"
#include "tensor/error.h"
#include "tensor/functions/elementwise.h"
#include "tensor/functions/retrieval_diagnostics.h"
#include "tensor/rng.h"

namespace basin::experiments {

namespace {

using kernels::RowFigure;
using statistics::Estimate;
using statistics::estimate;

constexpr std::int64_t kWidth = 64;
constexpr double kNoise = 0.3;
constexpr double kSuccess = 0.2;  // relative squared error

struct Separated {
  const char* name;
  const char* sharpness;  // what is swept
  void (*set)(AssociationOptions&, double sharpness);
};

const std::vector<Separated>& separations() {
  static const std::vector<Separated> all = {
      {"softmax", "beta", [](AssociationOptions&, double) {}},
      {"entmax-1.5", "beta",
       [](AssociationOptions& o, double) { o.separation = Separation::entmax; }},
      {"sparsemax", "beta",
       [](AssociationOptions& o, double) { o.separation = Separation::sparsemax; }},
      {"top-20 % softmax", "beta", [](AssociationOptions& o, double) { o.top_fraction = 0.2; }},
      // A quotient of powers does not depend on beta: its sharpness is its degree.
      {"polynomial", "degree",
       [](AssociationOptions& o, double degree) {
         o.separation = Separation::polynomial;
         o.degree = static_cast<std::int64_t>(degree);
       }},
  };
  return all;
}

struct Plan {
  std::vector<std::int64_t> patterns;
  std::vector<double> betas, degrees;
  std::int64_t queries, seeds;
};

Plan plan_of(Size size) {
  Plan plan;
  const int per_decade = size == Size::smoke ? 2 : 5;
  for (int n = -4 * per_decade; n <= per_decade; ++n) {
    plan.betas.push_back(std::pow(10.0, static_cast<double>(n) / per_decade));
  }
  plan.degrees = {2, 3, 4, 6, 9, 17, 33, 65};
  switch (size) {
    case Size::smoke:
      plan.patterns = {16, 64};
      plan.queries = 16;
      plan.seeds = 3;
      break;
    case Size::small:
      plan.patterns = {16, 64, 256, 1024};
      plan.queries = 100;
      plan.seeds = 5;
      break;
    case Size::gpu:
      plan.patterns = {16, 64, 256, 1024};
      plan.queries = 200;
      plan.seeds = 10;
      break;
    case Size::full:
      plan.patterns = {16, 64, 256, 1024, 4096};
      plan.queries = 500;
      plan.seeds = 10;
      break;
  }
  return plan;
}

double average_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) {
    sum += value;
  }
  return sum / static_cast<double>(values.size());
}

double median_of(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Patterns with independent normal entries; each query is one of them with noise.
struct Memory {
  Tensor patterns, queries;  // (1, 1, M, d), (1, 1, L, d)
  std::vector<std::int64_t> meant;

  Memory(std::int64_t count, std::int64_t queried, std::uint64_t seed) {
    Rng rng(kernels::derive_key(seed, 0x4E61));
    patterns = rng.normal({1, 1, count, kWidth}, 1.0, DType::f64);
    const Tensor noise = rng.normal({1, 1, queried, kWidth}, kNoise, DType::f64);
    std::vector<double> states;
    for (std::int64_t n = 0; n < queried; ++n) {
      meant.push_back(n % count);
      const double* pattern = patterns.data<double>() + meant.back() * kWidth;
      for (std::int64_t d = 0; d < kWidth; ++d) {
        states.push_back(pattern[d] + noise.data<double>()[n * kWidth + d]);
      }
    }
    queries = Tensor::from<double>({1, 1, queried, kWidth}, states);
  }
};

nlohmann::json sweep(const Separated& separation, const std::vector<double>& sharpness,
                     const Memory& memory, const Progress& progress) {
  nlohmann::json result;
  for (std::size_t step = 0; step < sharpness.size(); ++step) {
    if (progress.tell) {
      progress.tell(static_cast<double>(step) / static_cast<double>(sharpness.size()),
                    fmt::format("{} {:.3g}", separation.sharpness, sharpness[step]));
    }
    const bool sweeps_beta = std::string(separation.sharpness) == "beta";
    DiagnosticsInputs inputs;
    inputs.retrieval.q = memory.queries;
    inputs.retrieval.k = memory.patterns;
    inputs.retrieval.v = memory.patterns;
    inputs.retrieval.beta = Tensor::full({1}, sweeps_beta ? sharpness[step] : 1.0, DType::f64);
    inputs.retrieval.alpha = Tensor::full({1}, 1.5, DType::f64);
    separation.set(inputs.retrieval.options, sharpness[step]);
    const std::vector<double> figures = retrieval_diagnostics(inputs).to_vector<double>();
    const std::vector<double> read = retrieval(inputs.retrieval).out.to_vector<double>();

    const auto keys = memory.patterns.size(2);
    std::array<double, 3> regimes{};
    std::vector<double> entropy, temperature, fewest, error;
    double hits = 0;
    for (std::size_t n = 0; n < memory.meant.size(); ++n) {
      const double* row = figures.data() + n * static_cast<std::size_t>(kernels::kRowFigures);
      const auto figure = [&](RowFigure f) { return row[static_cast<std::size_t>(f)]; };
      double squares = 0;
      double length = 0;
      for (std::size_t d = 0; d < static_cast<std::size_t>(kWidth); ++d) {
        const double wanted =
            memory.patterns.data<double>()[static_cast<std::size_t>(memory.meant[n] * kWidth) + d];
        const double off = read[n * static_cast<std::size_t>(kWidth) + d] - wanted;
        squares += off * off;
        length += wanted * wanted;
      }
      error.push_back(squares / length);
      hits += error.back() <= kSuccess ? 1 : 0;
      entropy.push_back(figure(RowFigure::entropy) / std::log(static_cast<double>(keys)));
      temperature.push_back(figure(RowFigure::temperature));
      fewest.push_back(figure(RowFigure::fewest_90) / static_cast<double>(keys));
      const auto regime =
          kernels::regime_of(static_cast<std::int64_t>(figure(RowFigure::fewest_90)), keys);
      regimes[static_cast<std::size_t>(regime)] += 1;
    }
    const auto count = static_cast<double>(memory.meant.size());
    result["fixed_points"].push_back(regimes[0] / count);
    result["metastable"].push_back(regimes[1] / count);
    result["averages"].push_back(regimes[2] / count);
    result["relative_entropy"].push_back(average_of(entropy));
    result["temperature"].push_back(median_of(temperature));
    result["relative_fewest"].push_back(average_of(fewest));
    result["error"].push_back(average_of(error));
    result["success"].push_back(hits / count);
  }
  return result;
}

std::string key_of(const Separated& separation, std::int64_t patterns, std::int64_t seed) {
  return fmt::format("separation={}/patterns={}/seed={}", separation.name, patterns, seed);
}

const std::vector<double>& sharpness_of(const Separated& separation, const Plan& plan) {
  return std::string(separation.sharpness) == "beta" ? plan.betas : plan.degrees;
}

std::vector<Part> parts_of(const Settings& settings) {
  const Plan plan = plan_of(settings.size);
  std::vector<Part> parts;
  for (const Separated& separation : separations()) {
    for (const std::int64_t patterns : plan.patterns) {
      for (std::int64_t n = 0; n < plan.seeds; ++n) {
        const std::int64_t seed = settings.seed + n;
        Part part;
        part.key = key_of(separation, patterns, seed);
        part.cost = static_cast<double>(patterns) *
                    static_cast<double>(sharpness_of(separation, plan).size());
        part.compute = [&separation, patterns, seed, plan](const Progress& progress) {
          const Memory memory(patterns, plan.queries, static_cast<std::uint64_t>(seed));
          return sweep(separation, sharpness_of(separation, plan), memory, progress);
        };
        parts.push_back(std::move(part));
      }
    }
  }
  return parts;
}

std::vector<SharpnessSweep> sweeps_of(const Settings& settings, const Results& results) {
  const Plan plan = plan_of(settings.size);
  std::vector<SharpnessSweep> all;
  for (const Separated& separation : separations()) {
    for (const std::int64_t patterns : plan.patterns) {
      SharpnessSweep one;
      one.separation = separation.name;
      one.patterns = patterns;
      one.sharpness = sharpness_of(separation, plan);
      const std::pair<const char*, std::vector<Estimate> SharpnessSweep::*> columns[] = {
          {"fixed_points", &SharpnessSweep::fixed_points},
          {"metastable", &SharpnessSweep::metastable},
          {"averages", &SharpnessSweep::averages},
          {"relative_entropy", &SharpnessSweep::relative_entropy},
          {"temperature", &SharpnessSweep::temperature},
          {"relative_fewest", &SharpnessSweep::relative_fewest},
          {"error", &SharpnessSweep::error},
          {"success", &SharpnessSweep::success}};
      for (const auto& [name, member] : columns) {
        for (std::size_t step = 0; step < one.sharpness.size(); ++step) {
          std::vector<double> values;
          for (std::int64_t n = 0; n < plan.seeds; ++n) {
            values.push_back(results.at(key_of(separation, patterns, settings.seed + n))
                                 .at(name)
                                 .at(step)
                                 .get<double>());
          }
          (one.*member).push_back(estimate(values));
        }
      }
      all.push_back(std::move(one));
    }
  }
  return all;
}

std::vector<Point> points_of(const std::vector<double>& x, const std::vector<Estimate>& y,
                             double least, double most) {
  std::vector<Point> points;
  for (std::size_t n = 0; n < x.size(); ++n) {
    points.push_back({x[n], y[n].mean, std::max(least, y[n].low()), std::min(most, y[n].high())});
  }
  return points;
}

bool sweeps_beta(const SharpnessSweep& sweep) { return sweep.separation != "polynomial"; }

constexpr const char* kBands =
    "Bands are 95 % intervals over seeds, each with its own patterns and queries.";

Figure shares_figure(const SharpnessSweep& sweep) {
  Figure figure;
  std::string name = sweep.separation;
  std::erase_if(name, [](char c) { return c == '.' || c == '%' || c == ' '; });
  figure.name = "shares-" + name;
  figure.title = fmt::format("Regimes of {} with {} patterns", sweep.separation, sweep.patterns);
  figure.caption = fmt::format(
      "Share of noisy queries with k0.9 = 1 (fixed point), at most half of the patterns "
      "(metastable) "
      "and more (global average). {}",
      kBands);
  figure.x_label =
      sweeps_beta(sweep) ? "inverse temperature beta" : "degree of the polynomial separation";
  figure.y_label = "share of queries";
  figure.log_x = true;
  figure.y_range = {{-0.02, 1.02}};
  figure.series = {
      {"fixed point", Series::Kind::line, points_of(sweep.sharpness, sweep.fixed_points, 0, 1)},
      {"metastable", Series::Kind::line, points_of(sweep.sharpness, sweep.metastable, 0, 1)},
      {"global average", Series::Kind::line, points_of(sweep.sharpness, sweep.averages, 0, 1)}};
  return figure;
}

Figure by_separation(const std::vector<SharpnessSweep>& sweeps, std::int64_t patterns,
                     const std::string& name, const std::string& title, const std::string& y_label,
                     std::vector<Estimate> SharpnessSweep::*member, double least, double most,
                     bool log_y) {
  Figure figure;
  figure.name = name;
  figure.title = fmt::format("{}, {} patterns", title, patterns);
  figure.caption = kBands;
  figure.x_label = "inverse temperature beta";
  figure.y_label = y_label;
  figure.log_x = true;
  figure.log_y = log_y;
  for (const SharpnessSweep& sweep : sweeps) {
    if (sweep.patterns == patterns && sweeps_beta(sweep)) {
      figure.series.push_back({sweep.separation, Series::Kind::line,
                               points_of(sweep.sharpness, sweep.*member, least, most)});
    }
  }
  return figure;
}

// The sharpness at which the share first reaches one half, between neighbours on a logarithmic
// axis.
Cell cell_or_empty(const std::optional<double>& value) {
  Cell cell;
  if (value) {
    cell = *value;
  }
  return cell;
}

std::optional<double> crossing(const std::vector<double>& x, const std::vector<Estimate>& share,
                               bool rising) {
  for (std::size_t n = 0; n < x.size(); ++n) {
    const bool is_there = rising ? share[n].mean >= 0.5 : share[n].mean < 0.5;
    if (!is_there) {
      continue;
    }
    if (n == 0) {
      return std::nullopt;
    }
    const double before = share[n - 1].mean;
    const double at = (0.5 - before) / (share[n].mean - before);
    return std::exp(std::log(x[n - 1]) + at * (std::log(x[n]) - std::log(x[n - 1])));
  }
  return std::nullopt;
}

ResultTable curve_table(const std::vector<SharpnessSweep>& sweeps) {
  ResultTable table;
  table.name = "curves";
  table.title = "Every point of the sweeps: means over seeds and half widths of 95 % intervals";
  table.columns = {{"separation"}, {"patterns"}, {"beta or degree", "", 6}};
  const std::pair<const char*, std::vector<Estimate> SharpnessSweep::*> columns[] = {
      {"share of fixed points", &SharpnessSweep::fixed_points},
      {"share of metastable states", &SharpnessSweep::metastable},
      {"share of global averages", &SharpnessSweep::averages},
      {"entropy over its maximum", &SharpnessSweep::relative_entropy},
      {"median effective temperature", &SharpnessSweep::temperature},
      {"k0.9 over the patterns", &SharpnessSweep::relative_fewest},
      {"relative squared error", &SharpnessSweep::error},
      {"retrieval success", &SharpnessSweep::success}};
  for (const auto& [name, member] : columns) {
    table.columns.push_back({name});
    table.columns.push_back({std::string(name) + " ±"});
  }
  for (const SharpnessSweep& sweep : sweeps) {
    for (std::size_t n = 0; n < sweep.sharpness.size(); ++n) {
      std::vector<Cell> row = {sweep.separation, sweep.patterns, sweep.sharpness[n]};
      for (const auto& [name, member] : columns) {
        const Estimate& e = (sweep.*member)[n];
        row.emplace_back(e.mean);
        row.push_back(cell_or_empty(e.half_width));
      }
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

ResultTable summary_table(const std::vector<SharpnessSweep>& sweeps) {
  ResultTable table;
  table.name = "summary";
  table.title = "Where the regimes change, and how well is retrieved";
  table.columns = {{"separation"},
                   {"patterns"},
                   {"averages end at", "", 4},
                   {"fixed points begin at", "", 4},
                   {"largest share of metastable states"},
                   {"least relative squared error", "", 6},
                   {"reached at", "", 4},
                   {"retrieval success there"},
                   {"chance of the right pattern"}};
  for (const SharpnessSweep& sweep : sweeps) {
    const auto by_mean = [](const Estimate& a, const Estimate& b) { return a.mean < b.mean; };
    const auto best = static_cast<std::size_t>(
        std::min_element(sweep.error.begin(), sweep.error.end(), by_mean) - sweep.error.begin());
    table.rows.push_back(
        {sweep.separation, sweep.patterns,
         cell_or_empty(crossing(sweep.sharpness, sweep.averages, false)),
         cell_or_empty(crossing(sweep.sharpness, sweep.fixed_points, true)),
         std::max_element(sweep.metastable.begin(), sweep.metastable.end(), by_mean)->mean,
         sweep.error[best].mean, sweep.sharpness[best], sweep.success[best].mean,
         1.0 / static_cast<double>(sweep.patterns)});
  }
  return table;
}

Report report_of(const Settings& settings, const Results& results) {
  const Plan plan = plan_of(settings.size);
  const std::vector<SharpnessSweep> sweeps = sweeps_of(settings, results);
  const std::int64_t shown = plan.patterns[plan.patterns.size() > 2 ? 2 : plan.patterns.size() - 1];
  Report report;
  report.findings = regime_findings(sweeps);
  report.tables = {summary_table(sweeps), curve_table(sweeps)};
  for (const SharpnessSweep& sweep : sweeps) {
    if (sweep.patterns == shown) {
      report.figures.push_back(shares_figure(sweep));
    }
  }
  using S = SharpnessSweep;
  report.figures.push_back(by_separation(sweeps, shown, "entropy", "Entropy of the weights",
                                         "entropy / ln(patterns)", &S::relative_entropy, 0, 1,
                                         false));
  report.figures.push_back(by_separation(
      sweeps, shown, "temperature", "Effective temperature", "median effective temperature",
      &S::temperature, kernels::kLeastTemperature, kernels::kMostTemperature, true));
  report.figures.push_back(by_separation(sweeps, shown, "fewest", "Fewest weights that reach 90 %",
                                         "k0.9 / patterns", &S::relative_fewest, 0, 1, false));
  report.figures.push_back(by_separation(sweeps, shown, "error", "Retrieval error",
                                         "relative squared error", &S::error, 0, 1e9, false));
  Figure sizes;
  sizes.name = "error-softmax";
  sizes.title = "Retrieval error of softmax";
  sizes.caption = kBands;
  sizes.x_label = "inverse temperature beta";
  sizes.y_label = "relative squared error";
  sizes.log_x = true;
  for (const SharpnessSweep& sweep : sweeps) {
    if (sweep.separation == "softmax") {
      sizes.series.push_back({fmt::format("{} patterns", sweep.patterns), Series::Kind::line,
                              points_of(sweep.sharpness, sweep.error, 0, 1e9)});
    }
  }
  sizes.levels = {{"the query itself", kNoise * kNoise}};
  report.figures.push_back(std::move(sizes));
  report.verdicts = {judge_sharpness(sweeps)};
  report.remarks = {
      fmt::format(
          "Patterns of {} independent normal entries with deviation 1; a query is a pattern "
          "with normal noise of deviation {}. One update, {} queries per seed, seeds {} to {}.",
          kWidth, kNoise, plan.queries, settings.seed, settings.seed + plan.seeds - 1),
      fmt::format(
          "Regimes by k0.9, the fewest weights that reach 90 %: 1 is a fixed point, at most "
          "half of the patterns metastable, more a global average. Success: a relative "
          "squared error of at most {}. A query left as it is has an error of {:.2f} (the "
          "trivial baseline); the average of all patterns has about 1.",
          kSuccess, kNoise * kNoise),
      "The effective temperature is the softmax temperature, on the standardised scores of a row, "
      "that has the entropy of the row; it is cut to [0.001, 1000]. For softmax it is 1 / (beta "
      "times the deviation of the inner products).",
      "Patterns that top-k drops count as patterns of weight 0, as those that a sparse separation "
      "drops do. Polynomial weights do not depend on beta; their degree is swept instead."};
  return report;
}

std::string share_text(const Estimate& e) {
  return e.half_width ? fmt::format("{:.3f} [{:.3f}, {:.3f}]", e.mean, std::max(0.0, e.low()),
                                    std::min(1.0, e.high()))
                      : fmt::format("{:.3f}", e.mean);
}

}  // namespace

Verdict judge_sharpness(const std::vector<SharpnessSweep>& sweeps) {
  constexpr double kNearlyAll = 0.9;
  constexpr double kRise = 0.01;
  Verdict verdict;
  verdict.claim =
      "C(a): softmax sharpness moves a head between prototype selection and averaging (memo)";
  verdict.published = "a statement without numbers";
  std::vector<std::string> ours;
  bool all = true;
  bool none = false;
  double rise = 0;
  for (const SharpnessSweep& sweep : sweeps) {
    if (sweep.separation != "softmax") {
      continue;
    }
    const Estimate& averages = sweep.averages.front();
    const Estimate& fixed = sweep.fixed_points.back();
    all = all && averages.low() >= kNearlyAll && fixed.low() >= kNearlyAll;
    none = none || averages.high() < 0.5 || fixed.high() < 0.5;
    for (std::size_t n = 1; n < sweep.relative_entropy.size(); ++n) {
      rise = std::max(rise, sweep.relative_entropy[n].mean - sweep.relative_entropy[n - 1].mean);
    }
    ours.push_back(
        fmt::format("{} patterns: global averages {} at beta {:.3g}, fixed points {} at "
                    "beta {:.3g}",
                    sweep.patterns, share_text(averages), sweep.sharpness.front(),
                    share_text(fixed), sweep.sharpness.back()));
  }
  verdict.ours = fmt::format("{}", fmt::join(ours, "; "));
  verdict.statistics = fmt::format(
      "reproduced if both shares have intervals above {} for every number of patterns and the mean "
      "entropy nowhere rises by more than {} of its maximum (largest rise: {:.4f}); contradicted "
      "if "
      "an interval lies below 0.5",
      kNearlyAll, kRise, rise);
  if (ours.empty()) {
    verdict.judgement = Judgement::undecided;
  } else if (none) {
    verdict.judgement = Judgement::contradicted;
  } else {
    verdict.judgement = all && rise <= kRise ? Judgement::reproduced : Judgement::undecided;
  }
  return verdict;
}

std::vector<std::string> regime_findings(const std::vector<SharpnessSweep>& sweeps) {
  std::vector<std::string> findings;
  std::vector<std::string> names;
  for (const SharpnessSweep& sweep : sweeps) {
    if (std::find(names.begin(), names.end(), sweep.separation) == names.end()) {
      names.push_back(sweep.separation);
    }
  }
  for (const std::string& name : names) {
    // The worst number of patterns for each regime: what is said holds for all of them.
    double fixed = 1;
    double averages = 1;
    double metastable = 1;
    for (const SharpnessSweep& sweep : sweeps) {
      if (sweep.separation != name) {
        continue;
      }
      const auto largest = [](const std::vector<Estimate>& shares) {
        double most = 0;
        for (const Estimate& e : shares) {
          most = std::max(most, e.mean);
        }
        return most;
      };
      fixed = std::min(fixed, largest(sweep.fixed_points));
      averages = std::min(averages, largest(sweep.averages));
      metastable = std::min(metastable, largest(sweep.metastable));
    }
    std::vector<std::string> reached;
    std::vector<std::string> missed;
    for (const auto& [regime, share] : {std::pair<const char*, double>{"fixed points", fixed},
                                        {"metastable states", metastable},
                                        {"global averages", averages}}) {
      (share >= 0.5 ? reached : missed).push_back(fmt::format("{} ({:.2f})", regime, share));
    }
    findings.push_back(fmt::format("{}: {}{}{}.", name,
                                   reached.empty()
                                       ? "no regime holds most queries at any sharpness"
                                       : fmt::format("somewhere in the sweep most queries are {}",
                                                     fmt::join(reached, ", elsewhere ")),
                                   missed.empty() ? "" : ", never ", fmt::join(missed, " or ")));
  }
  if (!findings.empty()) {
    findings.push_back(
        "The numbers are the largest shares that a sweep reaches, of the number of patterns where "
        "this is least.");
  }
  return findings;
}

Experiment regimes() {
  return {
      "regimes",
      "Attention heads as memories (memo), claim (a)",
      "Does the sharpness of a separation move a memory between fixed points, metastable states "
      "and the global average?",
      "",
      parts_of,
      report_of,
      "",
      false};
}

}  // namespace basin::experiments
