#include "tools/reproduction/figure.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "tools/report/gnuplot.h"
#include "tools/reproduction/axis.h"
#include "tools/reproduction/heat_map.h"

namespace basin::reproduction {

namespace {

using experiments::Figure;
using experiments::Point;
using experiments::Series;
using report::gnuplot_quoted;

// Okabe and Ito (2008) without yellow, which is too light for lines; neighbours differ in
// lightness.
constexpr const char* kColours[] = {"#0072B2", "#E69F00", "#009E73", "#CC79A7",
                                    "#D55E00", "#56B4E9", "#000000"};
constexpr const char* kDashes[] = {"solid", "(14,5)",         "(3,4)", "(14,4,3,4)",
                                   "(7,4)", "(14,4,3,4,3,4)", "(24,6)"};
constexpr std::size_t kKinds = std::size(kColours);
// Ours: circle, square, triangle, diamond, triangle downwards, pentagon, all filled, then open
// ones.
constexpr int kOurs[] = {7, 5, 9, 13, 11, 15, 6, 4, 8, 12};
// Published: star, cross, plus, then open diamond, pentagon and triangle downwards.
constexpr int kTheirs[] = {3, 2, 1, 12, 14, 10};
constexpr std::size_t kFewPoints = 25;  // each gets its mark
constexpr std::size_t kFewBands = 5;    // more of them, one over the other, must be lighter
// Characters of an entry of a key that leaves the plot room at its side.
constexpr std::size_t kNarrowTitle = 24;
// Characters of a title in the key: above the first the letters are smaller, the second is all that
// fits.
constexpr std::size_t kWideTitle = 66;
constexpr std::size_t kLongestTitle = 92;

struct Style {
  std::string colour, dash;
  int mark = 7;
};

std::size_t characters(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

// Broken between words, as gnuplot's sum of strings; `lines` counts them.
std::string wrapped(const std::string& text, std::size_t width, std::size_t& lines) {
  std::vector<std::string> broken(1);
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    const std::string word = text.substr(begin, end - begin);
    if (!broken.back().empty() && characters(broken.back()) + 1 + characters(word) > width) {
      broken.emplace_back();
    }
    broken.back() += (broken.back().empty() ? "" : " ") + word;
    begin = end + 1;
  }
  lines = broken.size();
  for (std::string& line : broken) {
    line = gnuplot_quoted(line);
  }
  return fmt::format("{}", fmt::join(broken, ".\"\\n\"."));
}

// At most this many characters.
std::string shortened(const std::string& text, std::size_t most) {
  if (characters(text) <= most) {
    return text;
  }
  std::size_t end = 0;
  for (std::size_t seen = 0; seen < most && end < text.size(); ++seen) {
    do {
      ++end;
    } while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U);
  }
  return text.substr(0, end) + "…";
}

std::vector<Style> styles_of(const std::vector<Series>& all) {
  std::vector<Style> styles(all.size());
  std::size_t ours = 0;
  std::size_t theories = 0;
  std::size_t theirs = 0;
  for (std::size_t n = 0; n < all.size(); ++n) {
    if (all[n].kind == Series::Kind::line || all[n].kind == Series::Kind::points) {
      styles[n] = {kColours[ours % kKinds], kDashes[(ours + ours / kKinds) % kKinds],
                   kOurs[ours % std::size(kOurs)]};
      ++ours;
    }
  }
  for (std::size_t n = 0; n < all.size(); ++n) {
    if (all[n].kind == Series::Kind::theory) {
      styles[n] = {"#404040", kDashes[(theories++ + 1) % kKinds], 0};
    } else if (all[n].kind == Series::Kind::published) {
      styles[n] = {"#000000", "solid", kTheirs[theirs++ % std::size(kTheirs)]};
      // Published numbers of what we measured as well have its colour.
      for (std::size_t m = 0; m < all.size(); ++m) {
        if (all[m].kind == Series::Kind::line && !all[m].title.empty() &&
            all[n].title.find(all[m].title) != std::string::npos) {
          styles[n].colour = styles[m].colour;
          break;
        }
      }
    }
  }
  return styles;
}

// The figure's data with what its axes can show.
class Drawing {
 public:
  explicit Drawing(const Figure& figure) : figure_(figure), styles_(styles_of(figure.series)) {
    std::vector<double> xs, ys, ends;
    for (const Series& series : figure.series) {
      for (const Point& point : series.points) {
        xs.push_back(point.x);
        ys.push_back(point.y);
        for (const auto& end : {point.low, point.high}) {
          if (end) {
            ends.push_back(*end);
          }
        }
      }
    }
    x_values_ = xs;
    for (const experiments::Level& level : figure.levels) {
      ys.push_back(level.y);
    }
    const auto range = [](const auto& given, const auto& edges) { return given ? given : edges; };
    std::optional<std::array<double, 2>> x_grid, y_grid;
    if (figure.grid) {
      map_ = heat_map(*figure.grid);
      x_grid = x_edges(*figure.grid);
      y_grid = y_edges(*figure.grid);
    }
    x_ = axis_for(xs, figure.log_x, range(figure.x_range, x_grid));
    y_ = axis_for(ys, figure.log_y, range(figure.y_range, y_grid));
    if (!figure.y_range && !figure.grid) {
      make_room(y_, ends);
    }
  }

  std::string script(const std::string& svg_name, const std::string& png_name) {
    for (std::size_t n = 0; n < figure_.series.size(); ++n) {
      add_series(n);
    }
    add_levels();
    if (!has_values_ && !figure_.grid) {  // gnuplot must draw something
      data_ += fmt::format("\n$corner << EOD\n{} {}\nEOD\n", x_.low, y_.low);
      lines_.push_back("$corner with dots linecolor '#FFFFFF' notitle");
    }
    std::vector<std::string> parts = map_.drawn;
    for (const auto* more : {&levels_, &bands_, &lines_, &marks_, &map_.key, &key_}) {
      parts.insert(parts.end(), more->begin(), more->end());
    }
    std::string text = head(svg_name);
    text += axis_commands('x', x_, x_values_) + axis_commands('y', y_, {});
    if (!has_values_ && !figure_.grid) {
      text += "set label 'there are no values to draw' at graph 0.5, graph 0.5 center\n";
    }
    text += map_.commands + data_;
    text += fmt::format("\nplot \\\n  {}\n", fmt::join(parts, ", \\\n  "));
    // The same once more, half as large again.
    text += fmt::format(
        "\nset output\nset terminal pngcairo size {},{} font 'sans-serif,15' fontscale 1.5 "
        "linewidth 1.5 pointscale 1.5 background '#FFFFFF' enhanced\nset output {}\nreplot\n"
        "set output\n",
        kWidth * 3 / 2, height_ * 3 / 2, gnuplot_quoted(png_name));
    return text;
  }

 private:
  static constexpr std::size_t kWidth = 960;

  std::string head(const std::string& svg_name) {
    std::size_t y_lines = 1;
    const std::string y_label = wrapped(figure_.y_label, 50, y_lines);
    std::size_t widest = 0;
    std::size_t entries = 0;
    for (const auto* titles : {&map_.titles, &titles_}) {
      for (const std::string& each : *titles) {
        widest = std::max(widest, characters(each));
        ++entries;
      }
    }
    const bool beside = entries > 4 && widest <= kNarrowTitle;
    // The title stands in the middle of the plot and not of the picture.
    std::size_t lines = 1;
    const std::string title = wrapped(figure_.title, beside ? 50 : 62, lines);
    const std::size_t columns = std::max<std::size_t>(1, 96 / (widest + 8));
    const std::size_t rows = beside || entries == 0 ? 0 : (entries + columns - 1) / columns;
    height_ =
        std::max<std::size_t>(600 + 22 * (lines - 1) + 24 * rows, beside ? 120 + 24 * entries : 0);
    // Only numbers on the axes have exponents; words are taken as they are.
    std::string text = fmt::format(
        "set encoding utf8\n"
        "set terminal svg size {},{} dynamic font 'sans-serif,15' background '#FFFFFF' enhanced\n"
        "set output {}\n"
        "set border 3 linewidth 1 linecolor '#404040'\n"
        "set tics nomirror out\n"
        "set grid ytics linetype 1 linewidth 0.6 linecolor '#D8D8D8'\n",
        kWidth, height_, gnuplot_quoted(svg_name));
    text += fmt::format("set title {} font ',17' noenhanced\n", title);
    text += fmt::format("set xlabel {} noenhanced offset 0,0.3\nset ylabel {} noenhanced\n",
                        gnuplot_quoted(figure_.x_label), y_label);
    if (y_lines > 1) {
      text += fmt::format("set lmargin {}\n", 8 + 2 * y_lines);
    }
    if (figure_.grid) {
      text += "unset grid\n";
      const double shape = (y_.high - y_.low) / (x_.high - x_.low);
      if (!x_.log && !y_.log && shape > 1.0 / 3.0 && shape < 3.0) {
        text += "set size ratio -1\n";  // circles stay circles
      }
    }
    text +=
        entries == 0 ? "unset key\n"
        : beside
            ? "set key outside right top vertical Left reverse samplen 4 spacing 1.3 noenhanced\n"
            : fmt::format(
                  "set key below center horizontal Left reverse samplen 4 spacing 1.3 height 1 "
                  "maxcols {}{} noenhanced\n",
                  columns, widest > kWideTitle ? " font ',11'" : "");
    return text;
  }

  bool shows(const Point& point) const { return x_.shows(point.x) && y_.shows(point.y); }

  void add_levels() {
    for (std::size_t n = 0; n < figure_.levels.size(); ++n) {
      const experiments::Level& level = figure_.levels[n];
      const std::string style = report::level_style(n);
      if (y_.shows(level.y)) {
        levels_.push_back(fmt::format("{} {} notitle", level.y, style));
      }
      add_key(level.title, style);
    }
  }

  void add_key(const std::string& full_title, const std::string& style) {
    const std::string title = shortened(full_title, kLongestTitle);
    titles_.push_back(title);
    key_.push_back(fmt::format("keyentry {} title {}", style, gnuplot_quoted(title)));
  }

  // Rows "x y", with a gap where there is nothing to show. Returns the number of points.
  std::size_t add_points(const std::string& block, const Series& series) {
    std::size_t count = 0;
    data_ += fmt::format("\n{} << EOD\n", block);
    for (const Point& point : series.points) {
      data_ += shows(point) ? fmt::format("{} {}\n", point.x, point.y) : std::string("\n");
      count += shows(point) ? 1 : 0;
    }
    data_ += "EOD\n";
    return count;
  }

  // Rows "x y low high" of the points that have an interval. Returns their number.
  std::size_t add_intervals(const std::string& block, const Series& series) {
    std::size_t count = 0;
    data_ += fmt::format("\n{} << EOD\n", block);
    for (const Point& point : series.points) {
      const bool has = shows(point) && point.low && point.high && !std::isnan(*point.low) &&
                       !std::isnan(*point.high);
      // The ends of an interval may lie off the axis.
      const double beyond = y_.log ? y_.low : -1e300;
      data_ += has ? fmt::format("{} {} {} {}\n", point.x, point.y, std::max(beyond, *point.low),
                                 std::min(1e300, *point.high))
                   : std::string("\n");
      count += has ? 1 : 0;
    }
    data_ += "EOD\n";
    return count;
  }

  void add_series(std::size_t n) {
    const Series& series = figure_.series[n];
    const Style& style = styles_[n];
    const std::string block = fmt::format("$series{}", n + 1);
    const std::string band = fmt::format("$interval{}", n + 1);
    const std::size_t count = add_points(block, series);
    has_values_ = has_values_ || count > 0;
    const std::string line =
        fmt::format("linewidth {} linecolor '{}' dashtype {}",
                    series.kind == Series::Kind::theory ? 1.5 : 2.5, style.colour, style.dash);
    const bool is_published = series.kind == Series::Kind::published;
    const std::string mark = fmt::format("pointtype {} pointsize {} linewidth 2 linecolor '{}'",
                                         style.mark, is_published ? 1.3 : 0.9, style.colour);
    if (count > 0) {
      const std::size_t intervals = add_intervals(band, series);
      if (series.kind == Series::Kind::line && intervals >= 3) {
        bands_.push_back(
            fmt::format("{} using 1:3:4 with filledcurves fillcolor '{}' fillstyle "
                        "transparent solid {} noborder notitle",
                        band, style.colour, figure_.series.size() > kFewBands ? 0.1 : 0.2));
      } else if (intervals > 0) {
        bands_.push_back(
            fmt::format("{} using 1:2:3:4 with yerrorbars linewidth 1.5 linecolor '{}' "
                        "pointtype 0 pointsize 0 notitle",
                        band, style.colour));
      }
      const bool has_line =
          series.kind == Series::Kind::line || series.kind == Series::Kind::theory;
      if (has_line) {
        lines_.push_back(fmt::format("{} with lines {} notitle", block, line));
      }
      if (series.kind != Series::Kind::theory) {
        add_marks(block, mark, count, has_line ? n : 0, has_line);
      }
    }
    std::string key = "with points " + mark;
    if (series.kind == Series::Kind::theory) {
      key = "with lines " + line;
    } else if (series.kind == Series::Kind::line) {
      key = fmt::format("with linespoints {} pointtype {} pointsize 0.9", line, style.mark);
    }
    add_key(count > 0 ? series.title : series.title + " (no values)", key);
  }

  void add_marks(const std::string& block, const std::string& mark, std::size_t count,
                 std::size_t offset, bool thinned) {
    // Marks of lines that lie upon each other are at different places.
    const std::size_t interval = thinned && count > kFewPoints ? count / 12 : 1;
    if (figure_.grid) {  // seen on every ground
      marks_.push_back(
          fmt::format("{} with points pointtype 7 pointsize 1.7 linecolor '#FFFFFF' "
                      "notitle",
                      block));
    }
    marks_.push_back(fmt::format("{} every {}::{} with points {} notitle", block, interval,
                                 offset % interval, mark));
  }

  const Figure& figure_;
  std::vector<Style> styles_;
  HeatMap map_;
  Axis x_, y_;
  std::vector<double> x_values_;
  std::string data_;
  std::vector<std::string> levels_, bands_, lines_, marks_, key_, titles_;
  bool has_values_ = false;
  std::size_t height_ = 600;
};

}  // namespace

std::string figure_script(const Figure& figure, const std::string& svg_name,
                          const std::string& png_name) {
  return Drawing(figure).script(svg_name, png_name);
}

}  // namespace basin::reproduction
