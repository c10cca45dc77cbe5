#include "tools/reproduction/axis.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace basin::reproduction {

namespace {

// Decades between low and high.
double decades(const Axis& axis) { return std::log10(axis.high / axis.low); }

double place(const Axis& axis, double value) { return axis.log ? std::log10(value) : value; }
double value_at(const Axis& axis, double place) { return axis.log ? std::pow(10.0, place) : place; }

// "1024", "0.05", "10^{6}", "2·10^{-5}".
std::string tic_text(double value) {
  const double exponent = std::floor(std::log10(value) + 1e-9);
  if (exponent >= -3.0 && exponent <= 5.0) {
    return fmt::format("{:.6g}", value);
  }
  const double mantissa = value / std::pow(10.0, exponent);
  const std::string power = fmt::format("10^{{{:.0f}}}", exponent);
  return std::abs(mantissa - 1.0) < 1e-6 ? power : fmt::format("{:.4g}·{}", mantissa, power);
}

// All m 10^k on the axis.
std::vector<double> multiples(const Axis& axis, const std::vector<double>& mantissas, int step) {
  std::vector<double> tics;
  const int first = static_cast<int>(std::floor(std::log10(axis.low) - 1e-9));
  const int last = static_cast<int>(std::ceil(std::log10(axis.high) + 1e-9));
  for (int exponent = first; exponent <= last; ++exponent) {
    for (const double mantissa : mantissas) {
      const double value = mantissa * std::pow(10.0, exponent);
      const bool in_step = step == 1 || ((exponent % step) + step) % step == 0;
      if (in_step && value >= axis.low * (1.0 - 1e-9) && value <= axis.high * (1.0 + 1e-9)) {
        tics.push_back(value);
      }
    }
  }
  return tics;
}

// Round values with equal distances, for logarithmic axes of less than a factor of about 2.
std::vector<double> equal_steps(const Axis& axis) {
  const double rough = (axis.high - axis.low) / 5.0;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  const double mantissa = rough / power;
  const double step = power * (mantissa < 1.5 ? 1.0 : mantissa < 3.5 ? 2.0 : 5.0);
  std::vector<double> tics;
  for (double n = std::ceil(axis.low / step); n * step <= axis.high; ++n) {
    tics.push_back(n * step);
  }
  return tics;
}

// Whether the value is written in three digits, as 0.316 is and the root of ten is not, or counts.
bool is_round(double value) {
  const double digits = std::pow(10.0, 2.0 - std::floor(std::log10(value) + 1e-9));
  const double scaled = value * std::max(digits, 1.0);
  return std::abs(scaled - std::round(scaled)) <= 1e-6 * scaled;
}

// The values themselves, if there are few, round ones, and their labels would not overlap.
std::vector<double> own_tics(const Axis& axis, const std::vector<double>& values) {
  std::set<double> distinct;
  for (const double value : values) {
    if (axis.shows(value) && value >= axis.low && value <= axis.high) {
      distinct.insert(value);
    }
  }
  if (distinct.size() < 2 || distinct.size() > 12) {
    return {};
  }
  double previous = 0.0;
  for (const double value : distinct) {
    const bool crowded = previous > 0.0 && std::log10(value / previous) < 0.065 * decades(axis);
    if (crowded || !is_round(value)) {
      return {};
    }
    previous = value;
  }
  return {distinct.begin(), distinct.end()};
}

std::string log_tics(char name, const Axis& axis, const std::vector<double>& values) {
  const double span = decades(axis);
  std::vector<double> minor;
  std::vector<double> major = name == 'x' ? own_tics(axis, values) : std::vector<double>();
  if (major.empty()) {
    if (span > 2.0) {
      major = multiples(axis, {1.0}, static_cast<int>(std::ceil(span / 9.0)));
      minor = span > 9.0 ? multiples(axis, {1.0}, 1) : std::vector<double>();
      if (span <= 6.0) {
        minor = multiples(axis, {2, 3, 4, 5, 6, 7, 8, 9}, 1);
      }
    } else {
      major = multiples(axis, {1.0, 2.0, 5.0}, 1);
      minor = multiples(axis, {3, 4, 6, 7, 8, 9}, 1);
    }
    if (major.size() < 3) {
      major = equal_steps(axis);
      minor.clear();
    }
  }
  std::vector<std::string> tics;
  for (const double value : major) {
    tics.push_back(fmt::format("\"{}\" {}", tic_text(value), value));
  }
  for (const double value : minor) {
    tics.push_back(fmt::format("\"\" {} 1", value));
  }
  return fmt::format("set logscale {0}\nset {0}tics ({1})\n", name, fmt::join(tics, ", "));
}

std::string linear_tics(char name, const Axis& axis) {
  const double largest = std::max(std::abs(axis.low), std::abs(axis.high));
  // gnuplot writes 100000 as 1e+05.
  const bool plain = largest < 1e7 && largest >= 1e-3;
  return plain ? fmt::format("set format {} '%.10g'\n", name) : "";
}

}  // namespace

bool Axis::shows(double value) const { return std::isfinite(value) && (!log || value > 0.0); }

Axis axis_for(const std::vector<double>& values, bool log,
              const std::optional<std::array<double, 2>>& given) {
  Axis axis;
  axis.log = log;
  if (given && axis.shows((*given)[0]) && axis.shows((*given)[1]) && (*given)[0] < (*given)[1]) {
    axis.low = (*given)[0];
    axis.high = (*given)[1];
    return axis;
  }
  std::vector<double> places;
  for (const double value : values) {
    if (axis.shows(value)) {
      places.push_back(place(axis, value));
    }
  }
  if (places.empty()) {
    axis.low = log ? 0.1 : 0.0;
    return axis;
  }
  const auto [low, high] = std::minmax_element(places.begin(), places.end());
  const double span = *high - *low;
  // Differences of rounding are none.
  const double room = span > 1e-12 * std::max(std::abs(*low), std::abs(*high)) ? 0.04 * span
                      : log                                                    ? 0.2
                      : *high == 0.0                                           ? 1.0
                                     : 0.1 * std::abs(*high);
  axis.low = value_at(axis, *low - room);
  axis.high = value_at(axis, *high + room);
  return axis;
}

void make_room(Axis& axis, const std::vector<double>& values) {
  const double low = place(axis, axis.low);
  const double high = place(axis, axis.high);
  const double most = 0.5 * (high - low);
  double new_low = low;
  double new_high = high;
  for (const double value : values) {
    if (axis.shows(value)) {
      new_low = std::min(new_low, std::max(low - most, place(axis, value)));
      new_high = std::max(new_high, std::min(high + most, place(axis, value)));
    }
  }
  axis.low = value_at(axis, new_low);
  axis.high = value_at(axis, new_high);
}

std::string axis_commands(char name, const Axis& axis, const std::vector<double>& values) {
  return fmt::format("set {}range [{}:{}]\n", name, axis.low, axis.high) +
         (axis.log ? log_tics(name, axis, values) : linear_tics(name, axis));
}

}  // namespace basin::reproduction
