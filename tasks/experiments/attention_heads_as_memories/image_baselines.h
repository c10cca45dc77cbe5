// What simple classifiers reach on labelled images: to stand beside a table.
#pragma once

#include <cstdint>

#include "tasks/experiments/attention_heads_as_memories/dense_training.h"

namespace basin::experiments {

/// Shares of wrong labels of the test rows, in percent; all from ten classes. Of equally near rows
/// or means, and of equally frequent classes, the first counts.
double majority_error(const LabelledRows& train, const LabelledRows& test);
double nearest_mean_error(const LabelledRows& train, const LabelledRows& test);
/// By Euclidean distance to every training row.
double nearest_neighbour_error(const LabelledRows& train, const LabelledRows& test);
/// Multi-class logistic regression, trained by AdamW (rate 1e-3 falling along half a cosine, decay
/// 1e-4, batches of 100) for so many epochs. Training rows are at least 100.
double logistic_regression_error(const LabelledRows& train, const LabelledRows& test,
                                 std::int64_t epochs, std::uint64_t seed);

}  // namespace basin::experiments
