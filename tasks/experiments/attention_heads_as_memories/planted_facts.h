// Facts planted in one head: how well it reads known pairs of key and value back, by separation,
// sharpness, number of pairs and noise.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/association/options.h"
#include "tasks/experiments/experiment.h"

namespace basin::experiments {

Experiment planted_facts();

/// One way to turn scores into weights, at one sharpness.
struct Reader {
  std::string separation;  ///< "softmax", "sparsemax", "entmax-1.5", "top-8 softmax", "polynomial"
  double sharpness = 1.0;  ///< beta; for polynomials their degree - 1
  AssociationOptions options;
};

struct PlantedFactsBudget {
  std::int64_t width = 64;     ///< of keys and of values
  std::int64_t queries = 128;  ///< for choosing beta, and as many for the numbers reported
  std::int64_t seeds = 5;
  std::vector<std::int64_t> pairs;
  std::vector<double> noise;  ///< length of the noise by that of a key
  std::vector<double> sharpness;
};
PlantedFactsBudget planted_facts_budget(Size size);

/// All of them, polynomials up to degree 65: beyond that even f64 leaves its range.
std::vector<Reader> planted_facts_readers(const std::vector<double>& sharpness);

/// "pairs=64/noise=0.3/seed=0"
std::string planted_facts_key(std::int64_t pairs, double noise, std::int64_t seed);

Report planted_facts_report(const Settings& settings, const Results& results);

}  // namespace basin::experiments
