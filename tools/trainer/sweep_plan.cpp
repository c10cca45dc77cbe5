#include "tools/trainer/sweep_plan.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "tensor/allocator.h"
#include "tools/trainer/data_settings.h"
#include "tools/trainer/experiment.h"
#include "tools/trainer/memory.h"
#include "tools/trainer/settings.h"
#include "tools/trainer/usage_error.h"

namespace basin::trainer {

namespace {

constexpr std::size_t kMostRuns = 10'000;
constexpr int kMostRepeatedDraws = 1'000;
constexpr std::size_t kLongestName = 200;  // file systems take 255 bytes

// Settings and their values, as the sweep file asks for them.
struct Point {
  std::vector<std::string> values;  // in the order of SweepPlan::varied
  GivenValues given;
};

// Every combination of the grid, the last axis changing fastest.
std::vector<Point> grid_points(const SweepFile& sweep) {
  std::vector<Point> points = {{{}, sweep.fixed}};
  for (const GridAxis& axis : sweep.grid) {
    if (points.size() * axis.values.size() > kMostRuns) {
      wrong_usage("{} makes the grid larger than {} runs", axis.origin, kMostRuns);
    }
    std::vector<Point> more;
    for (const Point& point : points) {
      for (const std::string& value : axis.values) {
        more.push_back(point);
        more.back().values.push_back(value);
        more.back().given[axis.setting] = {value, axis.origin};
      }
    }
    points = std::move(more);
  }
  return points;
}

std::vector<std::vector<std::string>> draw_trials(const SweepFile& sweep) {
  SweepGenerator generator(sweep.sweep_seed);
  std::vector<std::vector<std::string>> trials;
  std::set<std::vector<std::string>> seen;
  int repeated = 0;
  while (trials.size() < static_cast<std::size_t>(sweep.trials)) {
    std::vector<std::string> trial;
    for (const RandomAxis& axis : sweep.random) {
      trial.push_back(axis.distribution.draw(generator));
    }
    if (seen.insert(trial).second) {
      trials.push_back(std::move(trial));
    } else if (++repeated > kMostRepeatedDraws) {
      wrong_usage(
          "{}: the ranges of [random] have no {} different combinations; after {} trials "
          "only known ones were drawn",
          sweep.random.front().origin, sweep.trials, trials.size());
    }
  }
  return trials;
}

std::vector<Point> all_points(const SweepFile& sweep) {
  std::vector<Point> points = grid_points(sweep);
  const std::size_t seeds = std::max<std::size_t>(1, sweep.seeds.size());
  const std::size_t trials = sweep.random.empty() ? 1 : static_cast<std::size_t>(sweep.trials);
  if (points.size() * trials * seeds > kMostRuns) {
    wrong_usage(
        "the sweep has {} runs: {} points of the grid, {} trials, {} seeds; at most {} are "
        "possible",
        points.size() * trials * seeds, points.size(), trials, seeds, kMostRuns);
  }
  if (sweep.random.empty()) {
    return points;
  }
  const auto drawn = draw_trials(sweep);
  std::vector<Point> more;
  for (const Point& point : points) {
    for (std::size_t trial = 0; trial < drawn.size(); ++trial) {
      more.push_back(point);
      more.back().values.push_back(fmt::format("{}", trial));
      for (std::size_t n = 0; n < drawn[trial].size(); ++n) {
        more.back().values.push_back(drawn[trial][n]);
        more.back().given[sweep.random[n].setting] = {drawn[trial][n], sweep.random[n].origin};
      }
    }
  }
  return more;
}

std::string label_of(const std::vector<std::string>& names,
                     const std::vector<std::string>& values) {
  std::string label;
  for (std::size_t n = 0; n < names.size(); ++n) {
    label += fmt::format("{}{}={}", n == 0 ? "" : ",", names[n], values[n]);
  }
  return label;
}

// A name that needs no quotes in a shell and is no path.
std::string folder_name(const std::string& text) {
  std::string name = text;
  for (char& c : name) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                       std::string("=,.+-_").find(c) != std::string::npos;
    c = plain ? c : '_';
  }
  return name;
}

void name_runs(SweepPlan& plan) {
  std::map<std::string, int> uses;
  for (PlannedRun& run : plan.runs) {
    const std::string& label = plan.configurations[run.configuration].label;
    run.name = folder_name(fmt::format("{}{}seed={}", label, label.empty() ? "" : ",", run.seed));
    ++uses[run.name];
  }
  for (std::size_t n = 0; n < plan.runs.size(); ++n) {
    std::string& name = plan.runs[n].name;
    if (uses[name] > 1 || name.size() > kLongestName) {
      name = fmt::format("{},run={}", name.substr(0, kLongestName), n);
    }
  }
}

// Builds task, model and training once: only that finds everything that is wrong with settings.
void try_configuration(Configuration c, PlannedConfiguration& planned) {
  check_memory(c, true);
  planned.threads = c.threads;
  c.threads = 0;
  Experiment experiment = make_experiment(c);
  (void)make_training_run(experiment);
  planned.metric = experiment.task->metric_name();
  planned.higher_is_better = experiment.task->higher_is_better();
  planned.baselines = experiment.task->baselines();
  planned.parameters = experiment.model->parameter_count();
}

PlannedRun plan_run(const Point& point, std::size_t configuration) {
  Configuration c = make_configuration(point.given);
  for (const auto& [name, value] : point.given) {
    keep_path(c, name);
  }
  PlannedRun run;
  run.configuration = configuration;
  run.seed = c.seed;
  run.given = point.given;
  run.settings = to_map(c);
  run.given["seed"] = {run.settings.at("seed"), "seeds"};
  for (auto& [name, value] : run.given) {
    if (const auto setting = run.settings.find(name); setting != run.settings.end()) {
      value.text = setting->second;  // a path, for one, is now valid from every folder
    }
  }
  if (run.given.count("data-digest") == 0) {
    run.settings.erase("data-digest");  // each run writes that of the data it has read
  }
  run.given.erase("threads");
  run.settings.erase("threads");
  return run;
}

void plan_configuration(const Point& point, SweepPlan& plan) {
  PlannedConfiguration planned;
  planned.values = point.values;
  planned.label = label_of(plan.varied, point.values);
  try {
    Point seeded = point;
    std::vector<std::uint64_t> seeds = plan.sweep.seeds;
    if (seeds.empty()) {
      seeds.push_back(make_configuration(point.given).seed);
    }
    for (const std::uint64_t seed : seeds) {
      seeded.given["seed"] = {fmt::format("{}", seed), "seeds"};
      plan.runs.push_back(plan_run(seeded, plan.configurations.size()));
    }
    try_configuration(make_configuration(seeded.given), planned);
  } catch (const UsageError& error) {
    if (planned.label.empty()) {
      throw;
    }
    // What is found in a model that was built has no place of its own.
    const std::string message = error.what();
    const std::string& origin = plan.sweep.origin;
    const bool names_file = origin.empty() || message.compare(0, origin.size(), origin) == 0;
    wrong_usage("{}{} (in the combination {})", names_file ? "" : origin + ": ", message,
                planned.label);
  }
  plan.configurations.push_back(std::move(planned));
}

}  // namespace

SweepPlan make_plan(const SweepFile& sweep) {
  SweepPlan plan;
  plan.sweep = sweep;
  for (const GridAxis& axis : sweep.grid) {
    plan.varied.push_back(axis.setting);
  }
  if (!sweep.random.empty()) {
    plan.varied.emplace_back("trial");
  }
  for (const RandomAxis& axis : sweep.random) {
    plan.varied.push_back(axis.setting);
  }
  for (const Point& point : all_points(sweep)) {
    plan_configuration(point, plan);
  }
  // The models were only tried; their memory belongs to the runs.
  cpu_allocator()->release_cache();
  name_runs(plan);
  return plan;
}

void check_same_plan(const SweepPlan& asked, const SweepPlan& stored, const std::string& path) {
  if (asked.runs.size() != stored.runs.size()) {
    wrong_usage("--resume: {} runs are asked for, the sweep in {} has {}", asked.runs.size(), path,
                stored.runs.size());
  }
  for (std::size_t n = 0; n < asked.runs.size(); ++n) {
    const PlannedRun& a = asked.runs[n];
    const PlannedRun& b = stored.runs[n];
    if (a.name != b.name) {
      wrong_usage("--resume: the run '{}' is asked for where the sweep in {} has '{}'", a.name,
                  path, b.name);
    }
    // Both sides: a setting may have an effect in one of them only.
    for (const auto& [name, value] : a.settings) {
      const auto found = b.settings.find(name);
      if (found == b.settings.end() || found->second != value) {
        wrong_usage("--resume: {} = {} is asked for, the sweep in {} has {}", name, value, path,
                    found == b.settings.end() ? "none" : found->second);
      }
    }
    if (a.settings.size() != b.settings.size()) {
      wrong_usage("--resume: the run '{}' has other settings in {}", a.name, path);
    }
  }
}

}  // namespace basin::trainer
