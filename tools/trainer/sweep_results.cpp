#include "tools/trainer/sweep_results.h"

#include <algorithm>
#include <filesystem>

#include "tensor/error.h"
#include "tools/report/table.h"
#include "tools/report/text_file.h"
#include "tools/trainer/metrics_log.h"
#include "tools/trainer/run_folder.h"
#include "tools/trainer/sweep_ranking.h"

namespace basin::trainer {

namespace {

using report::Table;
using Ranking = std::vector<RankedConfiguration>;

std::string in(const std::string& folder, const char* name) {
  return (std::filesystem::path(folder) / name).string();
}

// All names that a list of configurations has for something, in order, each once.
template <class Names>
std::vector<std::string> all_names(const SweepPlan& plan, const Names& names_of) {
  std::vector<std::string> names;
  for (const PlannedConfiguration& configuration : plan.configurations) {
    for (const std::string& name : names_of(configuration)) {
      if (std::find(names.begin(), names.end(), name) == names.end()) {
        names.push_back(name);
      }
    }
  }
  return names;
}

std::vector<std::string> metric_names(const SweepPlan& plan) {
  return all_names(plan, [](const PlannedConfiguration& c) { return std::vector{c.metric}; });
}

std::vector<std::string> baseline_names(const SweepPlan& plan) {
  return all_names(plan, [](const PlannedConfiguration& c) {
    std::vector<std::string> names;
    for (const tasks::Metric& baseline : c.baselines) {
      names.push_back(baseline.name);
    }
    return names;
  });
}

std::string baseline_of(const PlannedConfiguration& c, const std::string& name, bool exact) {
  for (const tasks::Metric& baseline : c.baselines) {
    if (baseline.name == name) {
      return exact ? fmt::format("{}", baseline.value) : fmt::format("{:.4f}", baseline.value);
    }
  }
  return "";
}

std::vector<Table::Column> right_columns(const std::vector<std::string>& titles) {
  std::vector<Table::Column> columns;
  for (const std::string& title : titles) {
    columns.push_back({title, Table::Align::right});
  }
  return columns;
}

void append(std::vector<std::string>& to, const std::vector<std::string>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

// One row per run.
Table runs_table(const SweepPlan& plan, const std::vector<RunResult>& results) {
  const std::vector<std::string> metrics = metric_names(plan);
  std::vector<std::string> titles = {"run"};
  append(titles, plan.varied);
  append(titles, {"seed", "status", "steps"});
  for (const char* of : {"test ", "validation ", "best validation "}) {
    for (const std::string& metric : metrics) {
      titles.push_back(of + metric);
    }
  }
  append(titles, {"best validation step", "test loss (nats)", "seconds", "tokens/s", "parameters",
                  "reason"});
  Table table(right_columns(titles));
  for (std::size_t n = 0; n < plan.runs.size(); ++n) {
    const PlannedRun& run = plan.runs[n];
    const RunResult& result = results[n];
    const Summary& s = result.summary;
    const PlannedConfiguration& configuration = plan.configurations[run.configuration];
    const bool finished = result.status == RunStatus::finished;
    const auto figure = [&](auto value) {
      return finished ? fmt::format("{}", value) : std::string();
    };
    std::vector<std::string> cells = {run.name};
    append(cells, configuration.values);
    append(cells, {fmt::format("{}", run.seed), name_of(result.status), figure(s.steps)});
    for (const double value :
         {finished ? s.metrics.front().value : 0.0, result.validation, s.best_value}) {
      for (const std::string& metric : metrics) {
        cells.push_back(metric == configuration.metric ? figure(value) : "");
      }
    }
    append(cells,
           {figure(s.best_step), figure(s.loss), figure(s.seconds), figure(s.tokens_per_second),
            fmt::format("{}", configuration.parameters), result.reason});
    table.add(cells);
  }
  return table;
}

// One row per configuration, with all digits.
Table summary_table(const SweepPlan& plan, const std::vector<Ranking>& lists) {
  const std::vector<std::string> baselines = baseline_names(plan);
  std::vector<std::string> titles = plan.varied;
  append(titles, {"metric", "runs", "finished"});
  for (const std::string of : {"validation", "test", "test loss (nats)"}) {
    append(titles, {of + " mean", of + " sd", of + " 95 % low", of + " 95 % high"});
  }
  append(titles, baselines);
  append(titles, {"far below chance", "parameters", "seconds"});
  Table table(right_columns(titles));
  for (const Ranking& list : lists) {
    for (const RankedConfiguration& ranked : list) {
      std::vector<std::string> cells = ranked.planned->values;
      append(cells, {ranked.planned->metric, fmt::format("{}", ranked.runs),
                     fmt::format("{}", ranked.test_values.size())});
      for (const auto& e : {ranked.validation, ranked.test, ranked.loss}) {
        const bool spread = e && e->sd;
        append(cells, {e ? fmt::format("{}", e->mean) : "", spread ? fmt::format("{}", *e->sd) : "",
                       spread ? fmt::format("{}", e->low()) : "",
                       spread ? fmt::format("{}", e->high()) : ""});
      }
      for (const std::string& baseline : baselines) {
        cells.push_back(baseline_of(*ranked.planned, baseline, true));
      }
      append(cells,
             {ranked.below_chance ? "yes" : "no", fmt::format("{}", ranked.planned->parameters),
              fmt::format("{}", ranked.seconds)});
      table.add(cells);
    }
  }
  return table;
}

// The same for people: one table of configurations with the same metric.
Table ranking_table(const SweepPlan& plan, const Ranking& list) {
  const std::string& metric = list.front().planned->metric;
  std::vector<Table::Column> columns;
  for (const std::string& name : plan.varied) {
    columns.push_back({name, Table::Align::left});
  }
  if (plan.varied.empty()) {
    columns.push_back({"backbone", Table::Align::left});
  }
  std::vector<std::string> baselines;
  for (const std::string& name : baseline_names(plan)) {
    const bool has = std::any_of(list.begin(), list.end(), [&](const RankedConfiguration& ranked) {
      return !baseline_of(*ranked.planned, name, false).empty();
    });
    if (has) {
      baselines.push_back(name);
    }
  }
  std::vector<std::string> titles = {"runs", "validation " + metric, "test " + metric,
                                     "95 % interval", "test loss (nats)"};
  append(titles, baselines);
  titles.emplace_back("parameters");
  const std::vector<Table::Column> figures = right_columns(titles);
  columns.insert(columns.end(), figures.begin(), figures.end());
  Table table(columns);
  const auto text = [](const std::optional<report::Estimate>& e) {
    return e ? report::mean_and_sd_text(*e) : "-";
  };
  for (const RankedConfiguration& ranked : list) {
    std::vector<std::string> cells = ranked.planned->values;
    if (plan.varied.empty()) {
      cells.push_back(plan.runs.front().settings.at("backbone"));
    }
    const std::size_t finished = ranked.test_values.size();
    append(cells, {finished == ranked.runs ? fmt::format("{}", finished)
                                           : fmt::format("{} of {}", finished, ranked.runs),
                   text(ranked.validation), text(ranked.test) + (ranked.below_chance ? " !" : ""),
                   ranked.test ? report::interval_text(*ranked.test) : "-", text(ranked.loss)});
    for (const std::string& name : baselines) {
      cells.push_back(baseline_of(*ranked.planned, name, false));
    }
    cells.push_back(fmt::format("{}", ranked.planned->parameters));
    table.add(cells);
  }
  return table;
}

std::vector<std::string> notes_on(const SweepPlan& plan, const std::vector<RunResult>& results,
                                  const std::vector<Ranking>& lists) {
  std::vector<std::string> notes = {
      "Mean ± standard deviation over seeds; the interval is Student's for the mean. Sorted by the "
      "validation split; the test split took no part in the choice."};
  const bool flagged = std::any_of(lists.begin(), lists.end(), [](const Ranking& list) {
    return std::any_of(list.begin(), list.end(),
                       [](const RankedConfiguration& ranked) { return ranked.below_chance; });
  });
  if (flagged) {
    notes.emplace_back(
        "! more than 3 standard deviations worse than chance, which guessing does not bring about: "
        "look for a mistake in data or metric.");
  }
  for (std::size_t n = 0; n < plan.runs.size(); ++n) {
    if (results[n].status == RunStatus::failed) {
      notes.push_back(fmt::format("failed: {}: {}", plan.runs[n].name, results[n].reason));
    }
  }
  return notes;
}

std::string markdown(const SweepPlan& plan, const std::vector<RunResult>& results,
                     const std::vector<Ranking>& lists) {
  const auto finished = std::count_if(results.begin(), results.end(), [](const RunResult& result) {
    return result.status == RunStatus::finished;
  });
  std::string text = fmt::format("# Sweep: {} of {} runs finished\n", finished, results.size());
  for (const Ranking& list : lists) {
    text += "\n" + ranking_table(plan, list).markdown();
  }
  for (const std::string& note : notes_on(plan, results, lists)) {
    text += "\n" + note + "\n";
  }
  return text +
         fmt::format("\n`trainer sweep --config {} --out OTHER` repeats it.\n", sweep_files::kPlan);
}

}  // namespace

const char* name_of(RunStatus status) {
  constexpr const char* names[] = {"waiting", "running", "finished", "failed", "interrupted"};
  return names[static_cast<std::size_t>(status)];
}

RunResult read_finished(const std::string& folder, const PlannedRun& planned) {
  RunResult result;
  result.status = RunStatus::finished;
  result.summary = read_summary(in(folder, run_files::kSummary));
  for (const auto& [name, value] : planned.settings) {
    const auto found = result.summary.configuration.find(name);
    // A path need not be UTF-8 as everything in the summary is.
    if (name != "data" && (found == result.summary.configuration.end() || found->second != value)) {
      throw FileError(fmt::format(
          "{} does not hold the run that the sweep plans: its {} is {}, not "
          "{}",
          folder, name, found == result.summary.configuration.end() ? "not set" : found->second,
          value));
    }
  }
  const MetricsRow* last = nullptr;
  const std::vector<MetricsRow> rows = read_metrics(in(folder, run_files::kMetricsCsv));
  for (const MetricsRow& row : rows) {
    if (row.split == name_of(tasks::Split::validation) && !row.metrics.empty()) {
      last = &row;
    }
  }
  if (last == nullptr) {
    throw FileError(fmt::format("{} has no validation in its {}", folder, run_files::kMetricsCsv));
  }
  result.validation = last->metrics.front().value;
  return result;
}

std::string report_text(const SweepPlan& plan, const std::vector<RunResult>& results) {
  const std::vector<Ranking> lists = rank(plan, results);
  std::string text;
  for (const Ranking& list : lists) {
    text += ranking_table(plan, list).text() + "\n";
  }
  for (const std::string& note : notes_on(plan, results, lists)) {
    text += note + "\n";
  }
  return text;
}

void write_tables(const std::string& folder, const SweepPlan& plan,
                  const std::vector<RunResult>& results) {
  const std::vector<Ranking> lists = rank(plan, results);
  report::write_text(in(folder, sweep_files::kRuns), runs_table(plan, results).csv());
  report::write_text(in(folder, sweep_files::kSummary), summary_table(plan, lists).csv());
  report::write_text(in(folder, sweep_files::kReport), markdown(plan, results, lists));
}

}  // namespace basin::trainer
