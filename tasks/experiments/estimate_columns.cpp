#include "tasks/experiments/estimate_columns.h"

#include <fmt/format.h>

namespace basin::experiments {

namespace {

void add_cells(std::vector<Cell>& row, Cell mean, Cell sd, Cell low, Cell high, std::int64_t n) {
  row.insert(row.end(), {std::move(mean), std::move(sd), std::move(low), std::move(high), n});
}

Cell cell_of(const std::optional<double>& value) { return value ? Cell(*value) : Cell(); }

}  // namespace

void add_estimate_columns(std::vector<Column>& columns, const std::string& title,
                          const std::string& unit, int digits) {
  columns.push_back({title + ", mean", unit, digits});
  columns.push_back({title + ", sd", unit, digits});
  columns.push_back({title + ", 95 % low", unit, digits});
  columns.push_back({title + ", 95 % high", unit, digits});
  columns.push_back({title + ", n", "", 0});
}

void add_estimate(std::vector<Cell>& row, const std::vector<double>& values) {
  if (values.empty()) {
    add_cells(row, {}, {}, {}, {}, 0);
    return;
  }
  const statistics::Estimate e = statistics::estimate(values);
  add_cells(row, e.mean, cell_of(e.sd), e.half_width ? Cell(e.low()) : Cell(),
            e.half_width ? Cell(e.high()) : Cell(), static_cast<std::int64_t>(e.n));
}

void add_proportion(std::vector<Cell>& row, std::int64_t successes, std::int64_t trials) {
  if (trials == 0) {
    add_cells(row, {}, {}, {}, {}, 0);
    return;
  }
  const statistics::Interval interval = statistics::wilson_interval(successes, trials);
  add_cells(row, 100.0 * static_cast<double>(successes) / static_cast<double>(trials), {},
            100.0 * interval.low, 100.0 * interval.high, trials);
}

std::string estimate_text(const statistics::Estimate& e, const std::string& unit, int digits) {
  const std::string behind = unit.empty() ? "" : " " + unit;
  if (!e.half_width) {
    return fmt::format("{:.{}f}{}, n = {}", e.mean, digits, behind, e.n);
  }
  return fmt::format("{:.{}f} [{:.{}f}, {:.{}f}]{}, n = {}", e.mean, digits, e.low(), digits,
                     e.high(), digits, behind, e.n);
}

Cell chance_flag(const std::vector<double>& values, double chance, bool higher_is_better) {
  const bool flagged =
      !values.empty() &&
      statistics::is_far_below_chance(statistics::estimate(values), chance, higher_is_better);
  return flagged ? Cell(std::string("below chance!")) : Cell(std::string());
}

}  // namespace basin::experiments
