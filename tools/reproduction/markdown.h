// A report in Markdown.
#pragma once

#include <string>
#include <vector>

#include "tasks/experiments/report.h"
#include "tools/reproduction/record.h"

namespace basin::reproduction {

/// What became of a figure: which files there are.
struct Picture {
  std::string script;       ///< the name of the .gp file
  std::string svg, png;     ///< the names; empty if there is no picture
  std::string svg_content;  ///< for pages that hold their pictures
  std::string problem;      ///< why there is no picture
};

/// The name of a table's file: NAME.csv for the first, NAME_<table>.csv for the others.
std::string table_file(const std::string& experiment, const experiments::Report& report,
                       std::size_t table);

/// `pictures`: one for each figure. Everything but the last section, "The run", is a function of
/// the report and the settings.
std::string markdown_text(const experiments::Report& report, const Record& record,
                          const std::vector<Picture>& pictures);

/// "37 parts in 0:12", "short", and so on: pairs of a name and its value for the section "The run".
std::vector<std::pair<std::string, std::string>> run_facts(const Record& record);
/// The settings as such pairs.
std::vector<std::pair<std::string, std::string>> setting_facts(const Record& record);
/// What stands above everything: the results are for a quick look only, or of several versions.
std::vector<std::string> notices(const Record& record);

}  // namespace basin::reproduction
