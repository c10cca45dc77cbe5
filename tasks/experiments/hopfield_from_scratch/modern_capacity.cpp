#include "tasks/experiments/hopfield_from_scratch/modern_capacity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "nn/memories/modern.h"
#include "tasks/experiments/estimate_columns.h"
#include "tasks/experiments/hopfield_from_scratch/common.h"
#include "tasks/experiments/hopfield_from_scratch/modern_runs.h"
#include "tasks/statistics.h"
#include "tensor/error.h"
#include "tensor/functions/elementwise.h"
#include "tensor/functions/reduce.h"

namespace basin::experiments {

namespace modern_capacity_parts {

constexpr double kNoise = 0.3;
constexpr double kBeta = 1.0;
constexpr std::int64_t kPublishedWidth = 64;

struct Plan {
  std::vector<std::int64_t> widths, patterns;
  std::int64_t queries, seeds;
};

Plan plan_of(Size size) {
  Plan plan{{8, 12, 16, 20, 24, 28, 32, 40, 64},
            {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000, 100000},
            200,
            5};
  if (size == Size::smoke) {
    plan = {{8, 12, 16, 20, 64}, {1, 2, 5, 10, 20, 50, 100, 200, 500}, 100, 3};
  } else if (size == Size::gpu || size == Size::full) {
    plan.patterns.insert(plan.patterns.end(), {300000, 1000000});
    plan.queries = size == Size::full ? 1000 : 500;
    plan.seeds = 10;
  }
  return plan;
}

// Where narrow patterns are long lost there is nothing to see.
std::vector<std::int64_t> patterns_of(const Plan& plan, std::int64_t width) {
  const std::int64_t most = width <= 12 ? 1000 : width <= 16 ? 10000 : plan.patterns.back();
  std::vector<std::int64_t> all = plan.patterns;
  std::erase_if(all, [&](std::int64_t patterns) { return patterns > most; });
  return all;
}

std::string key_of(std::int64_t width, std::int64_t patterns, std::int64_t seed) {
  return fmt::format("width={}/patterns={}/seed={}", width, patterns, seed);
}

nlohmann::json compute(std::int64_t width, std::int64_t patterns, std::int64_t queries,
                       std::uint64_t seed, const Progress& progress) {
  Rng rng(seed);
  const std::int64_t memories = (queries + patterns - 1) / patterns;
  std::int64_t asked = 0;
  std::int64_t retrieved = 0;
  std::int64_t nearest = 0;
  double length_retrieved = 0;  // squared, in units of the mean one
  double length_lost = 0;
  for (std::int64_t m = 0; m < memories; ++m) {
    if (progress.tell) {
      progress.tell(static_cast<double>(m) / static_cast<double>(memories),
                    fmt::format("{} patterns of width {}", patterns, width));
    }
    const NoisyPatterns drawn = draw_noisy(patterns, width, kNoise, queries, rng);
    const nn::ModernMemory memory(drawn.patterns, memory_options(Separation::softmax, kBeta));
    const std::vector<double> lengths = sum(square(drawn.wanted), 1).to_vector<double>();
    const std::vector<double> cosines = row_cosines(memory.update(drawn.queries), drawn.wanted);
    for (std::size_t q = 0; q < cosines.size(); ++q) {
      const bool found = cosines[q] > kRetrievedCosine;
      retrieved += found ? 1 : 0;
      (found ? length_retrieved : length_lost) += lengths[q] / static_cast<double>(width);
    }
    std::int64_t at = 0;
    for (const std::int64_t best : memory.best_match(drawn.queries).to_vector<std::int64_t>()) {
      nearest += best == at++ ? 1 : 0;
    }
    asked += drawn.queries.size(0);
  }
  nlohmann::json result;
  result["queries"] = asked;
  result["retrieved"] = retrieved;
  result["nearest"] = nearest;
  result["length retrieved"] = length_retrieved;
  result["length lost"] = length_lost;
  return result;
}

std::vector<Part> parts(const Settings& settings) {
  const Plan plan = plan_of(settings.size);
  std::vector<Part> all;
  for (const std::int64_t width : plan.widths) {
    for (const std::int64_t patterns : patterns_of(plan, width)) {
      for (std::int64_t seed = 0; seed < plan.seeds; ++seed) {
        Part part;
        part.key = key_of(width, patterns, settings.seed + seed);
        part.cost = static_cast<double>(patterns + 1000) * static_cast<double>(width);
        const std::uint64_t own = seed_of(settings, part.key);
        const std::int64_t queries = plan.queries;
        part.compute = [=](const Progress& progress) {
          return compute(width, patterns, queries, own, progress);
        };
        all.push_back(std::move(part));
      }
    }
  }
  return all;
}

// One share in [0, 1] for each seed.
std::vector<double> shares(const Settings& settings, const Plan& plan, const Results& results,
                           std::int64_t width, std::int64_t patterns, const std::string& what) {
  std::vector<double> all;
  for (std::int64_t seed = 0; seed < plan.seeds; ++seed) {
    const std::string key = key_of(width, patterns, settings.seed + seed);
    all.push_back(number(results, key, what) / number(results, key, "queries"));
  }
  return all;
}

// ln of the number of patterns at which the share falls through `level`, for each seed, between the
// numbers that were tried by a straight line in ln P; empty unless all seeds fall through it.
std::vector<double> log_capacities(const Settings& settings, const Plan& plan,
                                   const Results& results, std::int64_t width, double level) {
  const std::vector<std::int64_t> patterns = patterns_of(plan, width);
  std::vector<double> all;
  for (std::size_t seed = 0; seed < static_cast<std::size_t>(plan.seeds); ++seed) {
    double x_before = 0;
    double y_before = 1;
    std::optional<double> at;
    for (const std::int64_t count : patterns) {
      const double x = std::log(static_cast<double>(count));
      const double y = shares(settings, plan, results, width, count, "retrieved")[seed];
      if (!at && y < level && x > x_before) {
        at = x_before + (x - x_before) * (y_before - level) / (y_before - y);
      }
      x_before = x;
      y_before = y;
    }
    if (!at) {
      return {};
    }
    all.push_back(*at);
  }
  return all;
}

std::vector<WidthCapacity> capacities(const Settings& settings, const Plan& plan,
                                      const Results& results, double level) {
  std::vector<WidthCapacity> all;
  for (const std::int64_t width : plan.widths) {
    std::vector<double> logs = log_capacities(settings, plan, results, width, level);
    if (!logs.empty()) {
      all.push_back({static_cast<double>(width), std::move(logs)});
    }
  }
  return all;
}

struct Fits {
  statistics::LineFit exponential, power;
};

std::optional<Fits> fits_of(const std::vector<WidthCapacity>& capacities) {
  if (capacities.size() < 4) {
    return std::nullopt;
  }
  std::vector<double> d, log_d, y;
  for (const WidthCapacity& one : capacities) {
    d.push_back(one.width);
    log_d.push_back(std::log(one.width));
    y.push_back(mean_of(one.log_capacity));
  }
  return Fits{statistics::fit_line(d, y), statistics::fit_line(log_d, y)};
}

ResultTable share_table(const Settings& settings, const Plan& plan, const Results& results) {
  ResultTable table;
  table.name = "retrieved";
  table.title = fmt::format(
      "Queries with a cosine above {} after one update: noise {}, beta {}; {} seeds of about {} "
      "queries",
      kRetrievedCosine, kNoise, kBeta, plan.seeds, plan.queries);
  table.columns = {{"width", "", 0}, {"patterns", "", 0}, {"published", "%", 1}};
  add_estimate_columns(table.columns, "retrieved", "%", 2);
  table.columns.insert(table.columns.end(), {{"baseline: largest product is right", "%", 2},
                                             {"chance: a random pattern", "%", 4}});
  for (const std::int64_t width : plan.widths) {
    for (const std::int64_t patterns : patterns_of(plan, width)) {
      const bool known = width == kPublishedWidth && patterns >= 5 && patterns <= 500;
      std::vector<Cell> row{width, patterns, cell_if(known, 100.0)};
      add_estimate(row, percent(shares(settings, plan, results, width, patterns, "retrieved")));
      row.insert(row.end(),
                 {100 * mean_of(shares(settings, plan, results, width, patterns, "nearest")),
                  100.0 / static_cast<double>(patterns)});
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

ResultTable capacity_table(const Settings& settings, const Plan& plan, const Results& results) {
  ResultTable table;
  table.name = "capacity";
  table.title =
      "P_max: the number of patterns at which the share of retrieved queries falls through a level";
  table.columns = {{"width", "", 0}, {"level", "%", 0}};
  add_estimate_columns(table.columns, "ln P_max", "", 3);
  table.columns.push_back({"P_max", "", 0});
  for (const double level : {0.9, 0.5, 0.95}) {
    for (const std::int64_t width : plan.widths) {
      const std::vector<double> logs = log_capacities(settings, plan, results, width, level);
      std::vector<Cell> row{width, 100 * level};
      add_estimate(row, logs);
      if (logs.empty()) {
        row.emplace_back(fmt::format("above {}", patterns_of(plan, width).back()));
      } else {
        row.emplace_back(std::exp(mean_of(logs)));
      }
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

ResultTable fit_table(const Settings& settings, const Plan& plan, const Results& results) {
  ResultTable table;
  table.name = "fits";
  table.title = "ln P_max as a line in d (exponential growth) and in ln d (a power)";
  table.columns = {{"level", "%", 0},        {"widths", "", 0},
                   {"slope on d", "", 4},    {"95 % low", "", 4},
                   {"95 % high", "", 4},     {"r squared, exponential", "", 5},
                   {"slope on ln d", "", 3}, {"r squared, power", "", 5}};
  for (const double level : {0.9, 0.5, 0.95}) {
    const std::vector<WidthCapacity> known = capacities(settings, plan, results, level);
    const std::optional<Fits> fits = fits_of(known);
    if (!fits) {
      continue;
    }
    const statistics::Interval interval =
        fits->exponential.slope_interval.value_or(statistics::Interval{});
    table.rows.push_back({100 * level, static_cast<std::int64_t>(known.size()),
                          fits->exponential.slope, interval.low, interval.high,
                          fits->exponential.r_squared, fits->power.slope, fits->power.r_squared});
  }
  return table;
}

Figure share_figure(const Settings& settings, const Plan& plan, const Results& results) {
  Figure figure;
  figure.name = "retrieved";
  figure.title = "One update, noise 0.3, beta 1";
  figure.x_label = "stored patterns";
  figure.y_label = "queries retrieved (%)";
  figure.log_x = true;
  figure.y_range = {{0.0, 103.0}};
  figure.caption = fmt::format(
      "Retrieved: cosine with the wanted pattern above {}. Mean over {} seeds; bands: 95 % "
      "interval of "
      "the mean. Stars: published, width 64.",
      kRetrievedCosine, plan.seeds);
  for (const std::int64_t width : plan.widths) {
    if (plan.widths.size() > 6 && width % 8 != 0) {
      continue;  // a picture of every second width
    }
    Series series;
    series.title = fmt::format("d = {}", width);
    for (const std::int64_t patterns : patterns_of(plan, width)) {
      series.points.push_back(
          mean_point(static_cast<double>(patterns),
                     percent(shares(settings, plan, results, width, patterns, "retrieved"))));
    }
    figure.series.push_back(std::move(series));
  }
  Series published;
  published.title = "published, d = 64";
  published.kind = Series::Kind::published;
  for (const std::int64_t patterns : plan.patterns) {
    if (patterns >= 5 && patterns <= 500) {
      published.points.push_back({static_cast<double>(patterns), 100.0, {}, {}});
    }
  }
  figure.series.push_back(std::move(published));
  return figure;
}

Figure capacity_figure(const Settings& settings, const Plan& plan, const Results& results) {
  Figure figure;
  figure.name = "capacity";
  figure.title = "Capacity against width";
  figure.x_label = "width d";
  figure.y_label = "P_max (patterns)";
  figure.log_y = true;
  figure.caption = fmt::format(
      "The number of patterns at which the share of retrieved queries falls through the level: "
      "geometric mean of {} seeds, bands: 95 % interval. Thin lines: P_max = c e^(s d), fitted. "
      "Widths whose share does not fall through the level are left out.",
      plan.seeds);
  for (const double level : {0.9, 0.5}) {
    const std::vector<WidthCapacity> known = capacities(settings, plan, results, level);
    Series series;
    series.title = fmt::format("{:.0f} % retrieved", 100 * level);
    for (const WidthCapacity& one : known) {
      Point point = mean_point(one.width, one.log_capacity);
      point.y = std::exp(point.y);
      if (point.low && point.high) {
        point.low = std::exp(*point.low);
        point.high = std::exp(*point.high);
      }
      series.points.push_back(point);
    }
    if (series.points.empty()) {
      continue;
    }
    figure.series.push_back(std::move(series));
    if (const std::optional<Fits> fits = fits_of(known)) {
      Series line;
      line.title = fmt::format("e^({:.3f} d)", fits->exponential.slope);
      line.kind = Series::Kind::theory;
      for (const double width : {known.front().width, known.back().width}) {
        line.points.push_back({width, std::exp(fits->exponential.at(width)), {}, {}});
      }
      figure.series.push_back(std::move(line));
    }
  }
  return figure;
}

// Over all memories of widths that are not small.
struct Lost {
  double count = 0;             // queries that were not retrieved
  double wrong_product = 0;     // queries whose largest product is another pattern's
  double length = 0;            // mean squared length over d of the lost ones
  double length_retrieved = 0;  // and of the others
};

Lost lost_of(const Settings& settings, const Plan& plan, const Results& results) {
  Lost lost;
  double retrieved = 0;
  for (const std::int64_t width : plan.widths) {
    for (const std::int64_t patterns : patterns_of(plan, width)) {
      for (std::int64_t seed = 0; width >= 20 && seed < plan.seeds; ++seed) {
        const std::string key = key_of(width, patterns, settings.seed + seed);
        const double queries = number(results, key, "queries");
        retrieved += number(results, key, "retrieved");
        lost.count += queries - number(results, key, "retrieved");
        lost.wrong_product += queries - number(results, key, "nearest");
        lost.length += number(results, key, "length lost");
        lost.length_retrieved += number(results, key, "length retrieved");
      }
    }
  }
  lost.length /= std::max(1.0, lost.count);
  lost.length_retrieved /= std::max(1.0, retrieved);
  return lost;
}

Report report(const Settings& settings, const Results& results) {
  const Plan plan = plan_of(settings.size);
  Report report;
  report.tables = {share_table(settings, plan, results), capacity_table(settings, plan, results),
                   fit_table(settings, plan, results)};
  report.figures = {share_figure(settings, plan, results),
                    capacity_figure(settings, plan, results)};
  std::vector<std::int64_t> patterns, retrieved, queries;
  for (const std::int64_t count : plan.patterns) {
    if (count >= 5 && count <= 500) {
      patterns.push_back(count);
      retrieved.push_back(0);
      queries.push_back(0);
      for (std::int64_t seed = 0; seed < plan.seeds; ++seed) {
        const std::string key = key_of(kPublishedWidth, count, settings.seed + seed);
        retrieved.back() += std::lround(number(results, key, "retrieved"));
        queries.back() += std::lround(number(results, key, "queries"));
      }
    }
  }
  const std::vector<WidthCapacity> known = capacities(settings, plan, results, 0.9);
  report.verdicts = {judge_hundred_percent(patterns, retrieved, queries),
                     judge_exponential(known, "90 % retrieved")};
  if (const std::optional<Fits> fits = fits_of(known)) {
    report.findings.push_back(fmt::format(
        "Each further dimension multiplies the number of patterns that are retrieved to 90 % by "
        "{:.3f} (ln P_max = {:.2f} + {:.3f} d over widths {:.0f} to {:.0f}, r squared {:.4f}; a "
        "power of d "
        "would explain {:.4f}).",
        std::exp(fits->exponential.slope), fits->exponential.intercept, fits->exponential.slope,
        known.front().width, known.back().width, fits->exponential.r_squared,
        fits->power.r_squared));
  }
  const std::int64_t most = patterns_of(plan, kPublishedWidth).back();
  report.findings.push_back(
      fmt::format("At width 64 the share of retrieved queries is still {} with {} patterns: 5 to "
                  "500 patterns do "
                  "not come near what such a memory holds.",
                  estimate_text(statistics::estimate(percent(shares(
                                    settings, plan, results, kPublishedWidth, most, "retrieved"))),
                                "%", 2),
                  most));
  const Lost lost = lost_of(settings, plan, results);
  if (lost.count > 0) {
    report.findings.push_back(fmt::format(
        "What is lost are short patterns: their squared length is {:.2f} of the mean one, that of "
        "retrieved ones {:.2f} (widths from 20 on). With raw products a long pattern can have the "
        "larger "
        "product with a query that was made from a short one; looking for the largest product "
        "fails for "
        "{:.0f} % as many queries.",
        lost.length, lost.length_retrieved, 100 * lost.wrong_product / lost.count));
  }
  report.remarks = {
      fmt::format(
          "Patterns: independent standard normal numbers. Queries: the first patterns plus "
          "normal noise of deviation {}. With fewer patterns than queries several memories are "
          "asked. Seeds {} to {}.",
          kNoise, settings.seed, settings.seed + plan.seeds - 1),
      "The lines are fitted to the means over seeds, one point for each width.",
      "beta is 1 at every width, as published: products grow with the width, and with them the gap "
      "between the right pattern and the others."};
  return report;
}

}  // namespace modern_capacity_parts

Verdict judge_exponential(const std::vector<WidthCapacity>& capacities, const std::string& level) {
  using namespace modern_capacity_parts;
  Verdict verdict;
  verdict.claim = "B(e): the capacity of the modern network is exponential in the width d";
  verdict.published = "exponential in d";
  const std::optional<Fits> fits = fits_of(capacities);
  if (!fits) {
    verdict.ours = fmt::format("{} widths with a known capacity", capacities.size());
    verdict.statistics = "At least four widths are needed to tell an exponential from a power.";
    return verdict;
  }
  const statistics::LineFit& line = fits->exponential;
  const statistics::Interval slope =
      line.slope_interval.value_or(statistics::Interval{line.slope, line.slope});
  const double left_exponential = 1 - line.r_squared;
  const double left_power = 1 - fits->power.r_squared;
  verdict.ours = fmt::format("ln P_max grows by {:.3f} [{:.3f}, {:.3f}] per dimension ({})",
                             line.slope, slope.low, slope.high, level);
  verdict.statistics = fmt::format(
      "{} widths. A line in d leaves {:.2g} of the variance of ln P_max unexplained, a line in ln "
      "d "
      "(a power of d) {:.2g}.",
      line.n, left_exponential, left_power);
  if (slope.low > 0 && left_exponential < left_power) {
    verdict.judgement = Judgement::reproduced;
  } else if (slope.high < 0 || left_power < left_exponential / 2) {
    verdict.judgement = Judgement::contradicted;
  }
  return verdict;
}

Verdict judge_hundred_percent(const std::vector<std::int64_t>& patterns,
                              const std::vector<std::int64_t>& retrieved,
                              const std::vector<std::int64_t>& queries) {
  if (patterns.empty() || patterns.size() != retrieved.size() ||
      patterns.size() != queries.size()) {
    fail("[judge_hundred_percent] needs as many counts as numbers of patterns, at least one");
  }
  double least = 1;
  bool all_fit = true;
  bool none_below = true;
  for (std::size_t n = 0; n < patterns.size(); ++n) {
    const double share = static_cast<double>(retrieved[n]) / static_cast<double>(queries[n]);
    const statistics::Interval interval = statistics::wilson_interval(retrieved[n], queries[n]);
    least = std::min(least, share);
    all_fit = all_fit && interval.high >= 0.995 && share >= 0.99;
    none_below = none_below && interval.high >= 0.99;
  }
  Verdict verdict;
  verdict.claim = "Modern network, d = 64: all patterns are retrieved at 5 to 500 patterns";
  verdict.published = "100 % at every number";
  verdict.ours =
      fmt::format("at least {:.2f} % at {} numbers of patterns", 100 * least, patterns.size());
  verdict.statistics =
      "Reproduced if every share is at least 99 % and its interval (Wilson, 95 %) reaches what "
      "reads "
      "100 %; contradicted if one interval lies below 99 %. How many queries were published is not "
      "known.";
  verdict.judgement = all_fit      ? Judgement::reproduced
                      : none_below ? Judgement::undecided
                                   : Judgement::contradicted;
  return verdict;
}

Experiment modern_capacity_experiment() {
  using namespace modern_capacity_parts;
  return {
      "modern-capacity",
      kBlog,
      "How many patterns does a modern network retrieve, and how does that grow with their width?",
      "",
      parts,
      report,
      "",
      false};
}

}  // namespace basin::experiments
