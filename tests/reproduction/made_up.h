// A made-up experiment, and figures of every kind with the inputs that are hard to draw.
#pragma once

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "tasks/experiments/experiment.h"

namespace basin::reproduction::made_up {

using experiments::Cell;
using experiments::Figure;
using experiments::Grid;
using experiments::Judgement;
using experiments::Point;
using experiments::Report;
using experiments::Series;

inline constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline const std::string kHostile =
    "a < b & \"c\" | 'd' `e` *f* $(g) \\h [i](j) <script>k</script>";

inline Series curve(const std::string& title, int points, double rate, double spread,
                    Series::Kind kind = Series::Kind::line) {
  Series series{title, kind, {}};
  for (int n = 0; n < points; ++n) {
    const double x = std::pow(2.0, 5 + n);
    const double y = 100.0 / (1.0 + std::pow(x / 2000.0, rate));
    series.points.push_back({x, y, y - spread, y + spread});
  }
  return series;
}

/// Two lines with bands, published marks, chance: what most experiments draw.
inline Figure usual() {
  Figure figure;
  figure.name = "usual";
  figure.title = "Recall of copied symbols by length";
  figure.caption = "Lines: mean of 5 seeds; bands: 95 % interval. Stars: published values.";
  figure.x_label = "length (tokens)";
  figure.y_label = "second-half token accuracy (%)";
  figure.log_x = true;
  figure.series = {curve("Hopfield", 8, 1.0, 4.0), curve("linear attention", 8, 2.0, 6.0)};
  Series published = curve("Hopfield, published", 4, 0.6, 0.0, Series::Kind::published);
  for (Point& point : published.points) {
    point.low.reset();
    point.high.reset();
  }
  figure.series.push_back(published);
  figure.levels = {{"chance", 6.25}};
  return figure;
}

/// More series than colours.
inline Figure many() {
  Figure figure = usual();
  figure.name = "many";
  figure.title = "Twelve separations in one picture";
  figure.series.clear();
  for (int n = 0; n < 12; ++n) {
    figure.series.push_back(curve("separation " + std::to_string(n), 8, 0.4 + 0.25 * n, 1.5));
  }
  return figure;
}

inline Figure long_names() {
  Figure figure = usual();
  figure.name = "long-names";
  figure.title =
      "A title that goes on and on about the conditions under which everything in this picture was "
      "measured, and that needs a second line, and says so: " +
      kHostile;
  figure.y_label =
      "the share of patterns that are retrieved without a single wrong bit after convergence (%)";
  figure.series[0].title =
      "Hopfield with learned inverse temperature, normalised patterns, iterated to the fixed point";
  figure.series[1].title = kHostile;
  return figure;
}

inline Figure one_point() {
  Figure figure;
  figure.name = "one-point";
  figure.title = "One point only";
  figure.x_label = "patterns";
  figure.y_label = "error";
  figure.series = {{"ours", Series::Kind::line, {{5.0, 0.25, 0.2, 0.31}}}};
  return figure;
}

inline Figure nothing() {
  Figure figure;
  figure.name = "nothing";
  figure.title = "Nothing to draw";
  figure.x_label = "x";
  figure.y_label = "y";
  figure.log_x = figure.log_y = true;
  figure.series = {
      {"empty", Series::Kind::line, {}},
      {"not a number", Series::Kind::points, {{kNan, 1.0, {}, {}}, {1.0, kNan, {}, {}}}},
      {"below 0", Series::Kind::published, {{-1.0, -1.0, {}, {}}}}};
  return figure;
}

/// 1e-9 to 1e12 on both axes, with gaps, infinite values and an interval that goes below 0.
inline Figure huge() {
  Figure figure;
  figure.name = "huge";
  figure.title = "Twenty decades";
  figure.x_label = "stored patterns";
  figure.y_label = "relative error";
  figure.log_x = figure.log_y = true;
  Series series{"measured", Series::Kind::line, {}};
  for (int n = -9; n <= 12; ++n) {
    const double y = n == 3 ? kNan : n == 7 ? kInfinity : std::pow(10.0, -0.9 * n);
    series.points.push_back({std::pow(10.0, n), y, y * (n % 5 == 0 ? -1.0 : 0.3), y * 3.0});
  }
  Series theory{"theory", Series::Kind::theory, {}};
  for (int n = -9; n <= 12; ++n) {
    theory.points.push_back({std::pow(10.0, n), std::pow(10.0, -n), {}, {}});
  }
  figure.series = {series, theory};
  return figure;
}

/// Values that are all the same, with an interval a thousand times wider.
inline Figure flat() {
  Figure figure;
  figure.name = "flat";
  figure.title = "All the same, and one wide interval";
  figure.x_label = "seed";
  figure.y_label = "accuracy (%)";
  figure.series = {{"ours", Series::Kind::line, {}}, {"apart", Series::Kind::points, {}}};
  for (int n = 0; n < 6; ++n) {
    figure.series[0].points.push_back({n * 1.0, 100.0, n == 2 ? -1e5 : 99.0, 101.0});
    figure.series[1].points.push_back({n * 1.0, 99.5, 99.4, 99.6});
  }
  return figure;
}

inline Figure energy() {
  Figure figure;
  figure.name = "energy";
  figure.title = "Energy between three patterns";
  figure.x_label = "x";
  figure.y_label = "y";
  Grid grid;
  grid.x_low = grid.y_low = -2.0;
  grid.x_high = grid.y_high = 2.0;
  grid.columns = grid.rows = 81;
  const double places[3][2] = {{-1.0, -0.8}, {1.2, -0.5}, {0.1, 1.1}};
  for (int row = 0; row < 81; ++row) {
    for (int column = 0; column < 81; ++column) {
      double sum = 0.0;
      for (const auto& place : places) {
        const double x = -2.0 + 0.05 * column - place[0];
        const double y = -2.0 + 0.05 * row - place[1];
        sum += std::exp(-4.0 * (x * x + y * y));
      }
      grid.values.push_back(-std::log(sum + 1e-6) / 4.0);
    }
  }
  grid.values[40 * 81 + 40] = kNan;
  grid.contours = {0.5, 1.0, 2.0};
  grid.value_label = "energy";
  figure.grid = grid;
  Series patterns{"patterns", Series::Kind::points, {}};
  for (const auto& place : places) {
    patterns.points.push_back({place[0], place[1], {}, {}});
  }
  figure.series = {patterns};
  return figure;
}

inline Figure basins() {
  Figure figure = energy();
  figure.name = "basins";
  figure.title = "Basins of three patterns";
  Grid& grid = *figure.grid;
  grid.categories = true;
  grid.contours.clear();
  grid.category_names = {"pattern 1", "pattern 2", "pattern 3", "none of them"};
  for (std::size_t n = 0; n < grid.values.size(); ++n) {
    const double x = -2.0 + 0.05 * static_cast<double>(n % 81);
    const double y = -2.0 + 0.05 * static_cast<double>(n / 81);
    grid.values[n] = x * x + y * y < 0.3 ? 3 : y > 0.4 + 0.2 * x ? 2 : x > 0.1 ? 1 : 0;
  }
  return figure;
}

/// Everything in one class, and a quantity that is the same everywhere.
inline Figure one_class() {
  Figure figure = basins();
  figure.name = "one-class";
  figure.grid->category_names.clear();
  figure.grid->value_label = "pattern";
  figure.grid->values.assign(figure.grid->values.size(), 0.0);
  return figure;
}

inline Figure level_ground() {
  Figure figure = one_class();
  figure.name = "level-ground";
  figure.grid->categories = false;
  figure.grid->contours = {1.0};  // which is nowhere
  return figure;
}

inline std::vector<Figure> figures() {
  return {usual(), many(),   long_names(), one_point(), nothing(),     huge(),
          flat(),  energy(), basins(),     one_class(), level_ground()};
}

inline Report report() {
  Report r;
  r.findings = {"Hopfield attention recalls more at every length; " + kHostile,
                "Nothing is said about lengths above 4096."};
  r.tables = {{"recall",
               "Recall by length",
               {{"length", "tokens", 0}, {"model", "", 0}, {"accuracy, mean", "%", 2}},
               {{std::int64_t{1024}, std::string("Hopfield"), 91.23456789012345},
                {std::int64_t{2048}, kHostile, kNan},
                {std::int64_t{4096}, std::string("line\nend"), Cell()},
                {std::int64_t{8192}, std::string("linear"), -kInfinity}}},
              {"more", "Further numbers", {{"x", "", 0}, {"y", "nats", 3}}, {{1e-12, -0.0001}}}};
  r.figures = figures();
  r.verdicts = {{"Hopfield beats linear at every length", "yes", "yes, by 4.2 [1.0, 7.4] %",
                 "paired t, p = 0.01", Judgement::reproduced},
                {"capacity 0.14 N & <more>", "0.14", "0.12 [0.118, 0.122]",
                 "the published value lies outside", Judgement::contradicted},
                {"the same data", "-", "-", "other features", Judgement::not_comparable},
                {kHostile, kHostile, kHostile, kHostile, Judgement::undecided}};
  r.remarks = {"seeds 0 to 4", "chance: 6.25 %"};
  return r;
}

}  // namespace basin::reproduction::made_up
