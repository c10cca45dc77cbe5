// A figure as a gnuplot script.
#pragma once

#include <string>

#include "tasks/experiments/report.h"

namespace basin::reproduction {

/// A script that holds its data and writes both pictures. Series differ in colour, dashes and point
/// shapes; what cannot be drawn (NaN, nothing above 0 on a logarithmic axis) is left out, and a
/// series that has nothing else says so in the key. Throws Error for a grid whose values are not
/// columns x rows, or of less than 2 x 2.
std::string figure_script(const experiments::Figure& figure, const std::string& svg_name,
                          const std::string& png_name);

}  // namespace basin::reproduction
