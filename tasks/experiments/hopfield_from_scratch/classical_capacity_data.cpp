#include "tasks/experiments/hopfield_from_scratch/classical_capacity_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "tasks/experiments/published.h"

namespace basin::experiments::capacity {

namespace {

constexpr std::int64_t kBlocks = 10;  // independent groups that intervals of derived numbers use

}  // namespace

Plan plan_of(Size size) {
  Plan plan;
  plan.repetitions = 200;
  plan.rule_patterns = {5, 10, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90, 99};
  plan.rule_memories = 60;
  plan.units = {50, 100, 200, 500, 1000};
  plan.memories = {1000, 500, 200, 20, 10};
  plan.loads = {0.08, 0.10, 0.11, 0.12, 0.13, 0.14, 0.15, 0.16, 0.18, 0.20, 0.22, 0.26};
  plan.size_queries = 50;
  for (std::int64_t p = 1; p <= 30; ++p) {
    plan.patterns.push_back(p);
  }
  if (size == Size::smoke) {
    plan.repetitions = 20;
    plan.patterns = {1, 5, 8, 9, 10, 13, 15, 20, 25, 30};
    plan.rule_patterns = {10, 30, 60, 90};
    plan.rule_memories = 10;
    plan.units = {50, 100};
    plan.memories = {60, 40};
    plan.loads = {0.08, 0.12, 0.14, 0.18, 0.26};
  } else if (size == Size::full) {
    plan.repetitions = 2000;
    plan.rule_memories = 1000;
    plan.memories = {20000, 5000, 2000, 400, 200};
    plan.size_queries = 100;
  }
  return plan;
}

std::string curve_key(const ClassicalSetting& setting, std::int64_t patterns) {
  return fmt::format("curve/recall={}/patterns={}", setting.name, patterns);
}
std::string rule_key(const ClassicalSetting& setting, std::int64_t patterns) {
  return fmt::format("rules/rule={}/patterns={}", setting.name, patterns);
}
std::string size_key(std::int64_t units, double load, std::int64_t flips) {
  return fmt::format("size/units={}/load={:.2f}/flips={}", units, load, flips);
}

// Large networks are past their fall sooner, and cost more.
std::vector<double> loads_of(const Plan& plan, std::int64_t units) {
  std::vector<double> loads = plan.loads;
  std::erase_if(loads, [&](double load) { return units > 200 && load > 0.18; });
  return loads;
}

const std::vector<ClassicalSetting>& rules() {
  static const std::vector<ClassicalSetting> all = {
      {"Hebbian, zero diagonal"}, kStorkey, kPseudoInverse};
  return all;
}

bool is_published(std::int64_t patterns) {
  const PublishedTable& table = published("scratch_capacity");
  return !table.find({{"patterns", std::to_string(patterns)}}).empty();
}

// The other conventions are a contrast at the published numbers of patterns.
std::vector<std::int64_t> patterns_of(const Plan& plan, const ClassicalSetting& setting) {
  std::vector<std::int64_t> all = plan.patterns;
  if (setting.name != hebbian_settings()[0].name) {
    std::erase_if(all, [](std::int64_t patterns) { return !is_published(patterns); });
  }
  return all;
}

namespace {

// Means over the trials of each repetition, of the first `queries` queries of each network.
std::vector<double> by_repetition(const ClassicalOutcome& outcome, std::int64_t repetitions,
                                  std::int64_t queries) {
  ClassicalOutcome trials;
  trials.correct = outcome.by_memory(repetitions * kTrials, queries);
  return percent(trials.by_memory(repetitions));
}

Part curve_part(const Settings& settings, const Plan& plan, const ClassicalSetting& setting,
                std::int64_t patterns) {
  Part part;
  part.key = curve_key(setting, patterns);
  part.cost =
      static_cast<double>(plan.repetitions * kTrials) * (1e4 + 1e3 * static_cast<double>(patterns));
  const std::uint64_t seed = seed_of(settings, fmt::format("capacity/patterns={}", patterns));
  const std::int64_t repetitions = plan.repetitions;
  part.compute = [=](const Progress& progress) {
    const ClassicalOutcome outcome =
        run_classical(setting, {repetitions * kTrials, patterns, kUnits, kFlips}, seed, progress);
    nlohmann::json result;
    result["all queries"] = by_repetition(outcome, repetitions, 0);
    result["two queries"] = by_repetition(outcome, repetitions, 2);
    result["one query"] = by_repetition(outcome, repetitions, 1);
    ClassicalOutcome exact;
    exact.correct = outcome.exact_by_memory(repetitions * kTrials);
    result["exact"] = percent(exact.by_memory(repetitions));
    result["sweeps"] = outcome.sweeps;
    result["cycles"] = 100 * outcome.cycles;
    result["nearest"] = 100 * outcome.nearest;
    return result;
  };
  return part;
}

Part memories_part(const std::string& key, const ClassicalSetting& setting,
                   const ClassicalProblem& problem, std::uint64_t seed) {
  Part part;
  part.key = key;
  part.cost = static_cast<double>(problem.memories) * static_cast<double>(problem.units) *
              (static_cast<double>(problem.units) + 10.0 * static_cast<double>(problem.patterns));
  part.compute = [=](const Progress& progress) {
    const ClassicalOutcome outcome = run_classical(setting, problem, seed, progress);
    nlohmann::json result;
    result["correct"] = percent(outcome.by_memory(problem.memories));
    return result;
  };
  return part;
}

}  // namespace

std::vector<Part> parts(const Settings& settings) {
  const Plan plan = plan_of(settings.size);
  std::vector<Part> all;
  for (const ClassicalSetting& setting : hebbian_settings()) {
    for (const std::int64_t patterns : patterns_of(plan, setting)) {
      all.push_back(curve_part(settings, plan, setting, patterns));
    }
  }
  for (const ClassicalSetting& rule : rules()) {
    for (const std::int64_t patterns : plan.rule_patterns) {
      all.push_back(memories_part(rule_key(rule, patterns), rule,
                                  {plan.rule_memories, patterns, kUnits, kFlips},
                                  seed_of(settings, fmt::format("rules/patterns={}", patterns))));
    }
  }
  for (std::size_t n = 0; n < plan.units.size(); ++n) {
    for (const double load : loads_of(plan, plan.units[n])) {
      const std::int64_t units = plan.units[n];
      const auto patterns = std::lround(load * static_cast<double>(units));
      for (const std::int64_t flips : {units / 5, std::int64_t{0}}) {
        all.push_back(memories_part(
            size_key(units, load, flips), hebbian_settings()[0],
            {plan.memories[n], patterns, units, flips, plan.size_queries},
            seed_of(settings, fmt::format("size/units={}/load={:.2f}", units, load))));
      }
    }
  }
  return all;
}

double one_digit(double value) { return std::round(10 * value) / 10; }

double share_of_hundreds(const std::vector<double>& repetitions) {
  return share_of(repetitions, [](double value) { return one_digit(value) >= 100.0; });
}

namespace {

// repetitions x numbers of patterns, as it would be printed.
Curves curves_of(const Results& results, const ClassicalSetting& setting,
                 const std::vector<std::int64_t>& patterns) {
  Curves curves;
  for (std::size_t n = 0; n < patterns.size(); ++n) {
    const std::vector<double> values =
        numbers(results, curve_key(setting, patterns[n]), "all queries");
    curves.resize(values.size(), std::vector<double>(patterns.size()));
    for (std::size_t r = 0; r < values.size(); ++r) {
      curves[r][n] = one_digit(values[r]);
    }
  }
  return curves;
}

}  // namespace

double published_value(std::int64_t patterns) {
  return *published("scratch_capacity")
              .value({{"patterns", std::to_string(patterns)}}, "mean_accuracy_percent");
}

// Those beyond the 100 %, and not the one that is only given as a threshold.
std::vector<std::int64_t> exact_published(const Plan& plan) {
  std::vector<std::int64_t> all;
  for (const std::int64_t patterns : plan.patterns) {
    if (is_published(patterns) && patterns >= 10 && patterns != 13) {
      all.push_back(patterns);
    }
  }
  return all;
}

CurveTest curve_test(const Plan& plan, const Results& results, const ClassicalSetting& setting) {
  const std::vector<std::int64_t> patterns = exact_published(plan);
  std::vector<double> values;
  for (const std::int64_t p : patterns) {
    values.push_back(published_value(p));
  }
  return test_curve(curves_of(results, setting, patterns), values);
}

double hundreds(const Plan& plan, const Results& results, const ClassicalSetting& setting,
                const std::string& queries) {
  double probability = 1;
  for (const std::int64_t patterns : patterns_of(plan, setting)) {
    if (patterns <= 9) {
      probability *= share_of_hundreds(numbers(results, curve_key(setting, patterns), queries));
    }
  }
  return probability;
}

std::vector<HundredReading> hundred_readings(const Plan& plan, const Results& results) {
  struct Asked {
    const char* name;
    const char* text;
    std::int64_t queries;
  };
  std::vector<double> published_values;
  for (const std::int64_t p : exact_published(plan)) {
    published_values.push_back(published_value(p));
  }
  std::vector<HundredReading> readings;
  for (const ClassicalSetting& setting : hebbian_settings()) {
    const bool fits = curve_test(plan, results, setting).p >= 0.05;
    for (const Asked& asked : {Asked{"all queries", "all patterns are asked for", 10},
                               Asked{"two queries", "two patterns of each trial are", 2},
                               Asked{"one query", "one pattern of each trial is", 1}}) {
      readings.push_back({fmt::format("{} ({})", asked.text, setting.name),
                          hundreds(plan, results, setting, asked.name),
                          fits && digits_allow(published_values, kTrials, asked.queries, kUnits)});
    }
  }
  return readings;
}

namespace {

// Means of blocks of the values, in order.
std::vector<double> block_means(const std::vector<double>& values) {
  const std::size_t blocks = std::min(static_cast<std::size_t>(kBlocks), values.size());
  std::vector<double> means;
  for (std::size_t b = 0; b < blocks; ++b) {
    const std::size_t begin = b * values.size() / blocks;
    const std::size_t end = (b + 1) * values.size() / blocks;
    means.push_back(mean_of({values.begin() + static_cast<std::ptrdiff_t>(begin),
                             values.begin() + static_cast<std::ptrdiff_t>(end)}));
  }
  return means;
}

}  // namespace

std::vector<double> crossings(const std::vector<double>& x, const Curves& at_each_x) {
  Curves blocks;
  for (const std::vector<double>& values : at_each_x) {
    const std::vector<double> means = block_means(values);
    blocks.resize(means.size());
    for (std::size_t b = 0; b < means.size(); ++b) {
      blocks[b].push_back(means[b]);
    }
  }
  std::vector<double> found;
  for (const std::vector<double>& curve : blocks) {
    const std::optional<double> at = crossing(x, curve, kThreshold);
    if (!at) {
      return {};
    }
    found.push_back(*at);
  }
  return found;
}

std::vector<double> doubles_of(const std::vector<std::int64_t>& whole) {
  return {whole.begin(), whole.end()};
}

// P_c / N of the judged curve.
std::vector<double> judged_thresholds(const Plan& plan, const Results& results) {
  Curves at_each;
  for (const std::int64_t patterns : plan.patterns) {
    at_each.push_back(numbers(results, curve_key(hebbian_settings()[0], patterns), "all queries"));
  }
  std::vector<double> found = crossings(doubles_of(plan.patterns), at_each);
  for (double& value : found) {
    value /= static_cast<double>(kUnits);
  }
  return found;
}

std::vector<double> size_thresholds(const Plan& plan, const Results& results, std::int64_t units,
                                    std::int64_t flips) {
  Curves at_each;
  std::vector<double> loads;
  for (const double load : loads_of(plan, units)) {
    at_each.push_back(numbers(results, size_key(units, load, flips), "correct"));
    // The load that whole patterns make.
    loads.push_back(std::round(load * static_cast<double>(units)) / static_cast<double>(units));
  }
  return crossings(loads, at_each);
}

std::vector<double> largest_steps(const Plan& plan, const Results& results) {
  Curves means;
  for (const std::int64_t patterns : plan.patterns) {
    means.push_back(
        block_means(numbers(results, curve_key(hebbian_settings()[0], patterns), "all queries")));
  }
  std::vector<double> largest(means.front().size());
  for (std::size_t b = 0; b < largest.size(); ++b) {
    const double whole = means.front()[b] - means.back()[b];
    for (std::size_t n = 1; n < means.size() && whole > 0; ++n) {
      const auto more = static_cast<double>(plan.patterns[n] - plan.patterns[n - 1]);
      largest[b] = std::max(largest[b], (means[n - 1][b] - means[n][b]) / more / whole);
    }
  }
  return largest;
}

}  // namespace basin::experiments::capacity
