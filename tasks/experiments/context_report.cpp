#include "tasks/experiments/context_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "nn/diagnostics/head_diagnostics.h"
#include "tasks/experiments/context_training.h"
#include "tasks/experiments/estimate_columns.h"
#include "tasks/experiments/separations_in_context.h"
#include "tasks/statistics.h"

namespace basin::experiments {

namespace {

using Json = nlohmann::json;
using statistics::Estimate;

constexpr const char* kExact = "exact-sequence rate";

RecallingHead recalling_head(const Json& heads) {
  RecallingHead best;
  best.source_weight = -1;
  for (const Json& head : heads) {
    const auto mean = [&](const char* name) { return to_number(head.at(name).at("mean")); };
    const double weight = mean(nn::name_of(nn::RowFigure::source_weight));
    if (!(weight > best.source_weight)) {
      continue;
    }
    best.layer = head.at("layer").get<std::int64_t>();
    best.head = head.at("head").get<std::int64_t>();
    best.source_weight = weight;
    // The keys of the rows that ask differ by little: the mean of 1 / n is near 1 / mean n.
    best.chance_weight = 1 / mean(nn::name_of(nn::RowFigure::keys));
    best.relative_entropy = mean("relative entropy");
    const auto median = [&](nn::RowFigure figure) {
      return to_number(head.at(nn::name_of(figure)).at("quantiles").at(2));
    };
    best.temperature = median(nn::RowFigure::temperature);
    best.distance = median(nn::RowFigure::distance);
    best.error = median(nn::RowFigure::error);
    best.bound = median(nn::RowFigure::bound);
    best.fewest = mean(nn::name_of(nn::RowFigure::fewest_90));
    for (std::size_t n = 0; n < 3; ++n) {
      best.regimes[n] = to_number(head.at("regimes").at(n));
    }
  }
  return best;
}

struct Group {
  const ContextTask* setup = nullptr;
  Arm arm;
  std::vector<const Json*> results;
  std::vector<ContextRun> runs;

  std::vector<double> of(double ContextRun::*member) const {
    std::vector<double> values;
    for (const ContextRun& run : runs) {
      values.push_back(run.*member);
    }
    return values;
  }
  std::vector<double> of(double RecallingHead::*member) const {
    std::vector<double> values;
    for (const ContextRun& run : runs) {
      values.push_back(run.head.*member);
    }
    return values;
  }
  std::vector<double> regime(std::size_t n) const {
    std::vector<double> values;
    for (const ContextRun& run : runs) {
      values.push_back(run.head.regimes[n]);
    }
    return values;
  }
};

double mean_of(const std::vector<double>& values) { return statistics::estimate(values).mean; }

std::vector<Group> groups_of(const Settings& settings, const ContextPlan& plan,
                             const Results& results) {
  std::vector<Group> groups;
  for (const ContextTask& setup : plan.tasks) {
    for (const Arm& arm : arms_of(plan.width / plan.heads)) {
      Group group{&setup, arm, {}, {}};
      for (std::int64_t n = 0; n < plan.seeds; ++n) {
        const std::int64_t seed = settings.seed + n;
        const Json& result = results.at(context_key(setup.task.name, arm.name, seed));
        const std::string metric = result.at("metric").get<std::string>();
        ContextRun run;
        run.task = setup.task.name;
        run.arm = arm.name;
        run.is_softmax = arm.is_softmax;
        run.seed = seed;
        run.accuracy = result.at("test").at("last").at(metric).get<double>();
        run.best_accuracy = result.at("test").at("best").at(metric).get<double>();
        run.exact = result.at("test").at("last").at(kExact).get<double>();
        const Json& curve = result.at("curve");
        for (std::size_t k = 0; k < curve.at("step").size(); ++k) {
          if (curve.at("validation accuracy").at(k).get<double>() >= kRecalls) {
            run.steps_to_recall = curve.at("step").at(k).get<std::int64_t>();
            break;
          }
        }
        run.head = recalling_head(result.at("heads"));
        group.results.push_back(&result);
        group.runs.push_back(std::move(run));
      }
      groups.push_back(std::move(group));
    }
  }
  return groups;
}

double baseline_of(const Group& group, std::size_t number) {
  const Json& all = group.results.front()->at("baselines");
  return number < all.size() ? all.at(number).at("value").get<double>()
                             : std::numeric_limits<double>::quiet_NaN();
}

ResultTable main_table(const std::vector<Group>& groups) {
  ResultTable table;
  table.name = "recall-and-heads";
  table.title =
      "In-context recall on the test split and the head that recalls, by task and separation (over "
      "seeds)";
  table.columns = {{"task"}, {"separation"}};
  add_estimate_columns(table.columns, "test accuracy, last weights", "");
  add_estimate_columns(table.columns, "test accuracy, best weights", "");
  table.columns.push_back({"set-up"});
  table.columns.push_back({"exact-sequence rate"});
  table.columns.push_back({"median steps to 90 %"});
  table.columns.push_back({"chance"});
  table.columns.push_back({"value of a random pair"});
  add_estimate_columns(table.columns, "entropy over its maximum", "");
  add_estimate_columns(table.columns, "effective temperature", "");
  add_estimate_columns(table.columns, "k0.9", "");
  table.columns.push_back({"weight of the answer's place"});
  table.columns.push_back({"share of fixed points"});
  table.columns.push_back({"share of metastable states"});
  table.columns.push_back({"share of global averages"});
  table.columns.push_back({"median distance of the query to its nearest key"});
  table.columns.push_back({"median distance after the update"});
  table.columns.push_back({"median bound of theorem 4.1 on it"});
  for (const Group& group : groups) {
    std::vector<Cell> row = {group.setup->task.name, group.arm.name};
    add_estimate(row, group.of(&ContextRun::accuracy));
    add_estimate(row, group.of(&ContextRun::best_accuracy));
    row.push_back(chance_flag(group.of(&ContextRun::accuracy), baseline_of(group, 0), true));
    row.emplace_back(mean_of(group.of(&ContextRun::exact)));
    // Runs that never get there count as infinitely slow.
    std::vector<double> steps;
    for (const ContextRun& run : group.runs) {
      steps.push_back(run.steps_to_recall ? static_cast<double>(*run.steps_to_recall)
                                          : std::numeric_limits<double>::infinity());
    }
    std::sort(steps.begin(), steps.end());
    Cell median = std::string("not reached");
    if (std::isfinite(steps[steps.size() / 2])) {
      median = static_cast<std::int64_t>(steps[steps.size() / 2]);
    }
    row.push_back(std::move(median));
    row.emplace_back(baseline_of(group, 0));
    Cell random_pair = std::string();
    if (group.setup->task.name == "recall") {
      random_pair = baseline_of(group, 1);
    }
    row.push_back(std::move(random_pair));
    add_estimate(row, group.of(&RecallingHead::relative_entropy));
    add_estimate(row, group.of(&RecallingHead::temperature));
    add_estimate(row, group.of(&RecallingHead::fewest));
    row.emplace_back(mean_of(group.of(&RecallingHead::source_weight)));
    for (std::size_t n = 0; n < 3; ++n) {
      row.emplace_back(mean_of(group.regime(n)));
    }
    for (const auto member :
         {&RecallingHead::distance, &RecallingHead::error, &RecallingHead::bound}) {
      const double value = mean_of(group.of(member));
      Cell cell = std::string();
      if (std::isfinite(value)) {
        cell = value;
      }
      row.push_back(std::move(cell));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

// Every head of every run, for whoever wants to look further.
ResultTable heads_table(const std::vector<Group>& groups) {
  ResultTable table;
  table.name = "heads";
  table.title =
      "All heads over the queries that ask for something (validation split): means over rows";
  table.columns = {{"task"},
                   {"separation"},
                   {"seed"},
                   {"layer"},
                   {"head"},
                   {"inverse temperature beta"},
                   {"rows"},
                   {"share of fixed points"},
                   {"share of metastable states"},
                   {"share of global averages"},
                   {"entropy over its maximum"}};
  for (std::int64_t n = 0; n < kernels::kRowFigures; ++n) {
    const auto figure = static_cast<nn::RowFigure>(n);
    const bool is_temperature = figure == nn::RowFigure::temperature;
    table.columns.push_back(
        {std::string(is_temperature ? "median " : "") + nn::name_of(figure), nn::unit_of(figure)});
  }
  for (const Group& group : groups) {
    for (std::size_t seed = 0; seed < group.runs.size(); ++seed) {
      for (const Json& head : group.results[seed]->at("heads")) {
        const auto cell = [](const Json& json) {
          const double value = to_number(json);
          return std::isfinite(value) ? Cell(value) : Cell(std::string());
        };
        std::vector<Cell> row = {group.setup->task.name,
                                 group.arm.name,
                                 group.runs[seed].seed,
                                 head.at("layer").get<std::int64_t>(),
                                 head.at("head").get<std::int64_t>(),
                                 head.at("beta").get<double>(),
                                 head.at("rows").get<std::int64_t>()};
        for (const Json& share : head.at("regimes")) {
          row.push_back(cell(share));
        }
        row.push_back(cell(head.at("relative entropy").at("mean")));
        for (std::int64_t n = 0; n < kernels::kRowFigures; ++n) {
          const auto figure = static_cast<nn::RowFigure>(n);
          const Json& summary = head.at(nn::name_of(figure));
          row.push_back(cell(figure == nn::RowFigure::temperature ? summary.at("quantiles").at(2)
                                                                  : summary.at("mean")));
        }
        table.rows.push_back(std::move(row));
      }
    }
  }
  return table;
}

Figure scatter(const std::vector<Group>& groups, const std::string& task, const std::string& name,
               const std::string& x_label, double RecallingHead::*member, bool log_x) {
  Figure figure;
  figure.name = fmt::format("{}-{}", task, name);
  figure.title = fmt::format("In-context recall ({}) and the {}", task, x_label);
  figure.caption =
      "One mark per separation: the means over seeds; the bar is the 95 % interval of the "
      "accuracy. "
      "The head is the one with the largest mean weight on the places of the answers.";
  figure.x_label = x_label;
  figure.y_label = "test accuracy";
  figure.log_x = log_x;
  figure.y_range = {{-0.02, 1.05}};
  for (const Group& group : groups) {
    if (group.setup->task.name != task) {
      continue;
    }
    const Estimate accuracy = statistics::estimate(group.of(&ContextRun::accuracy));
    const double x = mean_of(group.of(member));
    if (std::isfinite(x)) {
      figure.series.push_back(
          {group.arm.name,
           Series::Kind::points,
           {{x, accuracy.mean, std::max(0.0, accuracy.low()), std::min(1.0, accuracy.high())}}});
    }
    figure.levels = {{"chance", baseline_of(group, 0)}};
    if (task == "recall") {
      figure.levels.push_back({"value of a random pair", baseline_of(group, 1)});
    }
  }
  return figure;
}

Figure learning_curves(const std::vector<Group>& groups, const std::string& task) {
  Figure figure;
  figure.name = fmt::format("{}-curves", task);
  figure.title = fmt::format("Learning curves ({})", task);
  figure.caption = "Means over seeds; bands are 95 % intervals of the mean.";
  figure.x_label = "steps";
  figure.y_label = "validation accuracy";
  figure.y_range = {{-0.02, 1.05}};
  for (const Group& group : groups) {
    if (group.setup->task.name != task) {
      continue;
    }
    Series series{group.arm.name, Series::Kind::line, {}};
    const Json& steps = group.results.front()->at("curve").at("step");
    for (std::size_t k = 0; k < steps.size(); ++k) {
      std::vector<double> values;
      for (const Json* result : group.results) {
        values.push_back(result->at("curve").at("validation accuracy").at(k).get<double>());
      }
      const Estimate e = statistics::estimate(values);
      series.points.push_back(
          {steps.at(k).get<double>(), e.mean, std::max(0.0, e.low()), std::min(1.0, e.high())});
    }
    figure.series.push_back(std::move(series));
    figure.levels = {{"chance", baseline_of(group, 0)}};
  }
  return figure;
}

std::vector<std::string> set_up(const Settings& settings, const ContextPlan& plan) {
  std::vector<std::string> remarks = {
      fmt::format("Causal transformers with {} pre-norm layers, width {}, {} heads of width {}, "
                  "MLP {}, learned "
                  "positions; embeddings start with deviation 0.2. Seeds {} to {} decide weights, "
                  "data and order.",
                  plan.layers, plan.width, plan.heads, plan.width / plan.heads,
                  plan.width * plan.mlp_ratio, settings.seed, settings.seed + plan.seeds - 1)};
  for (const ContextTask& setup : plan.tasks) {
    const auto task = tasks::make_task(setup.task);
    remarks.push_back(fmt::format(
        "{}: {} tokens per example, vocabulary {}; {} steps of {} examples for every arm, AdamW, "
        "learning rate {} with warm-up and cosine decay, the same for all arms: it was chosen for "
        "softmax on validation data and tuned for no other separation.",
        setup.task.name, task->length(), task->vocabulary(), setup.steps, setup.batch,
        setup.learning_rate));
  }
  remarks.push_back(
      fmt::format("Accuracies are of {} test examples, touched once per run at its end, of the "
                  "last weights and of "
                  "those with the least validation loss. Diagnostics are of the rows that ask for "
                  "something in {} "
                  "validation examples; temperatures are medians over rows.",
                  plan.test_examples, plan.diagnosed_examples));
  remarks.push_back(
      "A fixed beta does not fix the sharpness of a trained head: projections of queries and keys "
      "can "
      "grow or shrink to make up for it. Beta is where training starts, not where it ends. "
      "Polynomial "
      "weights do not depend on beta at all.");
  remarks.push_back(
      "A model that has not found the answers has no recalling head; the head that is shown for it "
      "is "
      "the one that comes nearest. Correlations over all models therefore mix heads that are not "
      "sharp "
      "with heads that are not there yet, and the equal budget mixes what a separation can learn "
      "with "
      "how fast it does.");
  remarks.push_back(
      "Wilson's intervals take models as independent. The softmax arms share their seeds and were "
      "given "
      "other betas on purpose, so their pooled share is one of these arms and not of transformers "
      "in "
      "general; the table has every arm by itself.");
  remarks.push_back(
      "Keys that top-k drops count among the keys a row could choose from, with weight 0, so that "
      "regimes of all separations are shares of the same number of keys.");
  return remarks;
}

}  // namespace

Report context_report(const Settings& settings, const Results& results) {
  const ContextPlan plan = context_plan(settings.size);
  const std::vector<Group> groups = groups_of(settings, plan, results);
  std::vector<ContextRun> runs;
  Report report;
  report.remarks = set_up(settings, plan);
  for (const Group& group : groups) {
    runs.insert(runs.end(), group.runs.begin(), group.runs.end());
  }
  report.findings = context_findings(runs);
  report.tables = {main_table(groups), heads_table(groups)};
  for (const ContextTask& setup : plan.tasks) {
    const std::string& task = setup.task.name;
    report.verdicts.push_back(judge_recalling_heads(runs, task));
    report.figures.push_back(scatter(groups, task, "entropy",
                                     "entropy of the recalling head / ln(keys)",
                                     &RecallingHead::relative_entropy, false));
    report.figures.push_back(scatter(groups, task, "temperature",
                                     "effective temperature of the recalling head",
                                     &RecallingHead::temperature, true));
    report.figures.push_back(scatter(groups, task, "fewest", "k0.9 of the recalling head",
                                     &RecallingHead::fewest, true));
    report.figures.push_back(learning_curves(groups, task));
  }
  return report;
}

}  // namespace basin::experiments
