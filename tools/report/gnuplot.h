// Curves as gnuplot scripts and pictures.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace basin::report {

/// A line through points (x, y).
struct Curve {
  std::string title;
  std::vector<std::pair<double, double>> points;
};

/// A horizontal line to compare with, such as chance.
struct Level {
  std::string title;
  double y = 0.0;
};

struct Plot {
  std::string title;
  std::string x_label, y_label;  ///< with their units
  std::vector<Curve> curves;     ///< in the order of the legend
  std::vector<Level> levels;
  std::optional<std::pair<double, double>> y_range;
};

/// A script that holds its data and writes `svg_name`. Curves differ in colour (M. Okabe, K. Ito
/// 2008), dashes and points, so that no single one of these is needed to tell them apart.
std::string curves_script(const Plot& plot, const std::string& svg_name);

/// The first lines of every script: terminal, output and layout of axes and grid.
std::string script_head(const std::string& svg_name, int width, int height);

/// "with linespoints ..." of the n-th curve, and "with lines ..." of the n-th level.
std::string curve_style(std::size_t n);
std::string level_style(std::size_t n);

/// A string as gnuplot reads it.
std::string gnuplot_quoted(const std::string& text);

/// Runs gnuplot on a script in `folder`. Returns an empty string, or in words why there is no
/// picture: gnuplot is not installed or failed.
std::string run_gnuplot(const std::string& folder, const std::string& script_name);

}  // namespace basin::report
