#include "tools/reproduction/heat_map.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "tensor/error.h"
#include "tools/report/colours.h"
#include "tools/report/gnuplot.h"

namespace basin::reproduction {

namespace {

using experiments::Grid;
using report::gnuplot_quoted;

double step(double low, double high, std::int64_t count) {
  return (high - low) / static_cast<double>(count - 1);
}

std::array<double, 2> edges(double low, double high, std::int64_t count) {
  const double half = 0.5 * step(low, high, count);
  return {low - half, high + half};
}

std::string data_text(const Grid& grid) {
  std::string text = "\n$grid << EOD\n";
  std::size_t at = 0;
  for (std::int64_t row = 0; row < grid.rows; ++row) {
    for (std::int64_t column = 0; column < grid.columns; ++column) {
      const double value = grid.values[at++];
      text += fmt::format("{}{}", column == 0 ? "" : " ",
                          std::isfinite(value) ? fmt::format("{:.7g}", value) : "NaN");
    }
    text += "\n";
  }
  return text + "EOD\n";
}

std::string positions(const Grid& grid) {
  return fmt::format("$grid matrix using ({} + {} * $1):({} + {} * $2):3", grid.x_low,
                     step(grid.x_low, grid.x_high, grid.columns), grid.y_low,
                     step(grid.y_low, grid.y_high, grid.rows));
}

std::string palette_text(const std::vector<std::string>& colours) {
  std::vector<std::string> entries;
  for (std::size_t n = 0; n < colours.size(); ++n) {
    entries.push_back(fmt::format("{} '{}'", n, colours[n]));
  }
  if (colours.size() == 1) {  // gnuplot wants two
    entries.push_back(fmt::format("1 '{}'", colours[0]));
  }
  return fmt::format("set palette defined ({})\n", fmt::join(entries, ", "));
}

void add_contours(HeatMap& map, const Grid& grid) {
  if (grid.contours.empty()) {
    return;
  }
  map.commands += fmt::format(
      "set table $contours\nset contour base\nset cntrparam levels discrete {}\nunset surface\n"
      "splot {} with lines\nunset table\nunset contour\nset surface\n",
      fmt::join(grid.contours, ", "), positions(grid));
  const std::string title =
      grid.contours.size() <= 6
          ? fmt::format("contour lines at {}", fmt::join(grid.contours, ", "))
          : fmt::format("{} contour lines from {:.3g} to {:.3g}", grid.contours.size(),
                        *std::min_element(grid.contours.begin(), grid.contours.end()),
                        *std::max_element(grid.contours.begin(), grid.contours.end()));
  map.titles.push_back(title);
  map.key.push_back(fmt::format("keyentry with lines linewidth 2 linecolor '#303030' title {}",
                                gnuplot_quoted(title)));
  // A light line in a dark one is seen on every ground.
  map.drawn.push_back("$contours using 1:2 with lines linewidth 3 linecolor '#303030' notitle");
  map.drawn.push_back("$contours using 1:2 with lines linewidth 1.2 linecolor '#FFFFFF' notitle");
}

void add_classes(HeatMap& map, const Grid& grid) {
  double largest = 0.0;
  for (const double value : grid.values) {
    largest = std::isfinite(value) ? std::max(largest, value) : largest;
  }
  if (largest > 1000.0) {
    fail("[heat_map] {} is no number of a class", largest);
  }
  const std::size_t count =
      std::max(static_cast<std::size_t>(largest) + 1, grid.category_names.size());
  const std::vector<std::string> colours = report::class_colours(count);
  map.commands += palette_text(colours);
  map.commands += fmt::format("set palette maxcolors {}\nset cbrange [-0.5:{}]\nunset colorbox\n",
                              count, static_cast<double>(count) - 0.5);
  for (std::size_t n = 0; n < count; ++n) {
    const std::string name = n < grid.category_names.size()
                                 ? grid.category_names[n]
                                 : fmt::format("{} {}", grid.value_label, n);
    map.titles.push_back(name);
    map.key.push_back(
        fmt::format("keyentry with points pointtype 5 pointsize 1.8 linecolor '{}' "
                    "title {}",
                    colours[n], gnuplot_quoted(name)));
  }
}

void add_shades(HeatMap& map, const Grid& grid) {
  double low = INFINITY;
  double high = -INFINITY;
  for (const double value : grid.values) {
    if (std::isfinite(value)) {
      low = std::min(low, value);
      high = std::max(high, value);
    }
  }
  if (!(low < high)) {  // gnuplot wants a range
    const double middle = std::isfinite(low) ? low : 0.0;
    low = middle - 0.5;
    high = middle + 0.5;
  }
  map.commands += palette_text(report::even_palette(17));
  map.commands += fmt::format("set cbrange [{}:{}]\nset cblabel {} noenhanced\n", low, high,
                              gnuplot_quoted(grid.value_label));
}

}  // namespace

std::array<double, 2> x_edges(const Grid& grid) {
  return edges(grid.x_low, grid.x_high, grid.columns);
}

std::array<double, 2> y_edges(const Grid& grid) {
  return edges(grid.y_low, grid.y_high, grid.rows);
}

HeatMap heat_map(const Grid& grid) {
  const bool fits = grid.columns >= 2 && grid.rows >= 2 && grid.columns <= 4096 &&
                    grid.rows <= 4096 &&
                    grid.values.size() == static_cast<std::size_t>(grid.columns * grid.rows);
  if (!fits) {
    fail("[heat_map] {} values in a grid of {} x {}", grid.values.size(), grid.columns, grid.rows);
  }
  HeatMap map;
  map.commands = data_text(grid);
  map.drawn.push_back(positions(grid) + " with image notitle");
  if (grid.categories) {
    add_classes(map, grid);
  } else {
    add_shades(map, grid);
  }
  add_contours(map, grid);
  return map;
}

}  // namespace basin::reproduction
