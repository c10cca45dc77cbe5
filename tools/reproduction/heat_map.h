// The grid of a figure as parts of a gnuplot script.
#pragma once

#include <string>
#include <vector>

#include "tasks/experiments/report.h"

namespace basin::reproduction {

struct HeatMap {
  std::string commands;             ///< before the plot: data, palette, contours
  std::vector<std::string> drawn;   ///< elements of the plot
  std::vector<std::string> key;     ///< elements of its key
  std::vector<std::string> titles;  ///< what the key says, to see how long it is
};

/// Throws Error for a grid whose values are not columns x rows, or of less than 2 x 2.
HeatMap heat_map(const experiments::Grid& grid);

/// From the edge of the first cell to the edge of the last one.
std::array<double, 2> x_edges(const experiments::Grid& grid);
std::array<double, 2> y_edges(const experiments::Grid& grid);

}  // namespace basin::reproduction
