// Several experiments on one page: every verdict in one table.
#pragma once

#include <string>
#include <vector>

#include "tasks/experiments/report.h"

namespace basin::reproduction {

struct IndexEntry {
  std::string name, question;
  std::string size;                            ///< and what else the settings say, in words
  std::vector<experiments::Verdict> verdicts;  ///< empty if it could not be done
  std::string problem;                         ///< why it was left out; empty if it was done
};

std::string index_markdown(const std::vector<IndexEntry>& entries);
std::string index_html(const std::vector<IndexEntry>& entries);

}  // namespace basin::reproduction
