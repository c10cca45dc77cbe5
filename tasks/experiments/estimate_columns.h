// An estimate as columns of a table, so that all tables look alike.
#pragma once

#include <string>
#include <vector>

#include "tasks/experiments/report.h"
#include "tasks/statistics.h"

namespace basin::experiments {

/// Adds five columns: "<title>, mean" (unit), "sd" (unit), "95 % low", "95 % high" (unit) and "n".
void add_estimate_columns(std::vector<Column>& columns, const std::string& title,
                          const std::string& unit, int digits = 4);

/// The five cells below them; spread and interval are empty where there is one value only, all but
/// n where there is none.
void add_estimate(std::vector<Cell>& row, const std::vector<double>& values);

/// The five cells of a proportion, in percent: mean 100 successes / trials, no sd, Wilson's
/// interval.
void add_proportion(std::vector<Cell>& row, std::int64_t successes, std::int64_t trials);

/// "0.9513 [0.9409, 0.9617], n = 5", for the texts of verdicts; with the unit behind the interval.
std::string estimate_text(const statistics::Estimate& estimate, const std::string& unit = "",
                          int digits = 4);

/// "below chance!" if is_far_below_chance, else empty: the cell of a column "set-up".
Cell chance_flag(const std::vector<double>& values, double chance, bool higher_is_better);

}  // namespace basin::experiments
