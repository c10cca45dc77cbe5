#include "tasks/experiments/rank_correlation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "tensor/error.h"
#include "tensor/rng.h"

namespace basin::experiments {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr std::uint64_t kDraws = 2000;

std::vector<double> ranks_of(const std::vector<double>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin;
    while (end < order.size() && values[order[end]] == values[order[begin]]) {
      ++end;
    }
    for (std::size_t n = begin; n < end; ++n) {
      ranks[order[n]] = static_cast<double>(begin + end - 1) / 2;
    }
    begin = end;
  }
  return ranks;
}

}  // namespace

double rank_correlation(const std::vector<double>& x, const std::vector<double>& y) {
  if (x.size() != y.size()) {
    fail("[rank_correlation] {} values of x and {} of y", x.size(), y.size());
  }
  if (x.size() < 2) {
    return kNaN;
  }
  const std::vector<double> a = ranks_of(x);
  const std::vector<double> b = ranks_of(y);
  const double mean = static_cast<double>(x.size() - 1) / 2;
  double ab = 0;
  double aa = 0;
  double bb = 0;
  for (std::size_t n = 0; n < a.size(); ++n) {
    ab += (a[n] - mean) * (b[n] - mean);
    aa += (a[n] - mean) * (a[n] - mean);
    bb += (b[n] - mean) * (b[n] - mean);
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : kNaN;
}

Correlation grouped_rank_correlation(const std::vector<double>& x, const std::vector<double>& y,
                                     const std::vector<std::int64_t>& group) {
  if (group.size() != x.size()) {
    fail("[grouped_rank_correlation] {} values and {} groups", x.size(), group.size());
  }
  Correlation result{rank_correlation(x, y), {kNaN, kNaN}};
  std::map<std::int64_t, std::vector<std::size_t>> members;
  for (std::size_t n = 0; n < group.size(); ++n) {
    members[group[n]].push_back(n);
  }
  std::vector<const std::vector<std::size_t>*> groups;
  for (const auto& [number, indices] : members) {
    groups.push_back(&indices);
  }
  std::vector<double> drawn;
  for (std::uint64_t draw = 0; draw < kDraws; ++draw) {
    std::vector<double> a;
    std::vector<double> b;
    for (std::uint64_t n = 0; n < groups.size(); ++n) {
      for (const std::size_t index : *groups[uniform_index(0x5EA2, draw, n, groups.size())]) {
        a.push_back(x[index]);
        b.push_back(y[index]);
      }
    }
    const double value = rank_correlation(a, b);
    if (!std::isnan(value)) {  // a draw of one group may have no correlation
      drawn.push_back(value);
    }
  }
  if (drawn.size() >= kDraws - kDraws / 10) {
    result.interval = {statistics::quantile(drawn, 0.025), statistics::quantile(drawn, 0.975)};
  }
  return result;
}

}  // namespace basin::experiments
