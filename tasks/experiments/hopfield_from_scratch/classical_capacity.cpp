#include "tasks/experiments/hopfield_from_scratch/classical_capacity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tasks/experiments/estimate_columns.h"
#include "tasks/experiments/hopfield_from_scratch/classical_capacity_data.h"
#include "tasks/experiments/hopfield_from_scratch/classical_runs.h"
#include "tasks/statistics.h"

namespace basin::experiments {

namespace capacity {

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

}  // namespace capacity

Experiment classical_capacity_experiment() {
  using namespace capacity;
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
