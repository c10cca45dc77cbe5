#include "tools/trainer/sweep_ranking.h"

#include <algorithm>

namespace basin::trainer {

namespace {

RankedConfiguration gather(std::size_t configuration, const SweepPlan& plan,
                           const std::vector<RunResult>& results) {
  RankedConfiguration ranked;
  ranked.planned = &plan.configurations[configuration];
  std::vector<double> validation, loss;
  for (std::size_t n = 0; n < plan.runs.size(); ++n) {
    if (plan.runs[n].configuration != configuration) {
      continue;
    }
    ++ranked.runs;
    if (results[n].status == RunStatus::finished) {
      const Summary& summary = results[n].summary;
      ranked.test_values.push_back(summary.metrics.front().value);
      validation.push_back(results[n].validation);
      loss.push_back(summary.loss);
      ranked.seconds += summary.seconds;
    }
  }
  if (!loss.empty()) {
    ranked.validation = report::estimate(validation);
    ranked.test = report::estimate(ranked.test_values);
    ranked.loss = report::estimate(loss);
    const auto& baselines = ranked.planned->baselines;
    ranked.below_chance =
        !baselines.empty() && report::is_far_below_chance(*ranked.test, baselines.front().value,
                                                          ranked.planned->higher_is_better);
  }
  return ranked;
}

bool is_better(const RankedConfiguration& a, const RankedConfiguration& b) {
  if (!a.validation || !b.validation) {
    return a.validation.has_value() && !b.validation;
  }
  return a.planned->higher_is_better ? a.validation->mean > b.validation->mean
                                     : a.validation->mean < b.validation->mean;
}

}  // namespace

std::vector<std::vector<RankedConfiguration>> rank(const SweepPlan& plan,
                                                   const std::vector<RunResult>& results) {
  std::vector<std::vector<RankedConfiguration>> lists;
  for (std::size_t n = 0; n < plan.configurations.size(); ++n) {
    RankedConfiguration ranked = gather(n, plan, results);
    auto list = std::find_if(lists.begin(), lists.end(), [&](const auto& known) {
      return known.front().planned->metric == ranked.planned->metric;
    });
    if (list == lists.end()) {
      list = lists.insert(lists.end(), std::vector<RankedConfiguration>());
    }
    list->push_back(std::move(ranked));
  }
  for (auto& list : lists) {
    std::stable_sort(list.begin(), list.end(), is_better);
  }
  return lists;
}

}  // namespace basin::trainer
