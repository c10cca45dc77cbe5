// A table of text cells, for terminals, Markdown and spreadsheets.
#pragma once

#include <string>
#include <vector>

namespace basin::report {

class Table {
 public:
  enum class Align : unsigned char { left, right };
  struct Column {
    std::string title;
    Align align = Align::left;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  /// One cell per column. Throws Error for another number.
  void add(std::vector<std::string> cells);

  /// Columns as wide as their widest cell, two blanks apart, a rule below the titles, which are
  /// broken between words where that makes a column narrower.
  std::string text() const;
  std::string markdown() const;
  std::string csv() const;

 private:
  std::string aligned(const std::string& cell, std::size_t column, std::size_t width) const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace basin::report
