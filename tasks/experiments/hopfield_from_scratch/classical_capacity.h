// How many random patterns a classical network holds: the published curve against the distribution
// of our own, other conventions and rules, and what happens in larger networks.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tasks/experiments/experiment.h"

namespace basin::experiments {

Experiment classical_capacity_experiment();

/// Published and own values over the same numbers of patterns. curves[r][n]: repetition r.
struct CurveTest {
  double statistic = 0.0;  ///< sum over n of ((published - mean) / sd)^2 of the repetitions
  double p = 1.0;  ///< how often one of the repetitions, measured against the others, is as far out
};

/// A Monte-Carlo test of a whole curve at once, so that fifteen values are not fifteen tests: each
/// repetition is compared with mean and sd of all others, in turn, as the published curve is with
/// those of all; p is (1 + those at least as far out) / (1 + repetitions). Points where nothing
/// varies count as 0 if the value is the same and as infinite otherwise.
CurveTest test_curve(const std::vector<std::vector<double>>& curves,
                     const std::vector<double>& published);

/// Whether a mean over `trials` trials of `queries` queries of `units` units can read as each of
/// these percentages with one digit behind the point.
bool digits_allow(const std::vector<double>& percentages, std::int64_t trials, std::int64_t queries,
                  std::int64_t units);

/// One way to read the protocol, and how probable 100.0 % at every number of patterns up to nine
/// is.
struct HundredReading {
  std::string name;
  double probability = 0.0;  ///< product of the shares of our repetitions that read 100.0
  bool allowed = true;       ///< the digits of the other published values are possible
};

/// "100 % up to 9 patterns". The first reading is the one the rest of the curve fits. Reproduced if
/// it gives at least 0.05; contradicted if no allowed reading does; else undecided, because the
/// answer hangs on what was not published.
Verdict judge_hundreds(const std::vector<HundredReading>& readings);

/// Claim B(b), "the threshold lies near 0.14 N", by the 95 % interval of our P_c / N: reproduced if
/// it lies inside [0.13, 0.15], contradicted if it lies outside, else undecided.
Verdict judge_threshold(double ratio, double low, double high, const std::string& at);

/// Claim B(c), "degradation is smooth", by the largest share of the whole loss that one more
/// pattern costs: reproduced if its upper limit is below 0.2, contradicted if its lower one is
/// above.
Verdict judge_smooth(double largest, double low, double high);

/// Where a falling curve crosses `level`, between its points by a straight line; nothing if it does
/// not.
std::optional<double> crossing(const std::vector<double>& x, const std::vector<double>& y,
                               double level);

}  // namespace basin::experiments
