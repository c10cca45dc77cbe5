#include "tools/trainer/curve_plot.h"

#include <fmt/format.h>

#include "tools/report/gnuplot.h"
#include "tools/report/text_file.h"
#include "tools/trainer/results.h"

namespace basin::trainer {

namespace {

using report::gnuplot_quoted;

// The values of a column in the rows of one split; others count as missing.
std::string rows_of(const char* split, const std::string& column, int factor) {
  return fmt::format(
      "metrics using (column('step')):(strcol('split') eq '{}' ? {} * column({}) : "
      "NaN)",
      split, factor, gnuplot_quoted(column));
}

}  // namespace

void write_curve_script(const RunFolder& folder, const Configuration& c, const tasks::Task& task) {
  const std::string metric = task.metric_name();
  const int factor = is_share(metric) ? 100 : 1;
  std::string text = report::script_head(run_files::kCurve, 800, 760);
  text += fmt::format(
      "metrics = '{}'\n"
      "set datafile separator comma\n"
      "set datafile columnheaders\n"
      "set datafile missing NaN\n"
      "set xrange [0:{}]\n"
      "set key above center horizontal Left reverse samplen 3\n"
      "set lmargin 11\nset rmargin 4\nset tmargin 4\n"
      "set multiplot layout 2,1 title {} font ',17'\n\n",
      run_files::kMetricsCsv, c.steps,
      gnuplot_quoted(fmt::format("{} on {}, length {}", c.backbone, c.task, c.length)));
  text += "set ylabel 'cross-entropy (nats)'\n";
  text += fmt::format(
      "plot {} title 'training' with lines linewidth 1 linecolor '#909090', \\\n     {} title "
      "'validation' {}\n\n",
      rows_of("train", "loss", 1), rows_of("validation", "loss", 1), report::curve_style(0));
  text += fmt::format("set xlabel 'training step'\nset ylabel {}\n",
                      gnuplot_quoted(metric + (factor == 100 ? " (%)" : "")));
  if (factor == 100) {
    text += "set yrange [-2:102]\n";
  }
  text += fmt::format("plot {} title 'validation' {}", rows_of("validation", metric, factor),
                      report::curve_style(0));
  std::size_t n = 0;
  for (const tasks::Metric& baseline : task.baselines()) {
    text += fmt::format(", \\\n     {} title {} {}", factor * baseline.value,
                        gnuplot_quoted(baseline.name), report::level_style(n++));
  }
  text += "\nunset multiplot\n";
  report::write_text(folder.file(run_files::kCurveScript), text);
}

}  // namespace basin::trainer
