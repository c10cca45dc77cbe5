#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tasks/experiments/hopfield_from_scratch/classical_capacity.h"
#include "tasks/experiments/hopfield_from_scratch/common.h"
#include "tensor/error.h"

namespace basin::experiments {

namespace {

constexpr double kLevel = 0.05;

// Of one value against the others.
double squared_distance(double value, double sum, double squares, double count) {
  const double mean = sum / count;
  const double variance = std::max(0.0, (squares - sum * mean) / (count - 1));
  if (variance < 1e-18) {
    return std::abs(value - mean) < 1e-9 ? 0.0 : std::numeric_limits<double>::infinity();
  }
  return (value - mean) * (value - mean) / variance;
}

}  // namespace

CurveTest test_curve(const std::vector<std::vector<double>>& curves,
                     const std::vector<double>& published) {
  if (curves.size() < 3) {
    fail("[test_curve] needs at least three repetitions, got {}", curves.size());
  }
  const std::size_t points = published.size();
  std::vector<double> sum(points);
  std::vector<double> squares(points);
  for (const std::vector<double>& curve : curves) {
    if (curve.size() != points) {
      fail("[test_curve] a repetition has {} points, the published curve {}", curve.size(), points);
    }
    for (std::size_t n = 0; n < points; ++n) {
      sum[n] += curve[n];
      squares[n] += curve[n] * curve[n];
    }
  }
  const auto count = static_cast<double>(curves.size());
  CurveTest test;
  for (std::size_t n = 0; n < points; ++n) {
    test.statistic += squared_distance(published[n], sum[n], squares[n], count);
  }
  std::size_t as_far = 1;
  for (const std::vector<double>& curve : curves) {
    double statistic = 0;
    for (std::size_t n = 0; n < points; ++n) {
      statistic += squared_distance(curve[n], sum[n] - curve[n], squares[n] - curve[n] * curve[n],
                                    count - 1);
    }
    as_far += statistic >= test.statistic ? 1 : 0;
  }
  test.p = static_cast<double>(as_far) / (count + 1);
  return test;
}

bool digits_allow(const std::vector<double>& percentages, std::int64_t trials, std::int64_t queries,
                  std::int64_t units) {
  const double step = 100.0 / static_cast<double>(trials * queries * units);
  return std::all_of(percentages.begin(), percentages.end(), [&](double value) {
    return std::abs(std::round(value / step) * step - value) <= 0.05 + 1e-9;
  });
}

Verdict judge_hundreds(const std::vector<HundredReading>& readings) {
  if (readings.empty()) {
    fail("[judge_hundreds] needs at least one reading of the protocol");
  }
  Verdict verdict;
  verdict.claim = "100 % of the units are right at every number of patterns from 1 to 9";
  verdict.published = "100.0 nine times";
  const HundredReading& first = readings.front();
  verdict.ours = fmt::format("has probability {} if {}", p_text(first.probability), first.name);
  double best = 0;
  std::size_t ruled_out = 0;
  for (const HundredReading& reading : readings) {
    best = reading.allowed ? std::max(best, reading.probability) : best;
    ruled_out += reading.allowed ? 0 : 1;
    if (&reading != &first && reading.allowed) {
      verdict.statistics += fmt::format("{}{} if {}", verdict.statistics.empty() ? "" : "; ",
                                        p_text(reading.probability), reading.name);
    }
  }
  if (verdict.statistics.empty()) {
    verdict.statistics = "none is left";
  }
  if (ruled_out > 0) {
    verdict.statistics += fmt::format(
        " ({} more contradict the values beyond 9 patterns or their digits)", ruled_out);
  }
  if (first.probability >= kLevel) {
    verdict.judgement = Judgement::reproduced;
    verdict.statistics =
        "Nothing unusual (at least 0.05). Other readings: " + verdict.statistics + ".";
  } else if (best < kLevel) {
    verdict.judgement = Judgement::contradicted;
    verdict.statistics = "Below 0.05 under every possible reading: " + verdict.statistics + ".";
  } else {
    verdict.judgement = Judgement::undecided;
    verdict.statistics =
        "The text does not say how many of the stored patterns a trial asks for, and in which "
        "order "
        "units are updated; the answer hangs on it: " +
        verdict.statistics + ".";
  }
  return verdict;
}

Verdict judge_threshold(double ratio, double low, double high, const std::string& at) {
  Verdict verdict;
  verdict.claim = "B(b): the capacity threshold lies near 0.14 N";
  verdict.published = "0.14";
  verdict.ours = fmt::format("{:.4f} [{:.4f}, {:.4f}] {}", ratio, low, high, at);
  verdict.statistics =
      "P_c: the number of patterns at which the mean share of right units after recall falls "
      "through "
      "95 %. \"Near\" is read as 0.13 to 0.15; the interval is that of the "
      "mean "
      "over independent blocks of networks.";
  verdict.judgement = low >= 0.13 && high <= 0.15 ? Judgement::reproduced
                      : high < 0.13 || low > 0.15 ? Judgement::contradicted
                                                  : Judgement::undecided;
  return verdict;
}

Verdict judge_smooth(double largest, double low, double high) {
  constexpr double kAbrupt = 0.2;
  Verdict verdict;
  verdict.claim = "B(c): beyond the threshold recall degrades smoothly";
  verdict.published = "98.6, 91.5, 83.7, 73.4, 71.2 % at 10, 15, 20, 25, 30 patterns";
  verdict.ours = fmt::format(
      "one more pattern costs at most {:.1f} % [{:.1f}, {:.1f}] of the whole loss up to 30 "
      "patterns",
      100 * largest, 100 * low, 100 * high);
  verdict.statistics =
      "A jump would put most of the loss into one step. Read as smooth: no step has a fifth of it. "
      "This is about 100 units; in larger networks the fall becomes a jump.";
  verdict.judgement = high < kAbrupt  ? Judgement::reproduced
                      : low > kAbrupt ? Judgement::contradicted
                                      : Judgement::undecided;
  return verdict;
}

std::optional<double> crossing(const std::vector<double>& x, const std::vector<double>& y,
                               double level) {
  for (std::size_t n = 1; n < x.size(); ++n) {
    if (y[n - 1] >= level && y[n] < level) {
      return x[n - 1] + (x[n] - x[n - 1]) * (y[n - 1] - level) / (y[n - 1] - y[n]);
    }
  }
  return std::nullopt;
}

}  // namespace basin::experiments
