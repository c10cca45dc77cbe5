// Training of a dense associative memory on labelled images: the procedure of D. Krotov, J.
// Hopfield (2016), appendix A, with validation images that decide which epoch counts.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "nn/dense_classifier.h"

namespace basin::experiments {

/// Rows of pixels in [-1, 1] with their labels.
struct LabelledRows {
  Tensor pixels;  ///< (N, pixels) f32
  Tensor labels;  ///< (N) u8
  std::int64_t count() const { return labels.size(0); }
};

struct DenseTraining {
  nn::DenseClassifierOptions model;
  std::int64_t half_power = 30;  ///< m: the loss is the sum of (c - t)^(2m)
  double learning_rate = 0.04;   ///< of epoch 0; times `decay` for each epoch
  double decay = 0.998;
  double momentum = 0.6;
  std::int64_t batch = 1000;
  std::int64_t epochs = 300;
};

/// Shares of wrong labels are in percent.
struct DenseRun {
  std::vector<double> train_error;  ///< after each epoch, of the batches as they were trained on
  std::vector<double> validation_error;  ///< after each epoch
  std::int64_t best_epoch = 0;           ///< counted from 1; the first of equals
  double test_error_last = 0.0;
  double test_error_best = 0.0;
  double memories_for_half = 0.0;  ///< of the validation images, see below
  Tensor memories;                 ///< (K, pixels + classes) of the best epoch
};

/// Trains from memories that `seed` draws; in each epoch the images come in a new
/// order, and those that fill no last batch are left out. The test
/// set is looked at once, when training is over: with the memories of the last epoch and with those
/// of the epoch whose validation error was least. `tell` is called after every epoch with the share
/// that is done, and the last two errors. Throws Error as
/// DenseClassifier does, and unless 1 <= batch <= images.
DenseRun train_dense(
    const LabelledRows& train, const LabelledRows& validation, const LabelledRows& test,
    const DenseTraining& by, std::uint64_t seed,
    const std::function<void(double share, double train_error, double validation_error)>& tell);

/// The share of rows, in percent, whose largest output is not their label; the first of equal
/// outputs counts.
double error_percent(const nn::DenseClassifier& model, const LabelledRows& rows);

/// How many memories carry half of the drive of a class, averaged over images: with the overlaps of
/// an image and all memories in falling order, the fewest whose F reaches half of the sum of |F|. A
/// small number means that single prototypes decide, a large one that features add up.
double memories_for_half(const nn::DenseClassifier& model, const LabelledRows& rows);

}  // namespace basin::experiments
