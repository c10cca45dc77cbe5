#include "tools/trainer/values.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "tools/trainer/suggest.h"
#include "tools/trainer/usage_error.h"

namespace basin::trainer {

namespace {

template <class Number>
std::errc parse(const std::string& text, Number& value) {
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  return result.ec == std::errc{} && result.ptr != end ? std::errc::invalid_argument : result.ec;
}

}  // namespace

std::int64_t read_whole(const std::string& text, std::int64_t least, std::int64_t most,
                        const std::string& origin) {
  std::int64_t value = 0;
  const std::errc error = parse(text, value);
  if (error == std::errc::invalid_argument) {
    wrong_usage("{} must be a whole number, not '{}'", origin, text);
  }
  if (error != std::errc{} || value < least || value > most) {
    wrong_usage("{} must be between {} and {}, not {}", origin, least, most, text);
  }
  return value;
}

std::uint64_t read_seed(const std::string& text, const std::string& origin) {
  std::uint64_t value = 0;
  if (parse(text, value) != std::errc{}) {
    wrong_usage("{} must be a whole number between 0 and {}, not '{}'", origin, UINT64_MAX, text);
  }
  return value;
}

double read_real(const std::string& text, const std::string& origin) {
  double value = 0;
  if (parse(text, value) != std::errc{} || !std::isfinite(value)) {
    wrong_usage("{} must be a number, not '{}'", origin, text);
  }
  return value;
}

std::size_t read_choice(const std::string& text, const std::vector<std::string>& choices,
                        const std::string& origin) {
  const auto found = std::find(choices.begin(), choices.end(), text);
  if (found == choices.end()) {
    wrong_usage("{} must be one of {}, not '{}'{}", origin, fmt::join(choices, ", "), text,
                suggestion(text, choices));
  }
  return static_cast<std::size_t>(found - choices.begin());
}

std::string write_real(double value) { return fmt::format("{}", value); }

}  // namespace basin::trainer
