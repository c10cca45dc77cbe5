#include "tools/trainer/sweep_draw.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <sstream>
#include <utility>

#include "tools/trainer/suggest.h"
#include "tools/trainer/usage_error.h"
#include "tools/trainer/values.h"

namespace basin::trainer {

namespace {

constexpr const char* kSpaces = " \t";

// In the order of Distribution::Kind.
const std::vector<std::string>& kinds() {
  static const std::vector<std::string> names = {"uniform", "log-uniform", "integer", "choice"};
  return names;
}

std::string without_spaces(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(kSpaces);
  return begin == std::string::npos
             ? ""
             : text.substr(begin, text.find_last_not_of(kSpaces) - begin + 1);
}

// In [0, 1), a multiple of 2^-53.
double unit(SweepGenerator& generator) { return static_cast<double>(generator() >> 11U) * 0x1p-53; }

// In [0, count), each with the same probability: numbers of an incomplete last round are thrown
// away.
std::uint64_t below(std::uint64_t count, SweepGenerator& generator) {
  const std::uint64_t rest = (UINT64_MAX % count + 1) % count;  // 2^64 mod count
  while (true) {
    const std::uint64_t number = generator();
    if (number <= UINT64_MAX - rest) {
      return number % count;
    }
  }
}

double rounded(double value) { return std::stod(fmt::format("{:.3g}", value)); }

}  // namespace

std::vector<std::string> split_list(const std::string& text, const std::string& origin) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  while (true) {
    const std::size_t comma = text.find(',', begin);
    parts.push_back(without_spaces(text.substr(begin, comma - begin)));
    if (parts.back().empty()) {
      wrong_usage("{} needs values with commas between them, not '{}'", origin, text);
    }
    if (comma == std::string::npos) {
      return parts;
    }
    begin = comma + 1;
  }
}

Distribution::Distribution(const std::string& text, const std::string& origin) {
  const std::size_t end = std::min(text.find_first_of(kSpaces), text.size());
  const std::string name = text.substr(0, end);
  const auto found = std::find(kinds().begin(), kinds().end(), name);
  if (found == kinds().end()) {
    wrong_usage(
        "{} must be one of 'uniform A B', 'log-uniform A B', 'integer A B' and 'choice V, "
        "W', not '{}'{}",
        origin, text, suggestion(name, kinds()));
  }
  kind_ = static_cast<Kind>(found - kinds().begin());
  const std::string rest = without_spaces(text.substr(end));
  if (kind_ == Kind::choice) {
    choices_ = split_list(rest, origin);
    return;
  }
  std::istringstream words(rest);
  std::string low, high, more;
  if (!(words >> low >> high) || words >> more) {
    wrong_usage("{} needs the two ends of the range, '{} A B', not '{}'", origin, name, text);
  }
  bool rises = false;
  if (kind_ == Kind::integer) {
    first_ = read_whole(low, INT64_MIN / 2, INT64_MAX / 2, origin);
    last_ = read_whole(high, INT64_MIN / 2, INT64_MAX / 2, origin);
    rises = first_ < last_;
  } else {
    low_ = read_real(low, origin);
    high_ = read_real(high, origin);
    rises = low_ < high_ && std::isfinite(high_ - low_);
  }
  if (!rises) {
    wrong_usage("{}: the range must begin below its end, not go from {} to {}", origin, low, high);
  }
  if (kind_ == Kind::log_uniform && !(low_ > 0.0)) {
    wrong_usage("{}: the range of log-uniform must begin above 0, not at {}", origin, low);
  }
}

std::string Distribution::draw(SweepGenerator& generator) const {
  switch (kind_) {
    case Kind::choice: return choices_[below(choices_.size(), generator)];
    case Kind::integer: {
      const std::uint64_t count = static_cast<std::uint64_t>(last_ - first_) + 1;
      return fmt::format("{}", first_ + static_cast<std::int64_t>(below(count, generator)));
    }
    case Kind::uniform: {
      const double value = low_ + (high_ - low_) * unit(generator);
      return write_real(std::clamp(rounded(value), low_, high_));
    }
    case Kind::log_uniform: {
      const double log = std::log(low_) + (std::log(high_) - std::log(low_)) * unit(generator);
      return write_real(std::clamp(rounded(std::exp(log)), low_, high_));
    }
  }
  return "";
}

std::vector<std::string> Distribution::extremes() const {
  switch (kind_) {
    case Kind::choice: return choices_;
    case Kind::integer: return {fmt::format("{}", first_), fmt::format("{}", last_)};
    default: return {write_real(low_), write_real(high_)};
  }
}

void Distribution::rewrite_choices(
    const std::function<std::string(const std::string&)>& canonical) {
  std::transform(choices_.begin(), choices_.end(), choices_.begin(), canonical);
}

std::string Distribution::text() const {
  return fmt::format("{} {}", kinds()[static_cast<std::size_t>(kind_)],
                     fmt::join(extremes(), kind_ == Kind::choice ? ", " : " "));
}

}  // namespace basin::trainer
