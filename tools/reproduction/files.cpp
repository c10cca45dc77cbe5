#include "tools/reproduction/files.h"

#include <fmt/format.h>

#include <filesystem>
#include <set>

#include "tensor/error.h"
#include "tools/report/csv.h"
#include "tools/report/text_file.h"
#include "tools/reproduction/markdown.h"
#include "tools/reproduction/tables.h"

namespace basin::reproduction {

namespace {

using experiments::Report;

void check_name(const std::string& what, const std::string& name, std::set<std::string>& seen) {
  const bool fits =
      !name.empty() &&
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
  if (!fits) {
    fail("the {} '{}' needs a name of small letters, digits and hyphens", what, name);
  }
  if (!seen.insert(what + name).second) {
    fail("two {}s have the name '{}'", what, name);
  }
}

void check_report(const Report& report) {
  std::set<std::string> seen;
  if (report.tables.empty()) {
    fail("a report needs a table");
  }
  for (const experiments::ResultTable& table : report.tables) {
    check_name("table", table.name, seen);
    check(table);
  }
  for (const experiments::Figure& figure : report.figures) {
    check_name("figure", figure.name, seen);
  }
}

std::string seconds_text(const Record& record) {
  std::string text = report::csv_line({"part", "wall time (s)"});
  for (const auto& [key, seconds] : record.seconds) {
    text += report::csv_line({key, fmt::format("{:.6g}", seconds)});
  }
  return text;
}

}  // namespace

std::vector<std::string> write_report(const std::string& folder, const Report& report,
                                      const Record& record, std::string& problem) {
  check_report(report);
  problem.clear();
  std::vector<std::string> names;
  const auto write = [&](const std::string& name, const std::string& text) {
    report::write_text((std::filesystem::path(folder) / name).string(), text);
    names.push_back(name);
  };
  std::vector<Picture> pictures(report.figures.size());
  write(record.name + ".md", markdown_text(report, record, pictures));
  for (std::size_t n = 0; n < report.tables.size(); ++n) {
    write(table_file(record.name, report, n), csv_text(report.tables[n]));
  }
  write(record.name + "_seconds.csv", seconds_text(record));
  return names;
}

}  // namespace basin::reproduction
