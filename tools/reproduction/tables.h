// The tables of a report as CSV, Markdown, HTML and text.
#pragma once

#include <string>

#include "tasks/experiments/report.h"
#include "tools/report/table.h"

namespace basin::reproduction {

/// Throws Error for a row that is not as wide as the table, naming both.
void check(const experiments::ResultTable& table);

/// "recall (%)".
std::string title_text(const experiments::Column& column);

/// With all digits; what is not finite as nan, inf and -inf, what is absent as nothing.
std::string csv_text(const experiments::ResultTable& table);

/// As people read it: `digits` behind the point, scientific where that would show nothing or too
/// much, "–" where there is nothing.
std::string cell_text(const experiments::Cell& cell, const experiments::Column& column);

/// Whether the column holds numbers and nothing else, and is set to the right.
bool is_numeric(const experiments::ResultTable& table, std::size_t column);

/// With at most `most_rows` rows, for terminals and Markdown.
report::Table readable(const experiments::ResultTable& table, std::size_t most_rows = SIZE_MAX);

std::string html_text(const experiments::ResultTable& table);

}  // namespace basin::reproduction
