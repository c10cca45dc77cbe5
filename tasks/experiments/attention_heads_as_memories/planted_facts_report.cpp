#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tasks/experiments/attention_heads_as_memories/planted_facts.h"
#include "tasks/experiments/estimate_columns.h"
#include "tasks/statistics.h"

namespace basin::experiments {

namespace {

// The results of one reader for one number of pairs and noise: a part for each seed.
class Cases {
 public:
  Cases(const Settings& settings, const Results& results)
      : settings_(settings),
        results_(results),
        budget_(planted_facts_budget(settings.size)),
        readers_(planted_facts_readers(budget_.sharpness)) {}

  const PlantedFactsBudget& budget() const { return budget_; }
  const std::vector<Reader>& readers() const { return readers_; }

  std::vector<const nlohmann::json*> seeds(std::int64_t pairs, double noise) const {
    std::vector<const nlohmann::json*> all;
    for (std::int64_t n = 0; n < budget_.seeds; ++n) {
      all.push_back(&results_.at(planted_facts_key(pairs, noise, settings_.seed + n)));
    }
    return all;
  }

  std::vector<double> of_part(std::int64_t pairs, double noise, const char* name) const {
    std::vector<double> values;
    for (const nlohmann::json* part : seeds(pairs, noise)) {
      values.push_back(part->at(name).get<double>());
    }
    return values;
  }

  std::vector<double> of_reader(std::int64_t pairs, double noise, std::size_t reader,
                                const char* name) const {
    std::vector<double> values;
    for (const nlohmann::json* part : seeds(pairs, noise)) {
      values.push_back(part->at("readers").at(reader).at(name).get<double>());
    }
    return values;
  }

  /// The sum of a number over all parts.
  double total(std::size_t reader, const char* name) const {
    double sum = 0.0;
    for (const std::int64_t pairs : budget_.pairs) {
      for (const double noise : budget_.noise) {
        for (const double value : of_reader(pairs, noise, reader, name)) {
          sum += value;
        }
      }
    }
    return sum;
  }

  std::vector<std::string> separations() const {
    std::vector<std::string> names;
    for (const Reader& reader : readers_) {
      if (std::find(names.begin(), names.end(), reader.separation) == names.end()) {
        names.push_back(reader.separation);
      }
    }
    return names;
  }

  /// The sharpness with the least mean error of the queries that are there for choosing.
  std::size_t chosen(const std::string& separation, std::int64_t pairs, double noise) const {
    std::size_t best = readers_.size();
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t n = 0; n < readers_.size(); ++n) {
      if (readers_[n].separation == separation) {
        const double error =
            statistics::estimate(of_reader(pairs, noise, n, "choosing_error")).mean;
        if (best == readers_.size() || error < least) {
          best = n;
          least = error;
        }
      }
    }
    return best;
  }

 private:
  const Settings& settings_;
  const Results& results_;
  PlantedFactsBudget budget_;
  std::vector<Reader> readers_;
};

// Shares of `budget.queries` queries, in percent.
std::vector<double> percent(std::vector<double> counts, std::int64_t queries) {
  for (double& count : counts) {
    count = 100.0 * count / static_cast<double>(queries);
  }
  return counts;
}

void add_columns(ResultTable& table) {
  table.columns = {{"separation", "", 0},
                   {"pairs", "", 0},
                   {"noise (length, by that of a key)", "", 2},
                   {"beta (polynomial: degree - 1)", "", 0}};
  add_estimate_columns(table.columns, "relative error of the value", "", 4);
  add_estimate_columns(table.columns, "facts recalled (nearest value)", "%", 2);
  table.columns.push_back({"chance of recall", "%", 2});
  table.columns.push_back({"set-up", "", 0});
}

void add_row(ResultTable& table, const std::string& name, std::int64_t pairs, double noise,
             Cell sharpness, const std::vector<double>& errors,
             const std::vector<double>& recalled) {
  const double chance = 100.0 / static_cast<double>(pairs);
  std::vector<Cell> row = {name, pairs, noise, std::move(sharpness)};
  add_estimate(row, errors);
  add_estimate(row, recalled);
  row.emplace_back(chance);
  row.push_back(chance_flag(recalled, chance, true));
  table.rows.push_back(row);
}

void add_reader_row(ResultTable& table, const Cases& cases, std::size_t reader, std::int64_t pairs,
                    double noise) {
  add_row(table, cases.readers()[reader].separation, pairs, noise,
          cases.readers()[reader].sharpness, cases.of_reader(pairs, noise, reader, "error"),
          percent(cases.of_reader(pairs, noise, reader, "recalled"), cases.budget().queries));
}

ResultTable chosen_table(const Cases& cases) {
  ResultTable table{
      "chosen", "Planted facts read back at the sharpness chosen on other queries", {}, {}};
  add_columns(table);
  for (const std::int64_t pairs : cases.budget().pairs) {
    for (const double noise : cases.budget().noise) {
      for (const std::string& separation : cases.separations()) {
        add_reader_row(table, cases, cases.chosen(separation, pairs, noise), pairs, noise);
      }
      add_row(table, "argmax (ceiling of a lookup)", pairs, noise, {},
              cases.of_part(pairs, noise, "argmax_error"),
              percent(cases.of_part(pairs, noise, "argmax_recalled"), cases.budget().queries));
      add_row(table, "mean of all values", pairs, noise, {},
              cases.of_part(pairs, noise, "mean_error"), {});
    }
  }
  return table;
}

ResultTable sweep_table(const Cases& cases) {
  ResultTable table{"sweep", "Planted facts at every sharpness", {}, {}};
  add_columns(table);
  for (const std::int64_t pairs : cases.budget().pairs) {
    for (const double noise : cases.budget().noise) {
      for (std::size_t n = 0; n < cases.readers().size(); ++n) {
        add_reader_row(table, cases, n, pairs, noise);
      }
    }
  }
  return table;
}

// Geometric means, because errors and bounds span many powers of ten.
double geometric(double log_sum, double count) { return std::exp(log_sum / count); }

ResultTable bound_table(const Cases& cases) {
  ResultTable table{
      "bound", "Errors of keys that are read back, and the bound of theorem 4.1", {}, {}};
  table.columns = {{"separation", "", 0},
                   {"beta", "", 0},
                   {"queries that the theorem covers", "", 0},
                   {"error of the key, geometric mean", "", 8},
                   {"bound in the form of the proof, geometric mean", "", 8},
                   {"errors above it", "", 0},
                   {"bound as printed, geometric mean", "", 8},
                   {"errors above that", "", 0}};
  for (std::size_t n = 0; n < cases.readers().size(); ++n) {
    const double covered = cases.total(n, "covered");
    if (covered > 0.0) {
      table.rows.push_back({cases.readers()[n].separation, cases.readers()[n].sharpness,
                            static_cast<std::int64_t>(covered),
                            geometric(cases.total(n, "log_error"), covered),
                            geometric(cases.total(n, "log_proof"), covered),
                            static_cast<std::int64_t>(cases.total(n, "over_proof")),
                            geometric(cases.total(n, "log_printed"), covered),
                            static_cast<std::int64_t>(cases.total(n, "over_printed"))});
    }
  }
  return table;
}

Point error_point(double x, const std::vector<double>& values) {
  const statistics::Estimate e = statistics::estimate(values);
  Point point{x, e.mean, {}, {}};
  if (e.half_width) {
    point.low = e.low();
    point.high = e.high();
  }
  return point;
}

Figure sharpness_figure(const Cases& cases, std::int64_t pairs, double noise) {
  Figure figure;
  figure.name = "sharpness";
  figure.title = fmt::format("Error of planted facts: {} pairs, noise {}", pairs, noise);
  figure.caption = fmt::format(
      "Distance of the read value from the planted one, by the length of a value; mean of {} seeds "
      "with its 95 % interval. Polynomial weights stand at their degree minus 1.",
      cases.budget().seeds);
  figure.x_label = "beta";
  figure.y_label = "relative error of the value";
  figure.log_x = true;
  for (const std::string& separation : cases.separations()) {
    Series series{separation, Series::Kind::line, {}};
    for (std::size_t n = 0; n < cases.readers().size(); ++n) {
      if (cases.readers()[n].separation == separation) {
        series.points.push_back(
            error_point(cases.readers()[n].sharpness, cases.of_reader(pairs, noise, n, "error")));
      }
    }
    figure.series.push_back(series);
  }
  figure.levels = {
      {"argmax", statistics::estimate(cases.of_part(pairs, noise, "argmax_error")).mean},
      {"mean of all values", statistics::estimate(cases.of_part(pairs, noise, "mean_error")).mean}};
  return figure;
}

// One axis of the grid of pairs and noise, the other held.
template <class Axis, class At>
Figure chosen_figure(const Cases& cases, const Axis& axis, At&& at) {
  Figure figure;
  figure.caption = fmt::format(
      "Each separation at the sharpness that does best on other queries; mean of {} seeds with its "
      "95 % interval.",
      cases.budget().seeds);
  figure.y_label = "relative error of the value";
  for (const std::string& separation : cases.separations()) {
    Series series{separation, Series::Kind::line, {}};
    for (const auto x : axis) {
      const auto [pairs, noise] = at(x);
      const std::size_t reader = cases.chosen(separation, pairs, noise);
      series.points.push_back(
          error_point(static_cast<double>(x), cases.of_reader(pairs, noise, reader, "error")));
    }
    figure.series.push_back(series);
  }
  Series ceiling{"argmax", Series::Kind::line, {}};
  for (const auto x : axis) {
    const auto [pairs, noise] = at(x);
    ceiling.points.push_back(
        error_point(static_cast<double>(x), cases.of_part(pairs, noise, "argmax_error")));
  }
  figure.series.push_back(ceiling);
  return figure;
}

Figure bound_figure(const Cases& cases) {
  Figure figure;
  figure.name = "bound";
  figure.title = "Theorem 4.1: errors of softmax retrieval and their bound";
  figure.caption =
      "Geometric means over all queries that lie within R of the key they ask for. Errors of a few "
      "roundings (below 1e-13) are shown as 1e-13.";
  figure.x_label = "beta";
  figure.y_label = "error of the key that is read back";
  figure.log_x = figure.log_y = true;
  Series error{"measured", Series::Kind::line, {}};
  Series proof{"bound, form of the proof", Series::Kind::theory, {}};
  Series printed{"bound, as printed", Series::Kind::theory, {}};
  for (std::size_t n = 0; n < cases.readers().size(); ++n) {
    const double covered = cases.total(n, "covered");
    if (cases.readers()[n].separation == "softmax" && covered > 0.0) {
      const double beta = cases.readers()[n].sharpness;
      const auto add = [&](Series& series, const char* name) {
        const double y = geometric(cases.total(n, name), covered);
        series.points.push_back({beta, std::max(y, 1e-13), {}, {}});
      };
      add(error, "log_error");
      add(proof, "log_proof");
      add(printed, "log_printed");
    }
  }
  figure.series = {error, proof, printed};
  return figure;
}

Verdict counted(const std::string& claim, const std::string& published, const std::string& what,
                double exceptions, double of) {
  Verdict verdict;
  verdict.claim = claim;
  verdict.published = published;
  verdict.ours = fmt::format("{:.0f} exceptions among {:.0f} {}", exceptions, of, what);
  if (of > 0.0) {
    const statistics::Interval share = statistics::wilson_interval(
        static_cast<std::int64_t>(exceptions), static_cast<std::int64_t>(of));
    verdict.statistics = fmt::format(
        "a claim about all of them: one exception contradicts it; share of exceptions {:.3f} % "
        "[{:.3f}, {:.3f}] (Wilson)",
        100.0 * exceptions / of, 100.0 * share.low, 100.0 * share.high);
    verdict.judgement = exceptions > 0.0 ? Judgement::contradicted : Judgement::reproduced;
  } else {
    verdict.statistics = "no query meets the conditions";
  }
  return verdict;
}

std::vector<Verdict> verdicts_of(const Cases& cases) {
  double covered = 0, proof = 0, printed = 0, exact_rows = 0, exact = 0, worse = 0, inside = 0;
  double worse_outside = 0, outside = 0;
  for (std::size_t n = 0; n < cases.readers().size(); ++n) {
    covered += cases.total(n, "covered");
    proof += cases.total(n, "over_proof");
    printed += cases.total(n, "over_printed");
    exact_rows += cases.total(n, "exact_rows");
    exact += cases.total(n, "exact");
    if (cases.readers()[n].separation == "sparsemax") {
      worse += cases.total(n, "worse_than_dense");
      inside += cases.total(n, "inside");
      worse_outside += cases.total(n, "worse_outside");
      outside += 2.0 * cases.total(n, "queries") - cases.total(n, "inside");
    }
  }
  std::vector<Verdict> verdicts = {
      counted("Theorem 4.1 (nonparametric modern Hopfield models), as proved: the error is at most "
              "m (M + k - 2) exp(-beta (x.key - max x.other))",
              "for every query within R of its key", "queries of softmax and top-k heads", proof,
              covered),
      counted("The same bound as printed, with the inner product of the two keys in the maximum",
              "for every query within R of its key", "queries of softmax and top-k heads", printed,
              covered),
      counted("Sparsemax and entmax read a fact back exactly, bit for bit, where the margin of its "
              "score is at least 1 / (alpha - 1) (Martins and others; Wu and others)",
              "error 0", "queries with that margin", exact_rows - exact, exact_rows),
      counted(
          "Corollary 4.1.1, read as a statement about errors: sparse retrieval (sparsemax) errs "
          "at most as much as dense retrieval at the same beta",
          "compares two upper bounds", "queries within R at every beta, of keys read back", worse,
          inside)};
  verdicts.back().statistics +=
      fmt::format("; farther than R from the key, where nothing is claimed: {:.0f} of {:.0f}",
                  worse_outside, outside);
  return verdicts;
}

std::vector<std::string> findings_of(const Cases& cases, std::int64_t pairs, double noise) {
  std::vector<std::string> findings;
  for (const std::string& separation : cases.separations()) {
    const std::size_t reader = cases.chosen(separation, pairs, noise);
    findings.push_back(fmt::format(
        "{} pairs, noise {}: {} reads back with a relative error of {} at beta {}; argmax {}.",
        pairs, noise, separation,
        estimate_text(statistics::estimate(cases.of_reader(pairs, noise, reader, "error")), "", 4),
        cases.readers()[reader].sharpness,
        estimate_text(statistics::estimate(cases.of_part(pairs, noise, "argmax_error")), "", 4)));
  }
  return findings;
}

}  // namespace

Report planted_facts_report(const Settings& settings, const Results& results) {
  const Cases cases(settings, results);
  const PlantedFactsBudget& budget = cases.budget();
  const std::int64_t pairs = budget.pairs[budget.pairs.size() / 2];
  // Where a lookup begins to fail, too.
  const double noise = budget.noise[budget.noise.size() - 2];
  Report report;
  report.tables = {chosen_table(cases), bound_table(cases), sweep_table(cases)};
  Figure by_pairs = chosen_figure(cases, budget.pairs, [&](std::int64_t x) {
    return std::pair{x, noise};
  });
  by_pairs.name = "pairs";
  by_pairs.title = fmt::format("Error of planted facts and their number, noise {}", noise);
  by_pairs.x_label = "pairs in the head";
  by_pairs.log_x = true;
  Figure by_noise = chosen_figure(cases, budget.noise, [&](double x) {
    return std::pair{pairs, x};
  });
  by_noise.name = "noise";
  by_noise.title = fmt::format("Error of planted facts and noise of the query, {} pairs", pairs);
  by_noise.x_label = "length of the noise, by that of a key";
  report.figures = {sharpness_figure(cases, pairs, noise), by_pairs, by_noise, bound_figure(cases)};
  report.verdicts = verdicts_of(cases);
  report.findings = findings_of(cases, pairs, noise);
  report.remarks = {
      fmt::format("Keys and values are independent random directions of width {}, of length 1; a "
                  "query is a key with normal noise whose mean square length is given. All in f64.",
                  budget.width),
      fmt::format("Seeds {} to {}; {} queries of each for choosing the sharpness and as many "
                  "others for the numbers. The sweep shows the latter at every sharpness.",
                  settings.seed, settings.seed + budget.seeds - 1, budget.queries),
      "Baselines: argmax reads the value of the key with the largest score, the ceiling of a "
      "lookup; the mean of all values is what a head gives that averages over everything; chance "
      "of "
      "recall is 1 / pairs.",
      "A fact counts as recalled if of all values the planted one is nearest to what was read.",
      "Polynomial weights max(s, 0)^(n-1) do not depend on beta; degree n = beta + 1 falls off "
      "near "
      "the key as the exponential does. They end at degree 65.",
      "The bounds hold for keys read back as values, so errors of keys stand beside them: m = 1, M "
      "pairs, support k = M for softmax and what top-k leaves; R is half the least distance of two "
      "keys. Sparsemax, entmax and polynomials are outside the theorem."};
  return report;
}

}  // namespace basin::experiments
