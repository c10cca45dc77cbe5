#include "tasks/experiments/published.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <sstream>

#include "tensor/error.h"

namespace basin::experiments {

namespace {

std::vector<std::string> fields_of(const std::string& line) {
  std::vector<std::string> fields(1);
  for (const char c : line) {
    if (c == ',') {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  return fields;
}

}  // namespace

PublishedTable::PublishedTable(std::string name, const std::string& text) : name_(std::move(name)) {
  if (text.find_first_of("\"\r") != std::string::npos) {
    fail("[PublishedTable] {}: quotes and carriage returns are not read", name_);
  }
  std::istringstream lines(text);
  std::string line;
  if (!std::getline(lines, line) || line.empty()) {
    fail("[PublishedTable] {}: the line of column names is missing", name_);
  }
  columns_ = fields_of(line);
  while (std::getline(lines, line)) {
    rows_.push_back(fields_of(line));
    if (rows_.back().size() != columns_.size()) {
      fail("[PublishedTable] {}, line {}: {} fields under {} columns", name_, rows_.size() + 1,
           rows_.back().size(), columns_.size());
    }
  }
}

std::size_t PublishedTable::index_of(const std::string& column) const {
  const auto found = std::find(columns_.begin(), columns_.end(), column);
  if (found == columns_.end()) {
    fail("[PublishedTable] {} has no column '{}'; it has {}", name_, column,
         fmt::join(columns_, ", "));
  }
  return static_cast<std::size_t>(found - columns_.begin());
}

const std::string& PublishedTable::text(std::size_t row, const std::string& column) const {
  if (row >= rows_.size()) {
    fail("[PublishedTable] row {} of {}, which has {}", row, name_, rows_.size());
  }
  return rows_[row][index_of(column)];
}

double PublishedTable::number(std::size_t row, const std::string& column) const {
  const std::string& field = text(row, column);
  double value = 0.0;
  const char* const end = field.data() + field.size();
  const auto [stopped, error] = std::from_chars(field.data(), end, value);
  if (error != std::errc() || stopped != end) {
    fail("[PublishedTable] {}, line {}, column {}: '{}' is no number", name_, row + 2, column,
         field);
  }
  return value;
}

std::vector<std::size_t> PublishedTable::find(
    const std::map<std::string, std::string>& where) const {
  std::vector<std::size_t> found;
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    if (std::all_of(where.begin(), where.end(),
                    [&](const auto& field) { return text(row, field.first) == field.second; })) {
      found.push_back(row);
    }
  }
  return found;
}

std::optional<double> PublishedTable::value(const std::map<std::string, std::string>& where,
                                            const std::string& column) const {
  const std::vector<std::size_t> found = find(where);
  if (found.size() > 1) {
    fail("[PublishedTable] {}: {} rows fit where one was asked for", name_, found.size());
  }
  static_cast<void>(index_of(column));
  return found.empty() ? std::nullopt : std::optional<double>(number(found.front(), column));
}

std::vector<double> PublishedTable::numbers(const std::vector<std::size_t>& rows,
                                            const std::string& column) const {
  std::vector<double> values;
  for (const std::size_t row : rows) {
    values.push_back(number(row, column));
  }
  return values;
}

const PublishedTable& published(const std::string& name) {
  static const std::map<std::string, PublishedTable> tables = [] {
    std::map<std::string, PublishedTable> all;
    for (const PublishedFile& file : published_files()) {
      all.emplace(file.name, PublishedTable(file.name, file.text));
    }
    return all;
  }();
  const auto found = tables.find(name);
  if (found == tables.end()) {
    std::vector<std::string> names;
    for (const auto& [known, table] : tables) {
      names.push_back(known);
    }
    fail("[published] there is no table '{}'; there are {}", name, fmt::join(names, ", "));
  }
  return found->second;
}

}  // namespace basin::experiments
