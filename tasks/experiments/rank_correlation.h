// Whether two quantities rise together, without asking along which curve.
#pragma once

#include <cstdint>
#include <vector>

#include "tasks/statistics.h"

namespace basin::experiments {

/// C. Spearman's rank correlation in [-1, 1] ("The proof and measurement of association between two
/// things", 1904); equal values share the mean of their ranks. NaN for fewer than two pairs or
/// where all x or all y are equal. Throws Error unless there are as many x as y.
double rank_correlation(const std::vector<double>& x, const std::vector<double>& y);

struct Correlation {
  double value = 0.0;
  statistics::Interval interval;  ///< 95 %; NaN where more than a tenth of the draws have none
};

/// The same with the percentile interval of 2000 bootstrap draws (B. Efron 1979) in which whole
/// groups are drawn: runs of one method are not independent evidence about a difference between
/// methods. A function of its arguments alone. Throws Error unless all have the same length.
Correlation grouped_rank_correlation(const std::vector<double>& x, const std::vector<double>& y,
                                     const std::vector<std::int64_t>& group);

}  // namespace basin::experiments
