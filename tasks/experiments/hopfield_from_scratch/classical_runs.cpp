#include "tasks/experiments/hopfield_from_scratch/classical_runs.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/common/philox.h"
#include "nn/memories/binary_patterns.h"
#include "nn/memories/classical.h"
#include "tensor/functions/matmul.h"
#include "tensor/functions/reduce.h"

namespace basin::experiments {

namespace {

constexpr std::uint64_t kOrders = 1;  // a purpose of random keys

// How many queries have their own pattern as the nearest one.
std::int64_t nearest_is_right(const Tensor& patterns, const Tensor& queries) {
  const std::vector<std::int64_t> best =
      argmax(matmul(queries, patterns.transpose(1, 2)), 2).to_vector<std::int64_t>();
  std::int64_t right = 0;
  for (std::size_t n = 0; n < best.size(); ++n) {
    right += best[n] == static_cast<std::int64_t>(n) % queries.size(1) ? 1 : 0;
  }
  return right;
}

}  // namespace

const std::vector<ClassicalSetting>& hebbian_settings() {
  static const std::vector<ClassicalSetting> all = {
      {"zero diagonal, random order"},
      {"zero diagonal, synchronous", StorageRule::hebbian, false, RecallOrder::synchronous},
      {"diagonal kept, random order", StorageRule::hebbian, true},
      {"diagonal kept, synchronous", StorageRule::hebbian, true, RecallOrder::synchronous}};
  return all;
}

std::vector<double> ClassicalOutcome::by_memory(std::int64_t memories, std::int64_t queries) const {
  const std::size_t each = correct.size() / static_cast<std::size_t>(memories);
  const std::size_t used = queries > 0 ? std::min(each, static_cast<std::size_t>(queries)) : each;
  std::vector<double> means;
  for (std::size_t first = 0; first < correct.size(); first += each) {
    double sum = 0;
    for (std::size_t n = first; n < first + used; ++n) {
      sum += correct[n];
    }
    means.push_back(sum / static_cast<double>(used));
  }
  return means;
}

std::vector<double> ClassicalOutcome::exact_by_memory(std::int64_t memories) const {
  ClassicalOutcome exact;
  for (const double share : correct) {
    exact.correct.push_back(share == 1.0 ? 1.0 : 0.0);
  }
  return exact.by_memory(memories);
}

ClassicalOutcome run_classical(const ClassicalSetting& setting, const ClassicalProblem& problem,
                               std::uint64_t seed, const Progress& progress) {
  constexpr std::int64_t most_weights = std::int64_t{32} << 20;
  const std::int64_t weights = problem.units * problem.units;
  const std::int64_t step = std::max<std::int64_t>(1, most_weights / weights);
  const std::int64_t asked =
      problem.queries > 0 ? std::min(problem.queries, problem.patterns) : problem.patterns;
  ClassicalOutcome outcome;
  Rng rng(seed);
  RecallOptions options;
  options.order = setting.order;
  std::int64_t right = 0;
  for (std::int64_t begin = 0; begin < problem.memories; begin += step) {
    const std::int64_t count = std::min(step, problem.memories - begin);
    if (progress.tell) {
      progress.tell(static_cast<double>(begin) / static_cast<double>(problem.memories),
                    fmt::format("{} patterns, {}", problem.patterns, setting.name));
    }
    const Tensor patterns =
        nn::random_signs({count, problem.patterns, problem.units}, rng, DType::f32);
    const Tensor wanted = patterns.slice(1, 0, asked).contiguous();
    const Tensor queries = nn::flip_units(wanted, problem.flips, rng);
    const nn::ClassicalMemory memory(patterns, setting.rule, setting.keep_diagonal);
    options.key = kernels::derive_key(seed + static_cast<std::uint64_t>(begin), kOrders);
    const Recall found = memory.recall(queries, options);
    const std::vector<double> correct = nn::equal_units(found.states, wanted).to_vector<double>();
    outcome.correct.insert(outcome.correct.end(), correct.begin(), correct.end());
    for (const double sweeps : found.sweeps.to_vector<double>()) {
      outcome.sweeps += sweeps;
    }
    for (const std::int64_t how : found.outcomes.to_vector<std::int64_t>()) {
      outcome.cycles += how == static_cast<std::int64_t>(RecallOutcome::cycle) ? 1 : 0;
    }
    right += nearest_is_right(patterns, queries);
  }
  const auto all = static_cast<double>(outcome.correct.size());
  outcome.sweeps /= all;
  outcome.cycles /= all;
  outcome.nearest = static_cast<double>(right) / all;
  return outcome;
}

}  // namespace basin::experiments
