// The parts of classical-capacity and what follows from their results; classical_capacity.cpp makes
// the report of it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tasks/experiments/experiment.h"
#include "tasks/experiments/hopfield_from_scratch/classical_capacity.h"
#include "tasks/experiments/hopfield_from_scratch/classical_runs.h"

namespace basin::experiments::capacity {

using Curves = std::vector<std::vector<double>>;

inline constexpr std::int64_t kUnits = 100;
inline constexpr std::int64_t kFlips = 20;
inline constexpr std::int64_t kTrials = 5;
inline constexpr double kThreshold = 95;  // percent of right units

struct Plan {
  std::int64_t repetitions;
  std::vector<std::int64_t> patterns;       // of the judged curve
  std::vector<std::int64_t> rule_patterns;  // of the rules that hold more
  std::int64_t rule_memories;
  std::vector<std::int64_t> units;
  std::vector<std::int64_t> memories;  // for each number of units
  std::vector<double> loads;
  std::int64_t size_queries;  // asked for in each of them
};

Plan plan_of(Size size);

std::vector<Part> parts(const Settings& settings);

/// Of the results.
std::string curve_key(const ClassicalSetting& setting, std::int64_t patterns);
std::string rule_key(const ClassicalSetting& setting, std::int64_t patterns);
std::string size_key(std::int64_t units, double load, std::int64_t flips);

/// Loads, rules and numbers of patterns that are looked at.
std::vector<double> loads_of(const Plan& plan, std::int64_t units);
const std::vector<ClassicalSetting>& rules();
std::vector<std::int64_t> patterns_of(const Plan& plan, const ClassicalSetting& setting);

/// The published curve: whether it has a value there, the value in percent, and the numbers of
/// patterns below 100 % whose value is exact.
bool is_published(std::int64_t patterns);
double published_value(std::int64_t patterns);
std::vector<std::int64_t> exact_published(const Plan& plan);

/// With one digit, as it would be printed.
double one_digit(double value);
/// How many of the values (in percent) read 100.0 then.
double share_of_hundreds(const std::vector<double>& repetitions);
std::vector<double> doubles_of(const std::vector<std::int64_t>& whole);

CurveTest curve_test(const Plan& plan, const Results& results, const ClassicalSetting& setting);

/// The probability that all numbers of patterns up to nine read 100.0. `queries`: which of a trial
/// are asked for, as the results name it.
double hundreds(const Plan& plan, const Results& results, const ClassicalSetting& setting,
                const std::string& queries);
std::vector<HundredReading> hundred_readings(const Plan& plan, const Results& results);

/// The crossing of the threshold in each block of networks; fewer than two values if it is not
/// reached in all of them.
std::vector<double> crossings(const std::vector<double>& x, const Curves& at_each_x);
/// P_c / N of the judged curve, and of networks of other sizes.
std::vector<double> judged_thresholds(const Plan& plan, const Results& results);
std::vector<double> size_thresholds(const Plan& plan, const Results& results, std::int64_t units,
                                    std::int64_t flips);
/// The largest share of the loss from the first to the last point that one more pattern costs, in
/// blocks of repetitions.
std::vector<double> largest_steps(const Plan& plan, const Results& results);

}  // namespace basin::experiments::capacity
