#include "tools/reproduction/files.h"

#include <fmt/format.h>

#include <filesystem>
#include <set>

#include "tensor/error.h"
#include "tools/report/csv.h"
#include "tools/report/gnuplot.h"
#include "tools/report/text_file.h"
#include "tools/reproduction/figure.h"
#include "tools/reproduction/html.h"
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

std::string path_of(const std::string& folder, const std::string& name) {
  return (std::filesystem::path(folder) / name).string();
}

// Pictures of earlier results must not stand beside these.
void remove(const std::string& path) {
  std::error_code code;
  std::filesystem::remove(path, code);
  if (code) {
    throw FileError(fmt::format("{} cannot be removed: {}", path, code.message()));
  }
}

Picture drawn(const std::string& folder, const std::string& base,
              const experiments::Figure& figure) {
  Picture picture{base + ".gp", base + ".svg", base + ".png", "", ""};
  report::write_text(path_of(folder, picture.script),
                     figure_script(figure, picture.svg, picture.png));
  remove(path_of(folder, picture.svg));
  remove(path_of(folder, picture.png));
  picture.problem = report::run_gnuplot(folder, picture.script);
  if (picture.problem.empty()) {
    picture.svg_content = report::read_text(path_of(folder, picture.svg));
  }
  return picture;
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
  std::vector<Picture> pictures;
  std::vector<std::string> drawings;
  for (const experiments::Figure& figure : report.figures) {
    pictures.push_back(drawn(folder, fmt::format("{}_{}", record.name, figure.name), figure));
    const Picture& picture = pictures.back();
    drawings.push_back(picture.script);
    if (picture.problem.empty()) {
      drawings.insert(drawings.end(), {picture.svg, picture.png});
    } else if (problem.empty()) {
      problem = picture.problem;
    }
  }
  std::vector<std::string> names;
  const auto write = [&](const std::string& name, const std::string& text) {
    report::write_text(path_of(folder, name), text);
    names.push_back(name);
  };
  write(record.name + ".html", html_page(report, record, pictures));
  write(record.name + ".md", markdown_text(report, record, pictures));
  for (std::size_t n = 0; n < report.tables.size(); ++n) {
    write(table_file(record.name, report, n), csv_text(report.tables[n]));
  }
  write(record.name + "_seconds.csv", seconds_text(record));
  names.insert(names.end(), drawings.begin(), drawings.end());
  return names;
}

}  // namespace basin::reproduction
