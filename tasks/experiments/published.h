// Numbers that others published: the tables of tasks/experiments/published, which are part of the
// library.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace basin::experiments {

class PublishedTable {
 public:
  /// `text`: a line of column names, then rows of as many fields, without quotes. Throws Error
  /// naming `name` and the line for anything else.
  PublishedTable(std::string name, const std::string& text);

  const std::vector<std::string>& columns() const { return columns_; }
  std::size_t rows() const { return rows_.size(); }

  /// Throws Error, which names what there is, for a column or row that does not exist.
  const std::string& text(std::size_t row, const std::string& column) const;
  /// Throws Error for a field that is no number.
  double number(std::size_t row, const std::string& column) const;

  /// The numbers of the rows in which these columns have these values, in the order of the file.
  std::vector<std::size_t> find(const std::map<std::string, std::string>& where) const;
  /// The number in `column` of the only row that fits; nothing if none does. Throws Error for more.
  std::optional<double> value(const std::map<std::string, std::string>& where,
                              const std::string& column) const;
  /// The column's numbers in these rows.
  std::vector<double> numbers(const std::vector<std::size_t>& rows,
                              const std::string& column) const;

 private:
  std::size_t index_of(const std::string& column) const;

  std::string name_;
  std::vector<std::string> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// By the name of its file without .csv: published("scratch_capacity"). Throws Error with the names
/// that there are.
const PublishedTable& published(const std::string& name);

struct PublishedFile {
  std::string name;  ///< without .csv
  std::string text;
};

/// All of them as they stand in the source tree.
const std::vector<PublishedFile>& published_files();

}  // namespace basin::experiments
