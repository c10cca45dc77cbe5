#include "tools/report/interval_plot.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace basin::report {

std::string intervals_script(const IntervalPlot& plot, const std::string& svg_name) {
  std::size_t longest = 0;
  for (const IntervalLine& line : plot.lines) {
    longest = std::max(longest, line.label.size());
  }
  const int width = 640 + 9 * static_cast<int>(longest);
  const int height =
      190 + 30 * static_cast<int>(plot.lines.size()) + 22 * static_cast<int>(plot.levels.size());
  std::string text = script_head(svg_name, width, height);
  text += fmt::format("set title {} font ',17'\nset xlabel {}\n", gnuplot_quoted(plot.title),
                      gnuplot_quoted(plot.x_label));
  text +=
      "set key below center vertical maxcols 1 Left reverse samplen 3 spacing 1.3\n"
      "set grid noytics xtics linetype 1 linewidth 0.6 linecolor '#D8D8D8'\n";
  if (plot.x_range) {
    text += fmt::format("set xrange [{}:{}]\n", plot.x_range->first, plot.x_range->second);
  }
  std::string means = "\n$means << EOD\n";
  std::string values = "\n$runs << EOD\n";
  std::vector<std::string> tics;
  for (std::size_t n = 0; n < plot.lines.size(); ++n) {
    const IntervalLine& line = plot.lines[n];
    const Estimate e = estimate(line.values);
    tics.push_back(fmt::format("{} {}", gnuplot_quoted(line.label), n + 1));
    means += fmt::format("{} {} {} {}\n", e.mean, n + 1, e.low(), e.high());
    for (const double value : line.values) {
      values += fmt::format("{} {}\n", value, n + 1);
    }
  }
  text += fmt::format("set yrange [{}:0.5]\nset ytics ({})\n",
                      static_cast<double>(plot.lines.size()) + 0.5, fmt::join(tics, ", "));
  std::vector<std::string> legend;
  for (std::size_t n = 0; n < plot.levels.size(); ++n) {
    const std::string style = level_style(n).substr(std::string("with lines ").size());
    text += fmt::format("set arrow from {0}, graph 0 to {0}, graph 1 nohead {1}\n",
                        plot.levels[n].y, style);
    legend.push_back(fmt::format(", \\\n  keyentry {} title {}", level_style(n),
                                 gnuplot_quoted(plot.levels[n].title)));
  }
  text += means + "EOD\n" + values + "EOD\n";
  text +=
      "\nplot \\\n"
      "  $means with xerrorbars linewidth 2.5 linecolor '#0072B2' pointtype 7 pointsize 0.9 title "
      "'mean and 95 % interval', \\\n"
      "  $runs with points linewidth 1.5 linecolor '#D55E00' pointtype 6 pointsize 0.7 title "
      "'single runs'";
  return text + fmt::format("{}\n", fmt::join(legend, ""));
}

}  // namespace basin::report
