// The range of an axis and what stands on it.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace basin::reproduction {

struct Axis {
  double low = 0.0, high = 1.0;
  bool log = false;

  /// Whether a value has a place: finite, and above 0 on a logarithmic axis.
  bool shows(double value) const;
};

/// From the smallest to the largest of the values that have a place, and some room around them;
/// [0, 1] (logarithmic: [0.1, 1]) if there is none. `given`, if there, is taken as it is unless it
/// is no range.
Axis axis_for(const std::vector<double>& values, bool log,
              const std::optional<std::array<double, 2>>& given);

/// Widens the axis towards these values, but at most by half of its length on each side: the ends
/// of wide intervals must not press the measurements together.
void make_room(Axis& axis, const std::vector<double>& values);

/// gnuplot's commands for axis 'x' or 'y'. Where a logarithmic axis has few `values`, these are its
/// tics; otherwise powers of ten, and their multiples where there are few.
std::string axis_commands(char name, const Axis& axis, const std::vector<double>& values);

}  // namespace basin::reproduction
