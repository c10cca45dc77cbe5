// A dense associative memory trained on MNIST, for energies of low and high degree: D. Krotov, J.
// Hopfield, Dense associative memory for pattern recognition (2016).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tasks/experiments/attention_heads_as_memories/dense_training.h"
#include "tasks/experiments/experiment.h"

namespace basin::experiments {

Experiment dam_mnist();

/// One degree of the energy and how it is trained.
struct DamMnistSetting {
  DenseTraining training;
  bool as_published = false;  ///< the numbers of the paper's text; else chosen by validation
  /// "n = 20", "n = 20 as published"
  std::string name() const;
};

/// What a size of the experiment takes: the first train_images images for training, the last
/// validation_images of the training file for validation, the first test_images of the test file.
struct DamMnistBudget {
  std::vector<DamMnistSetting> settings;
  std::int64_t seeds = 3;
  std::int64_t train_images = 50000;
  std::int64_t validation_images = 10000;
  std::int64_t test_images = 10000;  ///< all there are, if they are fewer
  std::int64_t neighbours = 10000;   ///< training images that the nearest-neighbour baseline knows
};
DamMnistBudget dam_mnist_budget(Size size);

}  // namespace basin::experiments
