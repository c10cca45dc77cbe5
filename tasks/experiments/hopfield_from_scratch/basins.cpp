#include "tasks/experiments/hopfield_from_scratch/basins.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "nn/memories/attractors.h"
#include "nn/memories/modern.h"
#include "tasks/experiments/estimate_columns.h"
#include "tasks/experiments/hopfield_from_scratch/common.h"
#include "tasks/experiments/hopfield_from_scratch/modern_runs.h"
#include "tasks/statistics.h"

namespace basin::experiments {

namespace basins_parts {

constexpr double kEdge = 1.5;  // the picture is [-kEdge, kEdge]^2
constexpr std::int64_t kMostSteps = 2000;
constexpr double kTolerance = 1e-9;
constexpr std::int64_t kRandomPatterns = 6;
constexpr std::int64_t kStarts = 40;  // a side of the grid of random memories

struct Plan {
  std::vector<double> betas;  // of the pictures
  std::int64_t side;          // cells
  std::vector<double> sweep;  // of the random memories
  std::int64_t seeds;
};

Plan plan_of(Size size) {
  if (size == Size::smoke) {
    return {{1, 40}, 24, {1, 40}, 3};
  }
  Plan plan{{1, 4, 12, 40}, 120, {0.5, 1, 2, 4, 8, 16, 32, 64, 128}, 20};
  if (size == Size::full) {
    plan.side = 400;
    plan.seeds = 200;
  }
  return plan;
}

Tensor on_circle(const std::vector<double>& degrees) {
  std::vector<double> points;
  for (const double angle : degrees) {
    points.push_back(std::cos(angle * std::numbers::pi / 180));
    points.push_back(std::sin(angle * std::numbers::pi / 180));
  }
  return Tensor::from(Shape{static_cast<std::int64_t>(degrees.size()), 2}, points);
}

// Two close neighbours, others farther and farther apart.
Tensor picture_patterns() { return on_circle({10, 35, 90, 150, 225, 310}); }

Tensor random_patterns(std::uint64_t seed) {
  Rng rng(seed);
  return on_circle(rng.uniform({kRandomPatterns}, 0, 360, DType::f64).to_vector<double>());
}

std::string picture_key(double beta) { return fmt::format("picture/beta={}", beta); }
std::string random_key(double beta, std::int64_t seed) {
  return fmt::format("random/beta={}/seed={}", beta, seed);
}

// A pattern is where a state ends if that is nearer than a quarter of the way to the next pattern.
nn::Basins basins_of(const Tensor& patterns, double beta, std::int64_t side,
                     std::vector<double>& energies) {
  const nn::ModernMemory memory(patterns, memory_options(Separation::softmax, beta));
  const Tensor grid = nn::grid_states(-kEdge, kEdge, side, -kEdge, kEdge, side);
  energies = memory.energy(grid).to_vector<double>();
  return nn::sort_by_attractor(memory.retrieve(grid, kMostSteps, kTolerance).states, patterns);
}

nlohmann::json compute(const Tensor& patterns, double beta, std::int64_t side, bool picture) {
  std::vector<double> energies;
  const nn::Basins basins = basins_of(patterns, beta, side, energies);
  nlohmann::json result;
  std::int64_t stored = 0;
  std::vector<std::int64_t> cells(basins.attractors.size());
  for (const std::int64_t of : basins.of) {
    ++cells[static_cast<std::size_t>(of)];
  }
  for (std::size_t n = 0; n < basins.attractors.size(); ++n) {
    const nn::Attractor& attractor = basins.attractors[n];
    const bool is_pattern = attractor.kind == nn::Attractor::Kind::pattern;
    stored += is_pattern ? cells[n] : 0;
    result["attractors"].push_back({{"pattern", is_pattern ? attractor.pattern : -1},
                                    {"x", attractor.state[0]},
                                    {"y", attractor.state[1]},
                                    {"cells", cells[n]}});
  }
  result["stored"] = static_cast<double>(stored) / static_cast<double>(basins.of.size());
  if (picture) {
    result["basin"] = basins.of;
    for (const double energy : energies) {
      result["energy"].push_back(std::round(energy * 1e5) / 1e5);  // a picture needs no more
    }
  }
  return result;
}

std::vector<Part> parts(const Settings& settings) {
  const Plan plan = plan_of(settings.size);
  std::vector<Part> all;
  for (const double beta : plan.betas) {
    Part part;
    part.key = picture_key(beta);
    part.cost = static_cast<double>(plan.side * plan.side);
    const std::int64_t side = plan.side;
    part.compute = [=](const Progress&) { return compute(picture_patterns(), beta, side, true); };
    all.push_back(std::move(part));
  }
  for (const double beta : plan.sweep) {
    for (std::int64_t n = 0; n < plan.seeds; ++n) {
      Part part;
      part.key = random_key(beta, settings.seed + n);
      part.cost = static_cast<double>(kStarts * kStarts);
      const std::uint64_t own = seed_of(settings, fmt::format("basins/seed={}", n));
      part.compute = [=](const Progress&) {
        return compute(random_patterns(own), beta, kStarts, false);
      };
      all.push_back(std::move(part));
    }
  }
  return all;
}

struct Counts {
  std::vector<double> attractors, patterns, stored;  // by seed
};

Counts counts_of(const Settings& settings, const Plan& plan, const Results& results, double beta) {
  Counts counts;
  for (std::int64_t n = 0; n < plan.seeds; ++n) {
    const std::string key = random_key(beta, settings.seed + n);
    const nlohmann::json& attractors = results.at(key).at("attractors");
    double patterns = 0;
    for (const nlohmann::json& attractor : attractors) {
      patterns += attractor.at("pattern").get<std::int64_t>() >= 0 ? 1 : 0;
    }
    counts.attractors.push_back(static_cast<double>(attractors.size()));
    counts.patterns.push_back(patterns);
    counts.stored.push_back(100 * number(results, key, "stored"));
  }
  return counts;
}

ResultTable attractor_table(const Plan& plan, const Results& results) {
  ResultTable table;
  table.name = "attractors";
  table.title = "Where the states of the pictures end";
  table.columns = {{"beta", "", 0},
                   {"attractor", "", 0},
                   {"x", "", 4},
                   {"y", "", 4},
                   {"share of the picture", "%", 2},
                   {"baseline: nearest pattern", "%", 2}};
  // What looking for the largest product would give: sectors of the circle between neighbours.
  const nn::ModernMemory memory(picture_patterns(), memory_options(Separation::softmax, 1.0));
  std::vector<double> sectors(static_cast<std::size_t>(memory.patterns().size(0)));
  const Tensor grid = nn::grid_states(-kEdge, kEdge, plan.side, -kEdge, kEdge, plan.side);
  for (const std::int64_t best : memory.best_match(grid).to_vector<std::int64_t>()) {
    sectors[static_cast<std::size_t>(best)] += 100.0 / static_cast<double>(grid.size(0));
  }
  for (const double beta : plan.betas) {
    for (const nlohmann::json& attractor : results.at(picture_key(beta)).at("attractors")) {
      const auto pattern = attractor.at("pattern").get<std::int64_t>();
      const double cells = attractor.at("cells").get<double>();
      std::vector<Cell> row{
          beta, pattern >= 0 ? fmt::format("pattern {}", pattern + 1) : std::string("mixture"),
          attractor.at("x").get<double>(), attractor.at("y").get<double>(),
          100 * cells / static_cast<double>(plan.side * plan.side)};
      row.push_back(
          cell_if(pattern >= 0, pattern >= 0 ? sectors[static_cast<std::size_t>(pattern)] : 0.0));
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

ResultTable count_table(const Settings& settings, const Plan& plan, const Results& results) {
  ResultTable table;
  table.name = "counts";
  table.title = fmt::format("{} random patterns on the circle: attractors by beta, {} seeds",
                            kRandomPatterns, plan.seeds);
  table.columns = {{"beta", "", 1}};
  add_estimate_columns(table.columns, "attractors", "", 2);
  add_estimate_columns(table.columns, "patterns among them", "", 2);
  add_estimate_columns(table.columns, "states that end in a pattern", "%", 1);
  for (const double beta : plan.sweep) {
    const Counts counts = counts_of(settings, plan, results, beta);
    std::vector<Cell> row{beta};
    add_estimate(row, counts.attractors);
    add_estimate(row, counts.patterns);
    add_estimate(row, counts.stored);
    table.rows.push_back(std::move(row));
  }
  return table;
}

Series pattern_points() {
  Series series;
  series.title = "stored patterns";
  series.kind = Series::Kind::points;
  const std::vector<double> points = picture_patterns().to_vector<double>();
  for (std::size_t n = 0; n < points.size(); n += 2) {
    series.points.push_back({points[n], points[n + 1], {}, {}});
  }
  return series;
}

Series attractor_points(const nlohmann::json& attractors) {
  Series series;
  series.title = "where states end";
  series.kind = Series::Kind::points;
  for (const nlohmann::json& attractor : attractors) {
    series.points.push_back(
        {attractor.at("x").get<double>(), attractor.at("y").get<double>(), {}, {}});
  }
  return series;
}

Grid empty_grid(const Plan& plan) {
  Grid grid;
  // States are the centres of cells.
  grid.x_high = grid.y_high = kEdge - kEdge / static_cast<double>(plan.side);
  grid.x_low = grid.y_low = -grid.x_high;
  grid.columns = grid.rows = plan.side;
  return grid;
}

Figure basin_figure(const Plan& plan, const Results& results, double beta) {
  const nlohmann::json& result = results.at(picture_key(beta));
  Figure figure;
  figure.name = fmt::format("basins-beta-{}", beta);
  figure.title = fmt::format("Basins at beta {}", beta);
  figure.x_label = "first number of the state";
  figure.y_label = "second number of the state";
  figure.x_range = figure.y_range = {{-kEdge, kEdge}};
  figure.caption =
      fmt::format("Start states of one shade end in the same place: {} of them for 6 patterns.",
                  result.at("attractors").size());
  Grid grid = empty_grid(plan);
  grid.categories = true;
  grid.value_label = "basin";
  for (const nlohmann::json& attractor : result.at("attractors")) {
    const auto pattern = attractor.at("pattern").get<std::int64_t>();
    grid.category_names.push_back(pattern >= 0 ? fmt::format("pattern {}", pattern + 1)
                                               : std::string("mixture"));
  }
  for (const nlohmann::json& of : result.at("basin")) {
    grid.values.push_back(of.get<double>());
  }
  figure.grid = std::move(grid);
  figure.series = {pattern_points(), attractor_points(result.at("attractors"))};
  return figure;
}

Figure energy_figure(const Plan& plan, const Results& results, double beta) {
  const nlohmann::json& result = results.at(picture_key(beta));
  Figure figure;
  figure.name = fmt::format("energy-beta-{}", beta);
  figure.title = fmt::format("Energy at beta {}", beta);
  figure.x_label = "first number of the state";
  figure.y_label = "second number of the state";
  figure.x_range = figure.y_range = {{-kEdge, kEdge}};
  figure.caption =
      "E = -ln sum e^(beta x.xi) / beta + |x|^2 / 2 + ln 6 / beta + 1/2, shades and contours at "
      "sixteen quantiles of the picture: every valley is a place where states end.";
  Grid grid = empty_grid(plan);
  grid.value_label = "energy";
  for (const nlohmann::json& energy : result.at("energy")) {
    grid.values.push_back(energy.get<double>());
  }
  // Close together in the valleys, where the picture is decided.
  for (int n = 1; n <= 16; ++n) {
    grid.contours.push_back(statistics::quantile(grid.values, std::pow(n / 17.0, 2.0)));
  }
  figure.grid = std::move(grid);
  figure.series = {pattern_points(), attractor_points(result.at("attractors"))};
  return figure;
}

Figure count_figure(const Settings& settings, const Plan& plan, const Results& results) {
  Figure figure;
  figure.name = "counts";
  figure.title = "From one average to every pattern";
  figure.x_label = "beta";
  figure.y_label = "number";
  figure.log_x = true;
  figure.y_range = {{0.0, static_cast<double>(kRandomPatterns) + 0.5}};
  figure.caption = fmt::format(
      "{} random patterns on the unit circle; mean over {} seeds, bands: 95 % interval of the "
      "mean.",
      kRandomPatterns, plan.seeds);
  Series attractors;
  attractors.title = "attractors";
  Series patterns;
  patterns.title = "stored patterns among them";
  for (const double beta : plan.sweep) {
    const Counts counts = counts_of(settings, plan, results, beta);
    attractors.points.push_back(mean_point(beta, counts.attractors));
    patterns.points.push_back(mean_point(beta, counts.patterns));
  }
  figure.series = {std::move(attractors), std::move(patterns)};
  figure.levels = {{"stored", static_cast<double>(kRandomPatterns)}};
  return figure;
}

Report report(const Settings& settings, const Results& results) {
  const Plan plan = plan_of(settings.size);
  Report report;
  report.tables = {count_table(settings, plan, results), attractor_table(plan, results)};
  for (const double beta : plan.betas) {
    report.figures.push_back(basin_figure(plan, results, beta));
    report.figures.push_back(energy_figure(plan, results, beta));
  }
  report.figures.push_back(count_figure(settings, plan, results));
  const Counts flat = counts_of(settings, plan, results, plan.sweep.front());
  const Counts sharp = counts_of(settings, plan, results, plan.sweep.back());
  report.findings = {
      fmt::format(
          "At beta {} the states end in {} places, at beta {} in {}, of which {} are stored "
          "patterns.",
          plan.sweep.front(), estimate_text(statistics::estimate(flat.attractors), "", 2),
          plan.sweep.back(), estimate_text(statistics::estimate(sharp.attractors), "", 2),
          estimate_text(statistics::estimate(sharp.patterns), "", 2)),
      "Two patterns at a distance r share one attractor, their mean, until beta is about 4 / r^2 "
      "(the "
      "slope of tanh at 0): close neighbours are told apart last. In between, attractors are "
      "mixtures "
      "of a few patterns: the metastable states."};
  report.remarks = {
      "Patterns of length 1 in the plane, at 10, 35, 90, 150, 225 and 310 degrees in the pictures, "
      "at "
      "random angles in the counts; softmax; a start state in the centre of every cell.",
      fmt::format(
          "A state is followed until it moves by at most {} of its length, at most {} steps. It "
          "ends in a pattern if it is nearer to it than a quarter of the least distance of two "
          "patterns, else with all others that are as near to each other.",
          kTolerance, kMostSteps),
      fmt::format(
          "Counts: {} x {} start states; seeds {} to {}. There are no published numbers; the "
          "table has the shares that looking for the largest product would give.",
          kStarts, kStarts, settings.seed, settings.seed + plan.seeds - 1)};
  return report;
}

}  // namespace basins_parts

Experiment basins_experiment() {
  using namespace basins_parts;
  return {
      "basins", kBlog, "Which pattern does a state of a modern network end in, and when in none?",
      "",       parts, report,
      "",       false};
}

}  // namespace basin::experiments
