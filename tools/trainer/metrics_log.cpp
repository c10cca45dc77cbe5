#include "tools/trainer/metrics_log.h"

#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "tensor/error.h"
#include "tools/report/csv.h"

namespace basin::trainer {

namespace {

const std::vector<std::string> kBefore = {"step", "epoch", "split", "loss"};
const std::vector<std::string> kAfter = {"learning_rate", "gradient_norm", "tokens_per_second",
                                         "seconds"};

std::string text_of(const std::optional<double>& value) {
  return value ? fmt::format("{}", *value) : "";
}

// `names`: the metrics that have columns.
std::string csv_row(const MetricsRow& row, const std::vector<std::string>& names) {
  std::vector<std::string> fields = {fmt::format("{}", row.step), fmt::format("{}", row.epoch),
                                     row.split, fmt::format("{}", row.loss)};
  for (std::size_t n = 0; n < names.size(); ++n) {
    fields.push_back(row.metrics.empty() ? "" : fmt::format("{}", row.metrics.at(n).value));
  }
  fields.push_back(text_of(row.learning_rate));
  fields.push_back(text_of(row.gradient_norm));
  fields.push_back(text_of(row.tokens_per_second));
  fields.push_back(fmt::format("{}", row.seconds));
  return report::csv_line(fields);
}

std::string json_row(const MetricsRow& row) {
  nlohmann::ordered_json json = {
      {"step", row.step}, {"epoch", row.epoch}, {"split", row.split}, {"loss", row.loss}};
  for (const tasks::Metric& metric : row.metrics) {
    json[metric.name] = metric.value;
  }
  const std::optional<double>* values[] = {&row.learning_rate, &row.gradient_norm,
                                           &row.tokens_per_second};
  for (std::size_t n = 0; n < 3; ++n) {
    if (*values[n]) {
      json[kAfter[n]] = **values[n];
    }
  }
  json["seconds"] = row.seconds;
  return json.dump() + "\n";
}

std::vector<std::string> metric_names(const MetricsRow& row) {
  std::vector<std::string> names;
  for (const tasks::Metric& metric : row.metrics) {
    names.push_back(metric.name);
  }
  return names;
}

std::string csv_header(const std::vector<std::string>& names) {
  std::vector<std::string> fields = kBefore;
  fields.insert(fields.end(), names.begin(), names.end());
  fields.insert(fields.end(), kAfter.begin(), kAfter.end());
  return report::csv_line(fields);
}

template <class Number>
Number number_in(const std::string& field, const std::string& path) {
  Number value{};
  const char* end = field.data() + field.size();
  const auto result = std::from_chars(field.data(), end, value);
  if (result.ec != std::errc{} || result.ptr != end) {
    throw FileError(fmt::format("{} is damaged: '{}' is no number", path, field));
  }
  return value;
}

std::optional<double> optional_in(const std::string& field, const std::string& path) {
  return field.empty() ? std::nullopt : std::optional(number_in<double>(field, path));
}

MetricsRow row_of(const std::vector<std::string>& header, const std::vector<std::string>& fields,
                  const std::string& path) {
  MetricsRow row;
  row.step = number_in<std::int64_t>(fields[0], path);
  row.epoch = number_in<std::int64_t>(fields[1], path);
  row.split = fields[2];
  row.loss = number_in<double>(fields[3], path);
  const std::size_t after = header.size() - kAfter.size();
  for (std::size_t n = kBefore.size(); n < after; ++n) {
    if (!fields[n].empty()) {
      row.metrics.push_back({header[n], number_in<double>(fields[n], path)});
    }
  }
  if (!row.metrics.empty() && row.metrics.size() != after - kBefore.size()) {
    throw FileError(fmt::format("{} is damaged: at step {} metrics are missing", path, row.step));
  }
  row.learning_rate = optional_in(fields[after], path);
  row.gradient_norm = optional_in(fields[after + 1], path);
  row.tokens_per_second = optional_in(fields[after + 2], path);
  row.seconds = number_in<double>(fields[after + 3], path);
  return row;
}

}  // namespace

std::vector<MetricsRow> read_metrics(const std::string& path) {
  const std::vector<std::vector<std::string>> records = report::parse_csv(report::read_text(path));
  std::vector<MetricsRow> rows;
  if (records.empty()) {
    return rows;
  }
  const std::vector<std::string>& header = records.front();
  const std::size_t least = kBefore.size() + kAfter.size();
  if (header.size() < least || !std::equal(kBefore.begin(), kBefore.end(), header.begin()) ||
      !std::equal(kAfter.rbegin(), kAfter.rend(), header.rbegin())) {
    throw FileError(fmt::format("{} is not the metrics.csv of a run", path));
  }
  for (std::size_t n = 1; n < records.size(); ++n) {
    if (records[n].size() != header.size()) {
      throw FileError(fmt::format("{} is damaged: record {} has {} fields instead of {}", path, n,
                                  records[n].size(), header.size()));
    }
    rows.push_back(row_of(header, records[n], path));
  }
  return rows;
}

MetricsLog::MetricsLog(std::string csv_path, std::string json_path, std::vector<MetricsRow> rows)
    : csv_path_(std::move(csv_path)), json_path_(std::move(json_path)), rows_(std::move(rows)) {
  if (!rows_.empty()) {
    open();
  }
}

void MetricsLog::open() {
  const std::vector<std::string> names = metric_names(rows_.front());
  std::string csv = csv_header(names);
  std::string json;
  for (const MetricsRow& row : rows_) {
    csv += csv_row(row, names);
    json += json_row(row);
  }
  csv_ = std::make_unique<report::GrowingFile>(csv_path_, csv);
  json_ = std::make_unique<report::GrowingFile>(json_path_, json);
}

void MetricsLog::add(const MetricsRow& row) {
  rows_.push_back(row);
  if (csv_ == nullptr) {
    open();
    return;
  }
  csv_->append(csv_row(row, metric_names(rows_.front())));
  json_->append(json_row(row));
}

const MetricsRow* MetricsLog::last(tasks::Split split) const {
  for (auto row = rows_.rbegin(); row != rows_.rend(); ++row) {
    if (row->split == name_of(split)) {
      return &*row;
    }
  }
  return nullptr;
}

const MetricsRow* MetricsLog::best(bool higher_is_better) const {
  const MetricsRow* best = nullptr;
  for (const MetricsRow& row : rows_) {
    if (row.split != name_of(tasks::Split::validation)) {
      continue;
    }
    const double value = row.metrics.front().value;
    if (best == nullptr || (higher_is_better ? value > best->metrics.front().value
                                             : value < best->metrics.front().value)) {
      best = &row;
    }
  }
  return best;
}

}  // namespace basin::trainer
