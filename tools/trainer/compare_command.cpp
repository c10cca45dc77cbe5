#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <system_error>

#include "tensor/error.h"
#include "tools/report/gnuplot.h"
#include "tools/report/statistics.h"
#include "tools/report/table.h"
#include "tools/report/text_file.h"
#include "tools/trainer/arguments.h"
#include "tools/trainer/commands.h"
#include "tools/trainer/data_settings.h"
#include "tools/trainer/metrics_log.h"
#include "tools/trainer/progress.h"
#include "tools/trainer/results.h"
#include "tools/trainer/run_folder.h"
#include "tools/trainer/summary.h"
#include "tools/trainer/usage_error.h"

namespace basin::trainer {

namespace {

namespace fs = std::filesystem;
using report::Table;

const Syntax kCompareSyntax = {
    "compare",
    "Puts finished runs of one task beside each other: a table of the figures on the test split\n"
    "(NAME.csv, NAME.md) and a plot of the main metric during training (NAME.gp, NAME.svg). Runs\n"
    "that differ in their seed only get a second table (NAME_seeds.csv, and in NAME.md) with mean "
    "±\n"
    "standard deviation and the 95 % interval of the mean.",
    "DIR...",
    {{"out", "DIR", "where table and plot go; created if it is not there"},
     {"name", "NAME", "of the files [the name of the task]"}},
    false};

struct Run {
  std::string folder;
  Summary summary;
  std::vector<MetricsRow> rows;
  std::string label;
};

// Settings that decide how much work is done or written, not what is learned.
bool tells_runs_apart(const std::string& setting) {
  static const std::set<std::string> others = {
      "task",          "backbone",  "log-every",        "eval-every",       "eval-examples",
      "test-examples", "threads",   "checkpoint-every", "keep-checkpoints", "data-digest",
      "device",        "step-graph"};
  return others.count(setting) == 0;
}

Run read_run(const std::string& folder) {
  const auto file = [&](const char* name) { return (fs::path(folder) / name).string(); };
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) {
    throw FileError(fmt::format("{} is not the folder of a run", folder));
  }
  if (!fs::exists(file(run_files::kSummary), ignored)) {
    throw FileError(
        fmt::format("{} holds no finished run (it has no {})", folder, run_files::kSummary));
  }
  return {folder, read_summary(file(run_files::kSummary)),
          read_metrics(file(run_files::kMetricsCsv)), ""};
}

std::string setting_of(const Run& run, const char* name) {
  const auto found = run.summary.configuration.find(name);
  return found == run.summary.configuration.end() ? "" : found->second;
}

// Whether both have read the same text; chance is another one for another tokenizer.
bool same_text(const Run& a, const Run& b) {
  const std::string text = text_digest(setting_of(a, "data-digest"));
  return !text.empty() && text == text_digest(setting_of(b, "data-digest"));
}

// The baselines of all runs; those that depend on the tokenizer name it.
std::vector<tasks::Metric> all_baselines(const std::vector<Run>& runs) {
  std::vector<tasks::Metric> all;
  for (std::size_t n = 0; n < runs.front().summary.baselines.size(); ++n) {
    std::map<std::string, std::set<double>> values;
    for (const Run& run : runs) {
      values[run.summary.baselines[n].name].insert(run.summary.baselines[n].value);
    }
    std::set<std::pair<std::string, double>> seen;
    for (const Run& run : runs) {
      tasks::Metric baseline = run.summary.baselines[n];
      if (!seen.insert({baseline.name, baseline.value}).second) {
        continue;
      }
      if (values[baseline.name].size() > 1) {
        const fs::path tokenizer = setting_of(run, "tokenizer");
        baseline.name += fmt::format(" ({})", tokenizer.filename().string());
      }
      all.push_back(baseline);
    }
  }
  return all;
}

void check_comparable(const std::vector<Run>& runs) {
  const Summary& first = runs.front().summary;
  for (const Run& run : runs) {
    const Summary& other = run.summary;
    if (other.task != first.task) {
      throw FileError(
          fmt::format("runs of different tasks cannot be compared: {} is of '{}', {} is "
                      "of '{}'",
                      runs.front().folder, first.task, run.folder, other.task));
    }
    const auto same = [](const tasks::Metric& a, const tasks::Metric& b) {
      return a.name == b.name && a.value == b.value;
    };
    const bool comparable_text =
        same_text(runs.front(), run) && first.baselines.size() == other.baselines.size();
    if (!comparable_text && !std::equal(first.baselines.begin(), first.baselines.end(),
                                        other.baselines.begin(), other.baselines.end(), same)) {
      throw FileError(
          fmt::format("{} and {} cannot be compared: their data differ, chance or other "
                      "baselines are not the same",
                      runs.front().folder, run.folder));
    }
    const auto same_name = [](const tasks::Metric& a, const tasks::Metric& b) {
      return a.name == b.name;
    };
    if (!std::equal(first.metrics.begin(), first.metrics.end(), other.metrics.begin(),
                    other.metrics.end(), same_name)) {
      throw FileError(fmt::format("{} and {} cannot be compared: they measured different metrics",
                                  runs.front().folder, run.folder));
    }
  }
}

// The backbone, and for runs of the same one the settings in which they differ, or the folder.
void label_runs(std::vector<Run>& runs) {
  std::map<std::string, std::vector<Run*>> by_backbone;
  for (Run& run : runs) {
    run.label = run.summary.backbone;
    by_backbone[run.label].push_back(&run);
  }
  for (const auto& [backbone, same] : by_backbone) {
    if (same.size() < 2) {
      continue;
    }
    std::map<std::string, std::set<std::string>> values;
    for (const Run* run : same) {
      for (const auto& [name, value] : run->summary.configuration) {
        values[name].insert(value);
      }
    }
    std::set<std::string> labels;
    for (Run* run : same) {
      for (const auto& [name, value] : run->summary.configuration) {
        if (values[name].size() > 1 && tells_runs_apart(name)) {
          run->label += fmt::format(", {} {}", name, value);
        }
      }
      labels.insert(run->label);
    }
    if (labels.size() < same.size()) {
      for (Run* run : same) {
        run->label += fmt::format(" ({})", run->folder);
      }
    }
  }
}

// Runs that differ in their seed only, by its value: the same seed twice says nothing new.
struct SeedGroup {
  Run first;  // its configuration without the seed, its label that of the group
  std::map<std::uint64_t, Summary> by_seed;
};

// In the order of the runs; labels say in what the groups of a backbone differ.
std::vector<SeedGroup> group_by_seed(const std::vector<Run>& runs) {
  std::vector<SeedGroup> groups;
  std::map<std::map<std::string, std::string>, std::size_t> known;
  for (const Run& run : runs) {
    std::map<std::string, std::string> settings = run.summary.configuration;
    settings.erase("seed");
    auto key = settings;
    // How often a run reports does not change what it learns.
    for (const char* name : {"threads", "device", "step-graph", "log-every", "eval-every",
                             "eval-examples", "checkpoint-every"}) {
      key.erase(name);
    }
    const auto [found, fresh] = known.insert({std::move(key), groups.size()});
    if (fresh) {
      groups.push_back({run, {}});
      groups.back().first.summary.configuration = std::move(settings);
    }
    groups[found->second].by_seed.insert({run.summary.seed, run.summary});
  }
  std::vector<Run> representatives;
  for (const SeedGroup& group : groups) {
    representatives.push_back(group.first);
  }
  label_runs(representatives);
  for (std::size_t n = 0; n < groups.size(); ++n) {
    groups[n].first.label = representatives[n].label;
  }
  return groups;
}

// Mean, spread and interval over seeds, of the main metric and the loss.
Table seeds_table(const std::vector<SeedGroup>& groups, bool exact) {
  const Summary& first = groups.front().first.summary;
  const std::string& metric = first.metrics.front().name;
  std::vector<Table::Column> columns = {{"backbone", Table::Align::left},
                                        {"seeds", Table::Align::right}};
  for (const std::string& of : {metric, std::string("loss (nats)")}) {
    const std::vector<std::string> titles =
        exact ? std::vector<std::string>{of + " mean", of + " sd", of + " 95 % low",
                                         of + " 95 % high"}
              : std::vector<std::string>{of, "95 % interval"};
    for (const std::string& title : titles) {
      columns.push_back({title, Table::Align::right});
    }
  }
  Table table(columns);
  for (const SeedGroup& group : groups) {
    std::vector<double> values, losses;
    for (const auto& [seed, summary] : group.by_seed) {
      values.push_back(summary.metrics.front().value);
      losses.push_back(summary.loss);
    }
    std::vector<std::string> cells = {group.first.label, fmt::format("{}", values.size())};
    for (const auto& e : {report::estimate(values), report::estimate(losses)}) {
      if (!exact) {
        cells.insert(cells.end(), {report::mean_and_sd_text(e), report::interval_text(e)});
        continue;
      }
      cells.push_back(fmt::format("{}", e.mean));
      for (const auto& value : {e.sd, e.sd ? std::optional(e.low()) : std::nullopt,
                                e.sd ? std::optional(e.high()) : std::nullopt}) {
        cells.push_back(value ? fmt::format("{}", *value) : "");
      }
    }
    table.add(cells);
  }
  return table;
}

// `exact`: all digits, for programs that read the table.
Table make_table(const std::vector<Run>& runs, bool exact) {
  const auto number = [exact](double value, int digits) {
    return exact ? fmt::format("{}", value) : fmt::format("{:.{}f}", value, digits);
  };
  const Summary& first = runs.front().summary;
  std::vector<Table::Column> columns = {{"backbone", Table::Align::left},
                                        {"parameters", Table::Align::right}};
  for (const tasks::Metric& metric : first.metrics) {
    columns.push_back({metric.name, Table::Align::right});
  }
  for (const char* title : {"loss (nats)", "steps", "tokens/s", "minutes"}) {
    columns.push_back({title, Table::Align::right});
  }
  Table table(columns);
  for (const Run& run : runs) {
    const Summary& s = run.summary;
    std::vector<std::string> cells = {run.label, fmt::format("{}", s.parameters)};
    for (const tasks::Metric& metric : s.metrics) {
      cells.push_back(number(metric.value, 4));
    }
    cells.push_back(number(s.loss, 4));
    cells.push_back(fmt::format("{}", s.steps));
    cells.push_back(number(s.tokens_per_second, 0));
    cells.push_back(number(s.seconds / 60.0, 2));
    table.add(cells);
  }
  for (const tasks::Metric& baseline : all_baselines(runs)) {
    std::vector<std::string> cells(columns.size());
    cells[0] = baseline.name;
    cells[2] = number(baseline.value, 4);
    table.add(cells);
  }
  return table;
}

// In a share's plot all of [0, 100 %] is seen; elsewhere everything there is, from a round number.
std::pair<double, double> y_range(const report::Plot& plot, bool share) {
  if (share) {
    return {-2.0, 102.0};
  }
  double low = plot.curves.front().points.front().second;
  double high = low;
  const auto include = [&](double y) {
    low = std::min(low, y);
    high = std::max(high, y);
  };
  for (const report::Curve& curve : plot.curves) {
    for (const auto& point : curve.points) {
      include(point.second);
    }
  }
  for (const report::Level& level : plot.levels) {
    include(level.y);
  }
  const double margin = 0.05 * (high - low) + 1e-6;
  return {low >= 0.0 ? std::max(0.0, low - margin) : low - margin, high + margin};
}

report::Plot make_plot(const std::vector<Run>& runs) {
  const Summary& first = runs.front().summary;
  const std::string& metric = first.metrics.front().name;
  const bool share = is_share(metric);
  const double factor = share ? 100.0 : 1.0;
  const char* unit = share ? " %" : "";
  report::Plot plot;
  // ", name value" of a setting that all runs have in common.
  const auto common = [&](const char* name) {
    std::set<std::string> values;
    for (const Run& run : runs) {
      const auto found = run.summary.configuration.find(name);
      values.insert(found == run.summary.configuration.end() ? "" : found->second);
    }
    return values.size() > 1 || values.begin()->empty()
               ? std::string()
               : fmt::format(", {} {}", name, *values.begin());
  };
  plot.title = fmt::format("{}{}{}: validation during training", first.task, common("length"),
                           common("vocabulary"));
  plot.x_label = "training step";
  plot.y_label = metric + (share ? " (%)" : "");
  for (const Run& run : runs) {
    report::Curve curve;
    for (const MetricsRow& row : run.rows) {
      if (row.split == name_of(tasks::Split::validation) && !row.metrics.empty()) {
        curve.points.emplace_back(static_cast<double>(row.step),
                                  factor * row.metrics.front().value);
      }
    }
    if (curve.points.empty()) {
      throw FileError(
          fmt::format("{} has no validation in its {}", run.folder, run_files::kMetricsCsv));
    }
    curve.title =
        fmt::format("{}: {:.{}f}{}", run.label, curve.points.back().second, share ? 1 : 3, unit);
    plot.curves.push_back(std::move(curve));
  }
  // The legend in the order in which the curves end on the right.
  std::stable_sort(plot.curves.begin(), plot.curves.end(),
                   [](const report::Curve& a, const report::Curve& b) {
                     return a.points.back().second > b.points.back().second;
                   });
  for (const tasks::Metric& baseline : all_baselines(runs)) {
    plot.levels.push_back(
        {fmt::format("{}: {:.{}f}{}", baseline.name, factor * baseline.value, share ? 1 : 3, unit),
         factor * baseline.value});
  }
  plot.y_range = y_range(plot, share);
  return plot;
}

}  // namespace

void compare_command(const std::vector<std::string>& words) {
  const Arguments arguments(kCompareSyntax, words);
  if (arguments.has("help")) {
    fmt::print("{}", help_text(kCompareSyntax));
    return;
  }
  const std::string& out = arguments.value("out");
  if (arguments.operands().empty()) {
    wrong_usage("'compare' needs the folders of the runs");
  }
  if (arguments.value_or("name", "x").find('/') != std::string::npos) {
    wrong_usage("--name {} must not contain '/': names of files begin with it",
                arguments.value("name"));
  }
  std::vector<Run> runs;
  for (const std::string& folder : arguments.operands()) {
    runs.push_back(read_run(folder));
  }
  check_comparable(runs);
  label_runs(runs);
  const std::string name = arguments.value_or("name", runs.front().summary.task);
  std::error_code code;
  fs::create_directories(out, code);
  const auto file = [&](const char* ending) { return (fs::path(out) / (name + ending)).string(); };

  const Table table = make_table(runs, false);
  report::write_text(file(".csv"), make_table(runs, true).csv());
  const std::vector<SeedGroup> groups = group_by_seed(runs);
  const bool several_seeds = std::any_of(groups.begin(), groups.end(), [](const SeedGroup& group) {
    return group.by_seed.size() > 1;
  });
  const Table seeds = seeds_table(groups, false);
  if (several_seeds) {
    report::write_text(file("_seeds.csv"), seeds_table(groups, true).csv());
  } else {
    fs::remove(file("_seeds.csv"), code);  // of an earlier comparison
  }
  report::write_text(file(".md"),
                     table.markdown() + (several_seeds ? "\n" + seeds.markdown() : ""));
  report::write_text(file(".gp"), report::curves_script(make_plot(runs), name + ".svg"));
  const std::string no_plot = report::run_gnuplot(out, name + ".gp");
  fmt::print("{}", table.text());
  if (several_seeds) {
    fmt::print("\n{}", seeds.text());
  }
  if (!no_plot.empty()) {
    fmt::print("\nno {}.svg: {}; the script is {}\n", name, no_plot, file(".gp"));
  }
}

}  // namespace basin::trainer
