// What the experiments of this folder share: where they come from, their random numbers, and small
// helpers for results and tables.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tasks/experiments/experiment.h"
#include "tensor/rng.h"

namespace basin::experiments {

inline constexpr const char* kBlog = "Hopfield networks from scratch (blog)";

/// A seed that is a function of the experiment's seed and a name: parts that shall meet the same
/// patterns name the same.
std::uint64_t seed_of(const Settings& settings, const std::string& name);
inline Rng rng_of(const Settings& settings, const std::string& name) {
  return Rng(seed_of(settings, name));
}

/// The rows of two tensors (rows, width) compared.
std::vector<double> row_cosines(const Tensor& a, const Tensor& b);
/// |a - b|^2 / |b|^2 of each row.
std::vector<double> relative_squared_errors(const Tensor& a, const Tensor& b);

/// The share of values for which `holds`.
template <class F>
double share_of(const std::vector<double>& values, F&& holds) {
  std::size_t count = 0;
  for (const double value : values) {
    count += holds(value) ? 1 : 0;
  }
  return values.empty() ? 0.0 : static_cast<double>(count) / static_cast<double>(values.size());
}
double mean_of(const std::vector<double>& values);

/// An array of numbers of a result. Throws Error if the part or the name is missing.
std::vector<double> numbers(const Results& results, const std::string& part,
                            const std::string& name);
double number(const Results& results, const std::string& part, const std::string& name);

/// 100 x.
std::vector<double> percent(std::vector<double> values);

/// A point whose band is the 95 % interval of the mean; without a band for a single value.
Point mean_point(double x, const std::vector<double>& values);
/// A point whose band holds the middle 95 % of the values.
Point spread_point(double x, const std::vector<double>& values);

/// The number, or an empty cell.
Cell cell_if(bool known, double value);

/// "0.0123", and "below 0.0001" where that would read 0.0000.
std::string p_text(double p);

}  // namespace basin::experiments
