// Random values of a setting, the same on every machine.
#pragma once

#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

namespace basin::trainer {

/// The generator is fixed by the C++ standard to the bit; its distributions are not, and so not
/// used.
using SweepGenerator = std::mt19937_64;

class Distribution {
 public:
  /// Reads "uniform A B", "log-uniform A B", "integer A B" (both ends included) or "choice V, W".
  /// Throws UsageError, with `origin` in front.
  Distribution(const std::string& text, const std::string& origin);

  /// A value as text. Real numbers are rounded to three significant digits (inside their range):
  /// short names of runs, and the last bits of log() and exp() differ between machines.
  std::string draw(SweepGenerator& generator) const;

  /// The values that any draw lies between, or all of a choice.
  std::vector<std::string> extremes() const;
  /// Whether draws are numbers with fractions.
  bool is_real() const { return kind_ == Kind::uniform || kind_ == Kind::log_uniform; }
  /// A choice: its values replaced by another way to write them.
  void rewrite_choices(const std::function<std::string(const std::string&)>& canonical);

  /// The text the constructor reads.
  std::string text() const;

 private:
  enum class Kind : std::uint8_t { uniform, log_uniform, integer, choice };

  Kind kind_;
  double low_ = 0.0, high_ = 0.0;      // uniform, log_uniform
  std::int64_t first_ = 0, last_ = 0;  // integer
  std::vector<std::string> choices_;
};

/// The parts of "a, b, c" without blanks around them. Throws UsageError for an empty part.
std::vector<std::string> split_list(const std::string& text, const std::string& origin);

}  // namespace basin::trainer
