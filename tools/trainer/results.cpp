#include "tools/trainer/results.h"

#include <fmt/format.h>

#include "tools/report/table.h"

namespace basin::trainer {

std::string results_table(const std::string& split, const std::vector<tasks::Metric>& metrics,
                          double loss, const std::vector<tasks::Metric>& baselines) {
  using report::Table;
  std::vector<Table::Column> columns = {{split, Table::Align::left},
                                        {"model", Table::Align::right}};
  for (const tasks::Metric& baseline : baselines) {
    columns.push_back({baseline.name, Table::Align::right});
  }
  Table table(columns);
  const auto add = [&](const std::string& name, double value, bool has_baselines) {
    std::vector<std::string> cells = {name, fmt::format("{:.4f}", value)};
    for (const tasks::Metric& baseline : baselines) {
      cells.push_back(has_baselines ? fmt::format("{:.4f}", baseline.value) : "");
    }
    table.add(cells);
  };
  for (const tasks::Metric& metric : metrics) {
    add(metric.name, metric.value, &metric == metrics.data());
  }
  add("cross-entropy (nats)", loss, false);
  return table.text();
}

bool is_share(const std::string& metric_name) {
  return metric_name.find("accuracy") != std::string::npos ||
         metric_name.find("rate") != std::string::npos;
}

}  // namespace basin::trainer
