// What an experiment found, as plain data: tables, figures and judged claims. tools/report draws
// it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace basin::experiments {

struct Column {
  std::string title;      ///< a metric's full name
  std::string unit = {};  ///< "%", "nats", ...; empty for plain numbers and words
  int digits = 4;         ///< behind the point in Markdown and HTML; the CSV has full precision
};

/// Absent, a word, a count or a measurement.
using Cell = std::variant<std::monostate, std::string, std::int64_t, double>;

/// The first table of a report is the one that NAME.csv holds; others become NAME_<table name>.csv.
struct ResultTable {
  std::string name;   ///< letters, digits and hyphens
  std::string title;  ///< one line above the table
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows;
};

/// One point of a series, with the interval around it that the caption explains.
struct Point {
  double x = 0.0;
  double y = 0.0;
  std::optional<double> low, high;
};

struct Series {
  enum class Kind : unsigned char {
    line,       ///< our measurements: line, points, band from low to high
    published,  ///< somebody else's numbers: marks only
    theory,     ///< a formula: a thin line without points
    points      ///< our measurements that no line should join
  };
  std::string title;
  Kind kind = Kind::line;
  std::vector<Point> points;
};

/// A function at the points of a rectangular grid, the first column at x_low and the last one at
/// x_high: shades and, where levels are given, contours. At least 2 x 2.
struct Grid {
  double x_low = 0.0, x_high = 1.0, y_low = 0.0, y_high = 1.0;
  std::int64_t columns = 0, rows = 0;  ///< columns run along x
  std::vector<double> values;          ///< row by row, the first row at y_low
  std::vector<double> contours;        ///< levels to draw a line at; may be empty
  std::string value_label;             ///< with its unit
  /// The values are numbers of classes (0, 1, ...), not a quantity; a value that is NaN stays
  /// white.
  bool categories = false;
  std::vector<std::string> category_names;  ///< for the key; without, value_label and the number
};

/// A horizontal line, such as chance.
struct Level {
  std::string title;
  double y = 0.0;
};

struct Figure {
  std::string name;  ///< letters, digits and hyphens; the files are NAME_<figure name>.svg and .png
  std::string title;
  std::string caption;           ///< what is seen, what bands and marks mean
  std::string x_label, y_label;  ///< with their units
  bool log_x = false, log_y = false;
  std::optional<std::array<double, 2>> x_range, y_range;
  std::vector<Series> series;
  std::vector<Level> levels;
  std::optional<Grid> grid;
};

enum class Judgement : unsigned char { reproduced, contradicted, not_comparable, undecided };

/// "reproduced", "contradicted", "not comparable", "undecided".
const char* name_of(Judgement judgement);

/// A published claim or number beside ours.
struct Verdict {
  std::string claim;       ///< in one sentence, with where it was published
  std::string published;   ///< the number or the words
  std::string ours;        ///< with its interval
  std::string statistics;  ///< why the judgement is what it is
  Judgement judgement = Judgement::undecided;
};

struct Report {
  std::vector<std::string> findings;  ///< what the data support, and what not; whole sentences
  std::vector<ResultTable> tables;
  std::vector<Figure> figures;
  std::vector<Verdict> verdicts;
  std::vector<std::string> remarks;  ///< the set-up: conventions, seeds, budget, baselines, doubts
};

}  // namespace basin::experiments
