// Means with their intervals, one line per configuration, as gnuplot scripts.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tools/report/gnuplot.h"
#include "tools/report/statistics.h"

namespace basin::report {

struct IntervalLine {
  std::string label;
  std::vector<double> values;  ///< each drawn as a small open circle; not empty
};

struct IntervalPlot {
  std::string title;
  std::string x_label;              ///< with its unit
  std::vector<IntervalLine> lines;  ///< from top to bottom; not empty
  std::vector<Level> levels;        ///< vertical lines at x = Level::y
  std::optional<std::pair<double, double>> x_range;
};

/// A script that holds its data and writes `svg_name`: the mean of each line as a filled circle and
/// the 95 % interval of estimate() as a bar, where there are two values or more.
std::string intervals_script(const IntervalPlot& plot, const std::string& svg_name);

}  // namespace basin::report
