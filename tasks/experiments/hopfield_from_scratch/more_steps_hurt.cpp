#include "tasks/experiments/hopfield_from_scratch/more_steps_hurt.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "nn/memories/modern.h"
#include "tasks/experiments/estimate_columns.h"
#include "tasks/experiments/hopfield_from_scratch/common.h"
#include "tasks/experiments/hopfield_from_scratch/modern_runs.h"
#include "tasks/statistics.h"
#include "tensor/functions/reduce.h"

namespace basin::experiments {

namespace more_steps_hurt_parts {

constexpr std::int64_t kWidth = 64;
constexpr std::int64_t kPatterns = 500;
constexpr double kNoise = 0.3;
constexpr double kJudgedBeta = 0.125;
constexpr std::int64_t kMostSteps = 2000;
constexpr double kTolerance = 1e-6;

struct Plan {
  std::int64_t seeds;
  std::vector<double> betas;
  std::int64_t steps;  // looked at one by one
};

Plan plan_of(Size size) {
  switch (size) {
    case Size::smoke: return {3, {0.125, 0.5}, 6};
    case Size::small:
    case Size::gpu: return {10, {0.0625, 0.09, 0.125, 0.15, 0.18, 0.25, 0.35, 0.5, 1.0}, 12};
    case Size::full: break;
  }
  return {50, {0.0625, 0.09, 0.125, 0.15, 0.18, 0.25, 0.35, 0.5, 1.0}, 20};
}

// What may count as retrieved; the first one is judged.
constexpr std::array<const char*, 4> kCriteria = {"cosine above 0.99", "cosine above 0.9",
                                                  "squared error at most 0.2 of the pattern",
                                                  "largest product is the wanted pattern"};

// A share in [0, 1] for each criterion.
std::vector<double> success(const nn::ModernMemory& memory, const Tensor& states,
                            const NoisyPatterns& drawn) {
  const std::vector<double> cosines = row_cosines(states, drawn.wanted);
  const std::vector<double> errors = relative_squared_errors(states, drawn.wanted);
  double right = 0;
  std::int64_t at = 0;
  for (const std::int64_t best : memory.best_match(states).to_vector<std::int64_t>()) {
    right += best == at++ ? 1 : 0;
  }
  return {share_of(cosines, [](double c) { return c > kRetrievedCosine; }),
          share_of(cosines, [](double c) { return c > 0.9; }),
          share_of(errors, [](double e) { return e <= 0.2; }),
          right / static_cast<double>(states.size(0))};
}

std::string key_of(double beta, std::int64_t seed) {
  return fmt::format("beta={}/seed={}", beta, seed);
}

nlohmann::json compute(double beta, std::int64_t steps, std::uint64_t seed,
                       const Progress& progress) {
  Rng rng(seed);
  const NoisyPatterns drawn = draw_noisy(kPatterns, kWidth, kNoise, kPatterns, rng);
  const nn::ModernMemory memory(drawn.patterns, memory_options(Separation::softmax, beta));
  nlohmann::json result;
  Tensor state = drawn.queries;
  for (std::int64_t t = 0; t <= steps; ++t) {
    if (progress.tell) {
      progress.tell(static_cast<double>(t) / static_cast<double>(steps + 1),
                    fmt::format("step {} at beta {}", t, beta));
    }
    result["success"].push_back(success(memory, state, drawn));
    result["energy"].push_back(to_json(mean_of(memory.energy(state).to_vector<double>())));
    state = memory.update(state);
  }
  const nn::ModernRetrieval end = memory.retrieve(drawn.queries, kMostSteps, kTolerance);
  result["end"] = success(memory, end.states, drawn);
  result["end energy"] = to_json(mean_of(memory.energy(end.states).to_vector<double>()));
  result["steps"] = to_json(mean_of(end.steps.to_vector<double>()));
  result["residual"] = to_json(max(end.residuals, 0).item());
  return result;
}

std::vector<Part> parts(const Settings& settings) {
  const Plan plan = plan_of(settings.size);
  std::vector<Part> all;
  for (const double beta : plan.betas) {
    for (std::int64_t n = 0; n < plan.seeds; ++n) {
      Part part;
      part.key = key_of(beta, settings.seed + n);
      const std::uint64_t own = seed_of(settings, fmt::format("steps/seed={}", n));
      const std::int64_t steps = plan.steps;
      part.compute = [=](const Progress& progress) { return compute(beta, steps, own, progress); };
      all.push_back(std::move(part));
    }
  }
  return all;
}

struct Sweep {
  const Settings& settings;
  const Plan& plan;
  const Results& results;

  // By seed, in percent; step -1 is the fixed point.
  std::vector<double> shares(double beta, std::int64_t step, std::size_t criterion) const {
    std::vector<double> all;
    for (std::int64_t n = 0; n < plan.seeds; ++n) {
      const nlohmann::json& result = results.at(key_of(beta, settings.seed + n));
      const nlohmann::json& at =
          step < 0 ? result.at("end") : result.at("success").at(static_cast<std::size_t>(step));
      all.push_back(100 * to_number(at.at(criterion)));
    }
    return all;
  }
  double mean(double beta, const char* what) const {
    std::vector<double> all;
    for (std::int64_t n = 0; n < plan.seeds; ++n) {
      all.push_back(number(results, key_of(beta, settings.seed + n), what));
    }
    return mean_of(all);
  }
  std::vector<double> energies(double beta, std::int64_t step) const {
    std::vector<double> all;
    for (std::int64_t n = 0; n < plan.seeds; ++n) {
      all.push_back(numbers(results, key_of(beta, settings.seed + n),
                            "energy")[static_cast<std::size_t>(step)]);
    }
    return all;
  }
};

ResultTable step_table(const Sweep& sweep) {
  ResultTable table;
  table.name = "steps";
  table.title = fmt::format("{} patterns of width {}, noise {}, beta 1/8: retrieval by step",
                            kPatterns, kWidth, kNoise);
  table.columns = {{"steps", "", 0}};
  add_estimate_columns(table.columns, kCriteria[0], "%", 2);
  for (std::size_t c = 1; c < kCriteria.size(); ++c) {
    table.columns.push_back({kCriteria[c], "%", 2});
  }
  table.columns.push_back({"energy, mean", "", 4});
  table.columns.push_back({"chance: a random pattern", "%", 2});
  const auto row_of = [&](Cell name, std::int64_t step, double energy) {
    std::vector<Cell> row{std::move(name)};
    add_estimate(row, sweep.shares(kJudgedBeta, step, 0));
    for (std::size_t c = 1; c < kCriteria.size(); ++c) {
      row.emplace_back(mean_of(sweep.shares(kJudgedBeta, step, c)));
    }
    row.emplace_back(energy);
    row.emplace_back(100.0 / static_cast<double>(kPatterns));
    table.rows.push_back(std::move(row));
  };
  for (std::int64_t t = 0; t <= sweep.plan.steps; ++t) {
    row_of(t == 0 ? Cell(std::string("0: baseline, the query itself")) : Cell(std::to_string(t)), t,
           mean_of(sweep.energies(kJudgedBeta, t)));
  }
  row_of(std::string("fixed point"), -1, sweep.mean(kJudgedBeta, "end energy"));
  return table;
}

ResultTable beta_table(const Sweep& sweep) {
  ResultTable table;
  table.name = "betas";
  table.title = "One step against the fixed point by beta (cosine above 0.99)";
  table.columns = {{"beta", "", 4}};
  add_estimate_columns(table.columns, "one step", "%", 2);
  add_estimate_columns(table.columns, "fixed point", "%", 2);
  table.columns.insert(table.columns.end(),
                       {{"steps to the fixed point, mean", "", 1}, {"largest residual", "", 8}});
  for (const double beta : sweep.plan.betas) {
    std::vector<Cell> row{beta};
    add_estimate(row, sweep.shares(beta, 1, 0));
    add_estimate(row, sweep.shares(beta, -1, 0));
    row.emplace_back(sweep.mean(beta, "steps"));
    row.emplace_back(sweep.mean(beta, "residual"));
    table.rows.push_back(std::move(row));
  }
  return table;
}

Figure step_figure(const Sweep& sweep) {
  Figure figure;
  figure.name = "steps";
  figure.title = "More steps, less retrieved (beta 1/8)";
  figure.x_label = "update steps";
  figure.y_label = "queries retrieved (%)";
  figure.y_range = {{0.0, 103.0}};
  figure.caption = fmt::format(
      "500 normal patterns of width 64, noise 0.3; mean over {} seeds of 500 queries, bands: 95 % "
      "interval of the mean. The level is the fixed point, by the cosine above 0.99.",
      sweep.plan.seeds);
  for (std::size_t c = 0; c < kCriteria.size(); ++c) {
    Series series;
    series.title = kCriteria[c];
    for (std::int64_t t = 0; t <= sweep.plan.steps; ++t) {
      series.points.push_back(mean_point(static_cast<double>(t), sweep.shares(kJudgedBeta, t, c)));
    }
    figure.series.push_back(std::move(series));
  }
  figure.levels = {{"fixed point", mean_of(sweep.shares(kJudgedBeta, -1, 0))}};
  return figure;
}

Figure beta_figure(const Sweep& sweep) {
  Figure figure;
  figure.name = "betas";
  figure.title = "Where iterating hurts";
  figure.x_label = "beta";
  figure.y_label = "queries retrieved (%)";
  figure.log_x = true;
  figure.y_range = {{0.0, 103.0}};
  figure.caption = fmt::format(
      "Cosine with the wanted pattern above 0.99, after one step and at the fixed point; mean over "
      "{} "
      "seeds, bands: 95 % interval of the mean.",
      sweep.plan.seeds);
  for (const bool end : {false, true}) {
    Series series;
    series.title = end ? "fixed point" : "one step";
    for (const double beta : sweep.plan.betas) {
      series.points.push_back(mean_point(beta, sweep.shares(beta, end ? -1 : 1, 0)));
    }
    figure.series.push_back(std::move(series));
  }
  return figure;
}

Report report(const Settings& settings, const Results& results) {
  const Plan plan = plan_of(settings.size);
  const Sweep sweep{settings, plan, results};
  Report report;
  report.tables = {step_table(sweep), beta_table(sweep)};
  report.figures = {step_figure(sweep), beta_figure(sweep)};
  const std::vector<double> one_step = sweep.shares(kJudgedBeta, 1, 0);
  const std::vector<double> fixed_point = sweep.shares(kJudgedBeta, -1, 0);
  report.verdicts = {judge_collapse(one_step, fixed_point),
                     judge_about("There one step retrieves about 94 %", 94, one_step),
                     judge_about("There the fixed point retrieves about 15 %", 15, fixed_point)};
  report.findings.push_back(
      fmt::format("At beta 1/8 one step retrieves {}, the fixed point {}; the mean energy falls "
                  "from {:.2f} after "
                  "one step to {:.2f}. The dynamics does what it promises, it lowers the energy, "
                  "and the low states "
                  "are not the patterns that were asked for.",
                  estimate_text(statistics::estimate(sweep.shares(kJudgedBeta, 1, 0)), "%", 1),
                  estimate_text(statistics::estimate(sweep.shares(kJudgedBeta, -1, 0)), "%", 1),
                  mean_of(sweep.energies(kJudgedBeta, 1)), sweep.mean(kJudgedBeta, "end energy")));
  for (std::int64_t t = 1; t <= plan.steps; ++t) {
    const double mean = mean_of(sweep.shares(kJudgedBeta, t, 0));
    if (mean <= 15) {
      report.findings.push_back(
          fmt::format("15 % is passed after {} steps ({:.1f} %); the fixed point proper lies "
                      "lower. Whoever stops "
                      "early, by a number of steps or a loose tolerance, reads a larger number.",
                      t, mean));
      break;
    }
  }
  const double sharpest = plan.betas.back();
  report.findings.push_back(fmt::format(
      "At beta {} one step retrieves {:.1f} % and the fixed point {:.1f} %: where patterns are "
      "fixed "
      "points, iterating costs nothing. The default of attention, 1/sqrt(64) = 1/8, is for this "
      "memory "
      "on the wrong side.",
      sharpest, mean_of(sweep.shares(sharpest, 1, 0)), mean_of(sweep.shares(sharpest, -1, 0))));
  report.findings.push_back(fmt::format(
      "The size of the collapse depends little on what counts as retrieved: one step and fixed "
      "point "
      "are {:.1f} and {:.1f} % by a cosine above 0.9, {:.1f} and {:.1f} % by a squared error of at "
      "most "
      "0.2.",
      mean_of(sweep.shares(kJudgedBeta, 1, 1)), mean_of(sweep.shares(kJudgedBeta, -1, 1)),
      mean_of(sweep.shares(kJudgedBeta, 1, 2)), mean_of(sweep.shares(kJudgedBeta, -1, 2))));
  report.remarks = {
      fmt::format(
          "Every pattern is asked for once: {} queries a seed; seeds {} to {}; all betas meet "
          "the same patterns and noise.",
          kPatterns, settings.seed, settings.seed + plan.seeds - 1),
      fmt::format(
          "Fixed point: a query stops when it moves by at most {} of its length, after at most "
          "{} steps; the table gives the largest |T(x) - x| that was left.",
          kTolerance, kMostSteps),
      "Retrieved: cosine with the wanted pattern above 0.99, unless another criterion is named."};
  return report;
}

}  // namespace more_steps_hurt_parts

Verdict judge_collapse(const std::vector<double>& one_step,
                       const std::vector<double>& fixed_point) {
  const statistics::Estimate one = statistics::estimate(one_step);
  const statistics::Estimate end = statistics::estimate(fixed_point);
  const statistics::Comparison loss = statistics::paired_comparison(one_step, fixed_point);
  Verdict verdict;
  verdict.claim =
      "d = 64, beta 1/8, 500 patterns, noise 0.3: iterating to the fixed point destroys "
      "what one step retrieves";
  verdict.published = "most is lost";
  verdict.ours = fmt::format("{}; {}", estimate_text(one, "%", 1), estimate_text(end, "%", 1));
  verdict.statistics =
      fmt::format("Paired loss {:.1f} points [{:.1f}, {:.1f}], p = {}. Most: more than half.",
                  loss.difference, loss.interval.low, loss.interval.high, p_text(loss.p));
  if (!loss.is_positive()) {
    verdict.judgement = Judgement::contradicted;
  } else if (end.high() < one.low() / 2) {
    verdict.judgement = Judgement::reproduced;
  }
  return verdict;
}

Verdict judge_about(const std::string& claim, double published, const std::vector<double>& shares) {
  constexpr double kAbout = 2;
  const statistics::Estimate ours = statistics::estimate(shares);
  Verdict verdict;
  verdict.claim = claim;
  verdict.published = fmt::format("about {:.0f} %", published);
  verdict.ours = estimate_text(ours, "%", 1);
  verdict.statistics = fmt::format(
      "\"About\" is read as within {:.0f} points. What counted as retrieved is not known, here a "
      "cosine above 0.99.",
      kAbout);
  if (std::max(ours.low() - published, published - ours.high()) > kAbout) {
    verdict.judgement = Judgement::contradicted;
  } else if (std::abs(ours.mean - published) <= kAbout) {
    verdict.judgement = Judgement::reproduced;
  }
  return verdict;
}

Experiment more_steps_hurt_experiment() {
  using namespace more_steps_hurt_parts;
  return {"more-steps-hurt",
          kBlog,
          "When does iterating the update of a modern network lose what one step has found?",
          "",
          parts,
          report,
          "",
          false};
}

}  // namespace basin::experiments
