// Everything that stands in the output folder for one experiment.
#pragma once

#include <string>
#include <vector>

#include "tasks/experiments/report.h"
#include "tools/reproduction/record.h"

namespace basin::reproduction {

/// Writes the tables, scripts, pictures, Markdown, HTML and NAME_seconds.csv. Returns the names of
/// the files, the page first, and in `problem` why pictures are missing, if they are. Throws Error
/// for a report that cannot be written (rows of another width, names that are no file names, the
/// same name twice), FileError if a file cannot be written.
std::vector<std::string> write_report(const std::string& folder, const experiments::Report& report,
                                      const Record& record, std::string& problem);

}  // namespace basin::reproduction
