#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "tools/report/interval_plot.h"
#include "tools/report/text_file.h"
#include "tools/trainer/results.h"
#include "tools/trainer/sweep_ranking.h"

namespace basin::trainer {

namespace {

constexpr std::size_t kMostLines = 40;

// The baselines of the configurations on the plot, if they are the same for all.
std::vector<report::Level> common_levels(const std::vector<RankedConfiguration>& list,
                                         double factor, const char* unit) {
  const auto same = [&](const RankedConfiguration& ranked) {
    const auto& a = list.front().planned->baselines;
    const auto& b = ranked.planned->baselines;
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const tasks::Metric& x, const tasks::Metric& y) {
                        return x.name == y.name && x.value == y.value;
                      });
  };
  std::vector<report::Level> levels;
  if (std::all_of(list.begin(), list.end(), same)) {
    for (const tasks::Metric& baseline : list.front().planned->baselines) {
      const double x = factor * baseline.value;
      levels.push_back(
          {fmt::format("{}: {:.{}f}{}", baseline.name, x, *unit == 0 ? 3 : 1, unit), x});
    }
  }
  return levels;
}

}  // namespace

std::string write_plot(const std::string& folder, const SweepPlan& plan,
                       const std::vector<RunResult>& results) {
  const auto lists = rank(plan, results);
  if (lists.size() > 1) {
    return "the runs have different main metrics";
  }
  std::vector<RankedConfiguration> list = lists.front();
  list.erase(std::remove_if(list.begin(), list.end(),
                            [](const auto& ranked) { return ranked.test_values.empty(); }),
             list.end());
  if (list.empty()) {
    return "no run is finished";
  }
  const std::size_t configurations = list.size();
  list.resize(std::min(configurations, kMostLines));
  const std::string& metric = list.front().planned->metric;
  const bool share = is_share(metric);
  const double factor = share ? 100.0 : 1.0;
  report::IntervalPlot plot;
  plot.title =
      fmt::format("{}: test, best validation first", plan.runs.front().settings.at("task"));
  if (configurations > kMostLines) {
    plot.title += fmt::format(" ({} of {})", kMostLines, configurations);
  }
  plot.x_label = metric + (share ? " (%)" : "");
  if (share) {
    plot.x_range = {-2.0, 102.0};
  }
  for (const RankedConfiguration& ranked : list) {
    report::IntervalLine line{ranked.planned->label, ranked.test_values};
    if (line.label.empty()) {
      line.label = plan.runs.front().settings.at("backbone");
    }
    for (double& value : line.values) {
      value *= factor;
    }
    plot.lines.push_back(std::move(line));
  }
  plot.levels = common_levels(list, factor, share ? " %" : "");
  const std::string script = report::intervals_script(plot, sweep_files::kPlot);
  report::write_text((std::filesystem::path(folder) / sweep_files::kPlotScript).string(), script);
  return report::run_gnuplot(folder, sweep_files::kPlotScript);
}

}  // namespace basin::trainer
