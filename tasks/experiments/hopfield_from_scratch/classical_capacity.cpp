#include "tasks/experiments/hopfield_from_scratch/classical_capacity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tasks/experiments/estimate_columns.h"
#include "tasks/experiments/hopfield_from_scratch/classical_runs.h"
#include "tasks/experiments/published.h"
#include "tasks/statistics.h"
#include "tensor/error.h"

namespace basin::experiments {

namespace {

using Curves = std::vector<std::vector<double>>;

constexpr std::int64_t kUnits = 100;
constexpr std::int64_t kFlips = 20;
constexpr std::int64_t kTrials = 5;
constexpr std::int64_t kBlocks = 10;  // independent groups that intervals of derived numbers use
constexpr double kThreshold = 95;     // percent of right units

struct Plan {
  std::int64_t repetitions;
  std::vector<std::int64_t> patterns;       // of the judged curve
  std::vector<std::int64_t> rule_patterns;  // of the rules that hold more
  std::int64_t rule_memories;
  std::vector<std::int64_t> units;
  std::vector<std::int64_t> memories;  // for each number of units
  std::vector<double> loads;
  std::int64_t size_queries;  // asked for in each of them
};

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

// --- Parts ---

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

// --- What follows from the results ---

// As it would be printed.
double one_digit(double value) { return std::round(10 * value) / 10; }

double share_of_hundreds(const std::vector<double>& repetitions) {
  return share_of(repetitions, [](double value) { return one_digit(value) >= 100.0; });
}

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

// The probability that all numbers of patterns up to nine read 100.0.
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

// The crossing of the threshold in each block of networks; fewer than two values if it is not
// reached in all of them.
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

// The largest share of the loss from the first to the last point that one more pattern costs, in
// blocks of repetitions.
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

// --- Tables ---

ResultTable curve_table(const Plan& plan, const Results& results) {
  ResultTable table;
  table.name = "capacity";
  table.title = fmt::format(
      "Right units after recall: {} units, {} flipped, zero diagonal, random order; {} repetitions "
      "of "
      "{} trials",
      kUnits, kFlips, plan.repetitions, kTrials);
  table.columns = {{"patterns", "", 0}, {"published", "%", 1}};
  add_estimate_columns(table.columns, "right units", "%", 2);
  table.columns.insert(table.columns.end(), {{"middle 95 % of repetitions, low", "%", 1},
                                             {"high", "%", 1},
                                             {"repetitions that read 100.0", "%", 1},
                                             {"p of the published value", "", 4},
                                             {"judgement", "", 0},
                                             {"queries without error", "%", 2},
                                             {"sweeps that changed something", "", 2},
                                             {"baseline: the query itself", "%", 1},
                                             {"baseline: nearest pattern is right", "%", 2},
                                             {"chance", "%", 1}});
  for (const std::int64_t patterns : plan.patterns) {
    const std::string key = curve_key(hebbian_settings()[0], patterns);
    const std::vector<double> values = numbers(results, key, "all queries");
    std::vector<Cell> row{patterns};
    row.push_back(
        cell_if(is_published(patterns), is_published(patterns) ? published_value(patterns) : 0.0));
    add_estimate(row, values);
    row.insert(row.end(), {statistics::quantile(values, 0.025), statistics::quantile(values, 0.975),
                           100 * share_of_hundreds(values)});
    if (is_published(patterns)) {
      // "About 95": compared in whole percents.
      std::vector<double> printed;
      for (const double value : values) {
        printed.push_back(patterns == 13 ? std::round(value) : one_digit(value));
      }
      const double p = statistics::empirical_p_value(printed, published_value(patterns));
      row.insert(
          row.end(),
          {p, std::string(name_of(p < 0.05 ? Judgement::contradicted : Judgement::reproduced))});
    } else {
      row.insert(row.end(), {Cell(), Cell()});
    }
    row.insert(row.end(),
               {mean_of(numbers(results, key, "exact")), number(results, key, "sweeps"),
                100.0 * (kUnits - kFlips) / kUnits, number(results, key, "nearest"), 50.0});
    table.rows.push_back(std::move(row));
  }
  return table;
}

ResultTable convention_table(const Plan& plan, const Results& results) {
  ResultTable table;
  table.name = "conventions";
  table.title = "Which convention the published curve fits";
  table.columns = {{"convention", "", 0},
                   {"right units at 30 patterns", "%", 2},
                   {"published there", "%", 1},
                   {"p of the published values from 10 patterns on, together", "", 4},
                   {"probability of 100.0 up to 9, all patterns asked for", "", 4},
                   {"two of each trial", "", 4},
                   {"one of each trial", "", 4},
                   {"cycles of two at 30 patterns", "%", 2}};
  for (const ClassicalSetting& setting : hebbian_settings()) {
    const std::string last = curve_key(setting, 30);
    table.rows.push_back({std::string(setting.name), mean_of(numbers(results, last, "all queries")),
                          published_value(30), curve_test(plan, results, setting).p,
                          hundreds(plan, results, setting, "all queries"),
                          hundreds(plan, results, setting, "two queries"),
                          hundreds(plan, results, setting, "one query"),
                          number(results, last, "cycles")});
  }
  return table;
}

ResultTable rule_table(const Plan& plan, const Results& results) {
  ResultTable table;
  table.name = "rules";
  table.title = fmt::format("Right units after recall by rule: {} units, {} flipped, {} networks",
                            kUnits, kFlips, plan.rule_memories);
  table.columns = {{"rule", "", 0}, {"patterns", "", 0}};
  add_estimate_columns(table.columns, "right units", "%", 2);
  for (const ClassicalSetting& rule : rules()) {
    for (const std::int64_t patterns : plan.rule_patterns) {
      std::vector<Cell> row{std::string(rule.name), patterns};
      add_estimate(row, numbers(results, rule_key(rule, patterns), "correct"));
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

ResultTable size_table(const Plan& plan, const Results& results) {
  ResultTable table;
  table.name = "thresholds";
  table.title = "P_c / N: the load at which the mean share of right units falls through 95 %";
  table.columns = {{"units", "", 0}, {"networks", "", 0}, {"flipped", "%", 0}};
  add_estimate_columns(table.columns, "P_c / N", "", 4);
  for (std::size_t n = 0; n < plan.units.size(); ++n) {
    for (const std::int64_t flips : {plan.units[n] / 5, std::int64_t{0}}) {
      std::vector<Cell> row{plan.units[n], plan.memories[n], 100 * flips / plan.units[n]};
      add_estimate(row, size_thresholds(plan, results, plan.units[n], flips));
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

// --- Figures ---

Figure curve_figure(const Plan& plan, const Results& results) {
  Figure figure;
  figure.name = "capacity";
  figure.title = "What 100 units hold";
  figure.x_label = "stored patterns";
  figure.y_label = "right units after recall (%)";
  figure.caption = fmt::format(
      "Means of {} trials, each of which asks for all its patterns with 20 of 100 units flipped. "
      "Lines: mean of {} such means; bands: the middle 95 % of them, where one published value "
      "should "
      "lie. Stars: published.",
      kTrials, plan.repetitions);
  for (const ClassicalSetting& setting :
       {hebbian_settings()[0], hebbian_settings()[1], hebbian_settings()[2]}) {
    Series series;
    series.title = setting.name;
    for (const std::int64_t patterns : patterns_of(plan, setting)) {
      series.points.push_back(
          spread_point(static_cast<double>(patterns),
                       numbers(results, curve_key(setting, patterns), "all queries")));
    }
    figure.series.push_back(std::move(series));
  }
  Series marks;
  marks.title = "published";
  marks.kind = Series::Kind::published;
  for (const std::int64_t patterns : plan.patterns) {
    if (is_published(patterns)) {
      marks.points.push_back({static_cast<double>(patterns), published_value(patterns), {}, {}});
    }
  }
  figure.series.push_back(std::move(marks));
  figure.levels = {{"the query itself", 80.0}, {"chance", 50.0}};
  return figure;
}

Figure rule_figure(const Plan& plan, const Results& results) {
  Figure figure;
  figure.name = "rules";
  figure.title = "Storage rules";
  figure.x_label = "stored patterns in 100 units";
  figure.y_label = "right units after recall (%)";
  figure.caption = fmt::format(
      "20 of 100 units flipped; mean over {} networks, bands: 95 % interval of the mean. With as "
      "many "
      "patterns as units the pseudo-inverse without diagonal has no weights left and changes "
      "nothing.",
      plan.rule_memories);
  for (const ClassicalSetting& rule : rules()) {
    Series series;
    series.title = rule.name;
    for (const std::int64_t patterns : plan.rule_patterns) {
      series.points.push_back(mean_point(static_cast<double>(patterns),
                                         numbers(results, rule_key(rule, patterns), "correct")));
    }
    figure.series.push_back(std::move(series));
  }
  figure.levels = {{"the query itself", 80.0}, {"chance", 50.0}};
  return figure;
}

Figure size_figure(const Plan& plan, const Results& results) {
  Figure figure;
  figure.name = "sizes";
  figure.title = "The fall gets steeper with the number of units";
  figure.x_label = "load: patterns / units";
  figure.y_label = "right units after recall (%)";
  figure.caption = fmt::format(
      "20 % of the units flipped, Hebbian rule, zero diagonal, random order; mean over the "
      "networks of "
      "the table, at most {} queries each; bands: 95 % interval of the mean.",
      plan.size_queries);
  for (const std::int64_t units : plan.units) {
    Series series;
    series.title = fmt::format("{} units", units);
    for (const double load : loads_of(plan, units)) {
      const double whole =
          std::round(load * static_cast<double>(units)) / static_cast<double>(units);
      series.points.push_back(
          mean_point(whole, numbers(results, size_key(units, load, units / 5), "correct")));
    }
    figure.series.push_back(std::move(series));
  }
  figure.levels = {{"95 %: the threshold", kThreshold}};
  return figure;
}

Figure threshold_figure(const Plan& plan, const Results& results) {
  Figure figure;
  figure.name = "thresholds";
  figure.title = "Capacity for growing networks";
  figure.x_label = "units";
  figure.y_label = "P_c / N";
  figure.log_x = true;
  figure.caption =
      "The load at which the mean share of right units falls through 95 %; bands: 95 % interval "
      "over "
      "blocks of networks. 0.138 is the limit of infinitely many units for states that start at a "
      "pattern (D. Amit, H. Gutfreund, H. Sompolinsky 1985).";
  for (const bool damaged : {true, false}) {
    Series series;
    series.title = damaged ? "20 % of the units flipped" : "starting at the pattern";
    for (const std::int64_t units : plan.units) {
      const std::vector<double> found =
          size_thresholds(plan, results, units, damaged ? units / 5 : 0);
      if (!found.empty()) {
        series.points.push_back(mean_point(static_cast<double>(units), found));
      }
    }
    figure.series.push_back(std::move(series));
  }
  figure.levels = {{"0.138", 0.138}};
  return figure;
}

Verdict curve_verdict(const Plan& plan, const Results& results) {
  const CurveTest test = curve_test(plan, results, hebbian_settings()[0]);
  Verdict verdict;
  verdict.claim = "Right units at 10, 15, 20, 25 and 30 patterns, together";
  for (const std::int64_t patterns : exact_published(plan)) {
    const std::string sign = verdict.published.empty() ? "" : ", ";
    verdict.published += fmt::format("{}{:.1f}", sign, published_value(patterns));
    verdict.ours += fmt::format(
        "{}{:.1f}", sign,
        mean_of(numbers(results, curve_key(hebbian_settings()[0], patterns), "all queries")));
  }
  verdict.published += " %";
  verdict.ours += " %";
  verdict.statistics = fmt::format(
      "Sum of squared distances in units of the spread of our repetitions: {:.2f} for {} values; p "
      "= "
      "{} by rank among our own {} curves (contradicted below 0.05).",
      test.statistic, exact_published(plan).size(), p_text(test.p), plan.repetitions);
  verdict.judgement = test.p < 0.05 ? Judgement::contradicted : Judgement::reproduced;
  return verdict;
}

Report report(const Settings& settings, const Results& results) {
  const Plan plan = plan_of(settings.size);
  Report report;
  report.tables = {curve_table(plan, results), convention_table(plan, results),
                   rule_table(plan, results), size_table(plan, results)};
  report.figures = {curve_figure(plan, results), rule_figure(plan, results),
                    size_figure(plan, results), threshold_figure(plan, results)};
  const std::vector<HundredReading> readings = hundred_readings(plan, results);
  report.verdicts = {curve_verdict(plan, results), judge_hundreds(readings)};
  const std::vector<double> judged = judged_thresholds(plan, results);
  if (judged.size() > 1) {
    const statistics::Estimate e = statistics::estimate(judged);
    report.verdicts.push_back(
        judge_threshold(e.mean, e.low(), e.high(), "with 100 units, 20 of them flipped"));
  }
  const std::int64_t largest = plan.units.back();
  const std::vector<double> large = size_thresholds(plan, results, largest, 0);
  if (large.size() > 1) {
    const statistics::Estimate e = statistics::estimate(large);
    report.verdicts.push_back(judge_threshold(
        e.mean, e.low(), e.high(), fmt::format("with {} units, starting at the pattern", largest)));
  }
  const statistics::Estimate steps = statistics::estimate(largest_steps(plan, results));
  report.verdicts.push_back(judge_smooth(steps.mean, steps.low(), steps.high()));

  report.findings.push_back(fmt::format(
      "100.0 % at every number of patterns up to nine has probability {} if every trial asks for "
      "all "
      "of its patterns, {} if for two and {} if for one. The published values 91.5 and 83.7 cannot "
      "come from five queries of 100 units (those are multiples of 0.2), so that at least two "
      "patterns of each trial were asked for.",
      p_text(readings[0].probability), p_text(readings[1].probability),
      p_text(readings[2].probability)));
  const double kept = curve_test(plan, results, hebbian_settings()[2]).p;
  report.findings.push_back(fmt::format(
      "With the diagonal kept, {:.1f} % of the units are right at 30 patterns, where {:.1f} % were "
      "published (p = {} for the curve): a unit that holds itself is harder to flip, in the right "
      "direction and in the wrong one, and the state stays near the query.",
      mean_of(numbers(results, curve_key(hebbian_settings()[2], 30), "all queries")),
      published_value(30), p_text(kept)));
  std::vector<double> means;
  for (const std::int64_t patterns : plan.patterns) {
    means.push_back(
        mean_of(numbers(results, curve_key(hebbian_settings()[0], patterns), "all queries")));
  }
  if (const auto harm = crossing(doubles_of(plan.patterns), means, 80)) {
    report.findings.push_back(fmt::format(
        "Beyond {:.0f} patterns recall does harm: the query itself has 80 % right units, the state "
        "after recall of 30 patterns {:.1f} %, and looking for the nearest pattern is right in "
        "{:.1f} "
        "% of all cases.",
        *harm, means.back(), number(results, curve_key(hebbian_settings()[0], 30), "nearest")));
  }
  const std::vector<double> damaged = size_thresholds(plan, results, largest, largest / 5);
  if (large.size() > 1 && damaged.size() > 1) {
    report.findings.push_back(
        fmt::format("With {} units P_c / N is {} for states that start at a pattern, near the "
                    "limit 0.138, and {} "
                    "with 20 % of the units flipped: close to the limit patterns are still there, "
                    "but their basins "
                    "have become small.",
                    largest, estimate_text(statistics::estimate(large), "", 3),
                    estimate_text(statistics::estimate(damaged), "", 3)));
  }
  for (const ClassicalSetting& rule : rules()) {
    Curves at_each;
    for (const std::int64_t patterns : plan.rule_patterns) {
      at_each.push_back(numbers(results, rule_key(rule, patterns), "correct"));
    }
    const std::vector<double> found = crossings(doubles_of(plan.rule_patterns), at_each);
    if (found.size() > 1) {
      report.findings.push_back(
          fmt::format("{}: 95 % of the units are right up to {} patterns in 100 units.", rule.name,
                      estimate_text(statistics::estimate(found), "", 1)));
    }
  }
  report.remarks = {
      fmt::format(
          "A trial is a network with its own patterns, each of which is asked for with exactly "
          "{} different units flipped; its value is the mean share of right units. {} "
          "repetitions of {} trials make the distribution that a published value is compared "
          "with, as it would be printed: with one digit. Seed {}.",
          kFlips, plan.repetitions, kTrials, settings.seed),
      "Convention: W = sum xi xi^T / N, zero diagonal, one unit after the other in a random order "
      "that is drawn anew for each sweep, until a sweep changes nothing or 100 sweeps are over.",
      "p of a single value: two-sided, by rank among the repetitions. Fifteen values are compared, "
      "so "
      "that one p below 0.05 among them is expected now and then; the verdict is on all together.",
      "The published value at 13 patterns is the threshold of 95 %, compared in whole percents and "
      "left out of the joint test.",
      "Synchronous updates end in a cycle of two states or in a fixed point; the last state "
      "counts."};
  return report;
}

}  // namespace

Experiment classical_capacity_experiment() {
  return {"classical-capacity",
          kBlog,
          "How many patterns does a network of 100 units recall, and how does that grow?",
          "",
          parts,
          report,
          "",
          false};
}

}  // namespace basin::experiments
