#include "tools/report/table.h"

#include <algorithm>
#include <iterator>
#include <sstream>
#include <utility>

#include "tensor/error.h"
#include "tools/report/csv.h"

namespace basin::report {

namespace {

// Places on a terminal: bytes that begin a UTF-8 character.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

std::size_t longest_word(const std::string& text) {
  std::size_t width = 0;
  for (const std::string& word : words_of(text)) {
    width = std::max(width, width_of(word));
  }
  return width;
}

// Lines of whole words, none wider than `width`, which the longest word fits in.
std::vector<std::string> wrapped(const std::string& text, std::size_t width) {
  std::vector<std::string> lines;
  for (const std::string& word : words_of(text)) {
    if (!lines.empty() && width_of(lines.back()) + 1 + width_of(word) <= width) {
      lines.back().append(" ").append(word);
    } else {
      lines.push_back(word);
    }
  }
  return lines;
}

std::string escaped_for_markdown(const std::string& cell) {
  std::string text;
  for (const char c : cell) {
    text += c == '|' ? "\\|" : std::string(1, c);
  }
  return text;
}

}  // namespace

void Table::add(std::vector<std::string> cells) {
  if (cells.size() != columns_.size()) {
    fail("[Table] a row of {} cells in a table of {} columns", cells.size(), columns_.size());
  }
  rows_.push_back(std::move(cells));
}

std::string Table::aligned(const std::string& cell, std::size_t column, std::size_t width) const {
  const std::string blanks(width - std::min(width, width_of(cell)), ' ');
  return columns_[column].align == Align::left ? cell + blanks : blanks + cell;
}

std::string Table::text() const {
  std::vector<std::size_t> widths;
  std::vector<std::vector<std::string>> titles;  // by column, its lines
  std::size_t height = 0;
  for (std::size_t n = 0; n < columns_.size(); ++n) {
    std::size_t width = longest_word(columns_[n].title);
    for (const auto& row : rows_) {
      width = std::max(width, width_of(row[n]));
    }
    widths.push_back(width);
    titles.push_back(wrapped(columns_[n].title, width));
    height = std::max(height, titles.back().size());
  }
  const auto line = [&](const auto& cell) {
    std::string text;
    for (std::size_t n = 0; n < columns_.size(); ++n) {
      text.append(n == 0 ? "" : "  ").append(aligned(cell(n), n, widths[n]));
    }
    text.erase(text.find_last_not_of(' ') + 1);
    return text.append("\n");
  };
  std::string text;
  for (std::size_t row = 0; row < height; ++row) {
    // Short titles stand on the rule.
    text += line([&](std::size_t n) {
      const std::size_t empty = height - titles[n].size();
      return row < empty ? std::string() : titles[n][row - empty];
    });
  }
  text += line([&](std::size_t n) { return std::string(widths[n], '-'); });
  for (const auto& row : rows_) {
    text += line([&](std::size_t n) { return row[n]; });
  }
  return text;
}

std::string Table::markdown() const {
  std::string text = "|";
  for (const Column& column : columns_) {
    text += fmt::format(" {} |", escaped_for_markdown(column.title));
  }
  text += "\n|";
  for (const Column& column : columns_) {
    text += column.align == Align::left ? " --- |" : " ---: |";
  }
  for (const auto& row : rows_) {
    text += "\n|";
    for (const std::string& cell : row) {
      text += fmt::format(" {} |", escaped_for_markdown(cell));
    }
  }
  return text + "\n";
}

std::string Table::csv() const {
  std::vector<std::string> titles;
  for (const Column& column : columns_) {
    titles.push_back(column.title);
  }
  std::string text = csv_line(titles);
  for (const auto& row : rows_) {
    text += csv_line(row);
  }
  return text;
}

}  // namespace basin::report
