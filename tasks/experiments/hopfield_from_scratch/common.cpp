#include "tasks/experiments/hopfield_from_scratch/common.h"

#include <fmt/format.h>

#include <cmath>

#include "kernels/common/philox.h"
#include "tasks/statistics.h"
#include "tensor/error.h"

namespace basin::experiments {

namespace {

struct Products {
  double ab = 0;
  double aa = 0;
  double bb = 0;
};

std::vector<Products> row_products(const Tensor& a, const Tensor& b) {
  if (a.rank() != 2 || !(a.shape() == b.shape())) {
    fail("[row_products] needs two tensors (rows, width), got {} and {}", describe(a), describe(b));
  }
  const auto width = static_cast<std::size_t>(a.size(1));
  const std::vector<double> x = a.to_vector<double>();
  const std::vector<double> y = b.to_vector<double>();
  std::vector<Products> rows(static_cast<std::size_t>(a.size(0)));
  for (std::size_t n = 0; n < x.size(); ++n) {
    Products& row = rows[n / width];
    row.ab += x[n] * y[n];
    row.aa += x[n] * x[n];
    row.bb += y[n] * y[n];
  }
  return rows;
}

}  // namespace

std::uint64_t seed_of(const Settings& settings, const std::string& name) {
  // FNV-1a, then Philox: names that differ in one letter share nothing.
  std::uint64_t hash = 0xCBF29CE484222325ULL;
  for (const char c : name) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  }
  return kernels::derive_key(static_cast<std::uint64_t>(settings.seed), hash);
}

std::vector<double> row_cosines(const Tensor& a, const Tensor& b) {
  std::vector<double> cosines;
  for (const Products& row : row_products(a, b)) {
    cosines.push_back(row.ab / std::sqrt(row.aa * row.bb));
  }
  return cosines;
}

std::vector<double> relative_squared_errors(const Tensor& a, const Tensor& b) {
  const auto width = static_cast<std::size_t>(a.size(1));
  const std::vector<Products> rows = row_products(a, b);
  const std::vector<double> x = a.to_vector<double>();
  const std::vector<double> y = b.to_vector<double>();
  std::vector<double> errors(rows.size());
  for (std::size_t n = 0; n < x.size(); ++n) {
    errors[n / width] += (x[n] - y[n]) * (x[n] - y[n]);
  }
  for (std::size_t row = 0; row < rows.size(); ++row) {
    errors[row] /= rows[row].bb;
  }
  return errors;
}

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) {
    sum += value;
  }
  return values.empty() ? 0.0 : sum / static_cast<double>(values.size());
}

namespace {

const nlohmann::json& entry(const Results& results, const std::string& part,
                            const std::string& name) {
  const auto found = results.find(part);
  if (found == results.end() || !found->second.contains(name)) {
    fail("the result '{}' of '{}' is missing", name, part);
  }
  return found->second.at(name);
}

}  // namespace

std::vector<double> numbers(const Results& results, const std::string& part,
                            const std::string& name) {
  std::vector<double> values;
  for (const nlohmann::json& value : entry(results, part, name)) {
    values.push_back(to_number(value));
  }
  return values;
}

double number(const Results& results, const std::string& part, const std::string& name) {
  return to_number(entry(results, part, name));
}

std::vector<double> percent(std::vector<double> values) {
  for (double& value : values) {
    value *= 100;
  }
  return values;
}

Point mean_point(double x, const std::vector<double>& values) {
  const statistics::Estimate e = statistics::estimate(values);
  Point point{x, e.mean, {}, {}};
  if (e.half_width) {
    point.low = e.low();
    point.high = e.high();
  }
  return point;
}

Point spread_point(double x, const std::vector<double>& values) {
  return {x, mean_of(values), statistics::quantile(values, 0.025),
          statistics::quantile(values, 0.975)};
}

Cell cell_if(bool known, double value) {
  Cell cell;
  if (known) {
    cell = value;
  }
  return cell;
}

std::string p_text(double p) { return p < 1e-4 ? "below 0.0001" : fmt::format("{:.4f}", p); }

}  // namespace basin::experiments
