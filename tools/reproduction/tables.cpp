#include "tools/reproduction/tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tensor/error.h"
#include "tools/report/csv.h"
#include "tools/reproduction/escapes.h"

namespace basin::reproduction {

namespace {

using experiments::Cell;
using experiments::Column;
using experiments::ResultTable;

std::string full_text(const Cell& cell) {
  struct Text {
    std::string operator()(std::monostate) const { return ""; }
    std::string operator()(const std::string& word) const { return word; }
    std::string operator()(std::int64_t count) const { return fmt::format("{}", count); }
    std::string operator()(double value) const {
      return std::isnan(value) ? "nan" : fmt::format("{}", value);
    }
  };
  return std::visit(Text{}, cell);
}

std::string readable_number(double value, int digits) {
  if (!std::isfinite(value)) {
    return std::isnan(value) ? "nan" : value > 0 ? "∞" : "−∞";
  }
  const double size = std::abs(value);
  const bool vanishes = size > 0.0 && size < 0.5 * std::pow(10.0, -digits);
  std::string text = vanishes || size >= 1e9 ? fmt::format("{:.2e}", value)
                                             : fmt::format("{:.{}f}", value, digits);
  // Not "-0.00".
  if (text.find_first_not_of("-0.") == std::string::npos && text.front() == '-') {
    text.erase(0, 1);
  }
  return text;
}

}  // namespace

void check(const ResultTable& table) {
  for (const auto& row : table.rows) {
    if (row.size() != table.columns.size()) {
      fail("the table '{}' has a row of {} cells under {} columns", table.name, row.size(),
           table.columns.size());
    }
  }
}

std::string title_text(const Column& column) {
  return column.unit.empty() ? column.title : fmt::format("{} ({})", column.title, column.unit);
}

std::string csv_text(const ResultTable& table) {
  std::vector<std::string> fields;
  for (const Column& column : table.columns) {
    fields.push_back(title_text(column));
  }
  std::string text = report::csv_line(fields);
  for (const auto& row : table.rows) {
    fields.clear();
    for (const Cell& cell : row) {
      fields.push_back(full_text(cell));
    }
    text += report::csv_line(fields);
  }
  return text;
}

std::string cell_text(const Cell& cell, const Column& column) {
  if (std::holds_alternative<std::monostate>(cell)) {
    return "–";
  }
  const double* const value = std::get_if<double>(&cell);
  return value != nullptr ? readable_number(*value, column.digits) : full_text(cell);
}

bool is_numeric(const ResultTable& table, std::size_t column) {
  return std::none_of(table.rows.begin(), table.rows.end(), [&](const std::vector<Cell>& row) {
    return std::holds_alternative<std::string>(row[column]);
  });
}

report::Table readable(const ResultTable& table, std::size_t most_rows) {
  using Align = report::Table::Align;
  std::vector<report::Table::Column> columns;
  for (std::size_t n = 0; n < table.columns.size(); ++n) {
    columns.push_back(
        {title_text(table.columns[n]), is_numeric(table, n) ? Align::right : Align::left});
  }
  report::Table result(std::move(columns));
  for (std::size_t row = 0; row < std::min(most_rows, table.rows.size()); ++row) {
    std::vector<std::string> cells;
    for (std::size_t n = 0; n < table.columns.size(); ++n) {
      cells.push_back(one_line(cell_text(table.rows[row][n], table.columns[n])));
    }
    result.add(std::move(cells));
  }
  return result;
}

std::string html_text(const ResultTable& table) {
  std::string text = "<table>\n";
  if (!table.title.empty()) {
    text += fmt::format("<caption>{}</caption>\n", html_escaped(table.title));
  }
  const auto side = [&](std::size_t n) { return is_numeric(table, n) ? " class=\"number\"" : ""; };
  text += "<thead><tr>";
  for (std::size_t n = 0; n < table.columns.size(); ++n) {
    text += fmt::format("<th scope=\"col\"{}>{}</th>", side(n),
                        html_escaped(title_text(table.columns[n])));
  }
  text += "</tr></thead>\n<tbody>\n";
  for (const auto& row : table.rows) {
    text += "<tr>";
    for (std::size_t n = 0; n < table.columns.size(); ++n) {
      text +=
          fmt::format("<td{}>{}</td>", side(n), html_escaped(cell_text(row[n], table.columns[n])));
    }
    text += "</tr>\n";
  }
  return text + "</tbody>\n</table>\n";
}

}  // namespace basin::reproduction
