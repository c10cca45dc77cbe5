#include "tasks/experiments/attention_heads_as_memories/dense_training.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "nn/optim/row_momentum.h"
#include "tasks/data_loader.h"
#include "tensor/functions/label_evidence.h"
#include "tensor/functions/lookup.h"
#include "tensor/functions/matmul.h"
#include "tensor/functions/reduce.h"

namespace basin::experiments {

namespace {

constexpr std::int64_t kRowsAtOnce = 1000;

std::int64_t count_wrong(const Tensor& outputs, const Tensor& labels) {
  const std::vector<std::int64_t> found = argmax(outputs, 1).to_vector<std::int64_t>();
  const std::vector<std::int64_t> wanted = labels.to_vector<std::int64_t>();
  std::int64_t wrong = 0;
  for (std::size_t n = 0; n < wanted.size(); ++n) {
    wrong += found[n] != wanted[n] ? 1 : 0;
  }
  return wrong;
}

double percent(std::int64_t part, std::int64_t whole) {
  return 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

// F of an overlap, up to a factor.
double interaction_of(const nn::DenseClassifierOptions& o, double overlap) {
  const double y = overlap / o.temperature;
  const auto degree = static_cast<double>(o.degree);
  switch (o.interaction) {
    case Interaction::power: return std::pow(std::abs(y), degree);
    case Interaction::rectified: return y > 0.0 ? std::pow(y, degree) : 0.0;
    case Interaction::exponential: break;
  }
  return std::exp(degree * (y - 1.0));
}

// The fewest of the values that reach half of their sum.
std::int64_t fewest_for_half(std::vector<double>& values) {
  double total = 0.0;
  for (const double value : values) {
    total += value;
  }
  std::sort(values.begin(), values.end(), std::greater<>());
  double sum = 0.0;
  std::int64_t count = 0;
  while (sum < total / 2.0 * (1.0 - 1e-12)) {
    sum += values[static_cast<std::size_t>(count++)];
  }
  return count;
}

class Trainer {
 public:
  Trainer(const LabelledRows& train, const DenseTraining& by, std::uint64_t seed)
      : train_(train),
        by_(by),
        loader_(train.count(), by.batch, seed),
        rng_(seed),
        model_(train.pixels.size(1), kClasses, by.model, rng_, DType::f32),
        optimizer_(model_.parameters(), {by.momentum, 1.0}),
        targets_(nn::dense_targets(train.labels, kClasses, DType::f32)) {}

  /// The training error of the epoch in percent.
  double run_epoch(std::int64_t epoch) {
    const double rate = by_.learning_rate * std::pow(by_.decay, static_cast<double>(epoch));
    const std::int64_t batches = loader_.batches_per_epoch();
    std::int64_t wrong = 0;
    for (std::int64_t batch = 0; batch < batches; ++batch) {
      const Tensor rows =
          Tensor::from<std::int64_t>({by_.batch}, loader_.numbers(epoch * batches + batch));
      const Tensor targets = embedding(targets_, rows);
      model_.clear_grad();
      const Variable c = model_.forward(Variable(embedding(train_.pixels, rows)));
      power_error(c, targets, by_.half_power).backward();
      optimizer_.step(rate);
      wrong += count_wrong(c.value(), argmax(targets, 1));
    }
    return percent(wrong, batches * by_.batch);
  }

  nn::DenseClassifier& model() { return model_; }

  static constexpr std::int64_t kClasses = 10;

 private:
  const LabelledRows& train_;
  const DenseTraining& by_;
  tasks::DataLoader loader_;
  Rng rng_;
  nn::DenseClassifier model_;
  nn::RowMomentum optimizer_;
  Tensor targets_;
};

}  // namespace

double error_percent(const nn::DenseClassifier& model, const LabelledRows& rows) {
  const NoGrad no_grad;
  std::int64_t wrong = 0;
  for (std::int64_t begin = 0; begin < rows.count(); begin += kRowsAtOnce) {
    const std::int64_t end = std::min(begin + kRowsAtOnce, rows.count());
    wrong += count_wrong(model.forward(Variable(rows.pixels.slice(0, begin, end))).value(),
                         rows.labels.slice(0, begin, end));
  }
  return percent(wrong, rows.count());
}

double memories_for_half(const nn::DenseClassifier& model, const LabelledRows& rows) {
  const std::int64_t pixels = rows.pixels.size(1);
  const Tensor& memories = model.memories().value();
  const Tensor overlaps = matmul(rows.pixels, memories.slice(1, 0, pixels).transpose(0, 1));
  const Tensor labels = sum(memories.slice(1, pixels, memories.size(1)), 1);
  const std::vector<double> z = overlaps.to_vector<double>();
  const std::vector<double> off = labels.to_vector<double>();
  const std::size_t count = off.size();
  std::int64_t total = 0;
  std::vector<double> drive(count);
  for (std::size_t row = 0; row < static_cast<std::size_t>(rows.count()); ++row) {
    for (std::size_t k = 0; k < count; ++k) {
      drive[k] = interaction_of(model.options(), z[row * count + k] - off[k]);
    }
    total += fewest_for_half(drive);
  }
  return static_cast<double>(total) / static_cast<double>(rows.count());
}

DenseRun train_dense(
    const LabelledRows& train, const LabelledRows& validation, const LabelledRows& test,
    const DenseTraining& by, std::uint64_t seed,
    const std::function<void(double share, double train_error, double validation_error)>& tell) {
  Trainer trainer(train, by, seed);
  nn::DenseClassifier& model = trainer.model();
  DenseRun run;
  run.memories = model.memories().value().clone();
  for (std::int64_t epoch = 0; epoch < by.epochs; ++epoch) {
    run.train_error.push_back(trainer.run_epoch(epoch));
    run.validation_error.push_back(error_percent(model, validation));
    if (run.best_epoch == 0 ||
        run.validation_error.back() <
            run.validation_error[static_cast<std::size_t>(run.best_epoch - 1)]) {
      run.best_epoch = epoch + 1;
      run.memories.copy_from(model.memories().value());
    }
    tell(static_cast<double>(epoch + 1) / static_cast<double>(by.epochs), run.train_error.back(),
         run.validation_error.back());
  }
  run.test_error_last = error_percent(model, test);
  Variable(model.memories()).mutable_value().copy_from(run.memories);
  run.test_error_best = error_percent(model, test);
  run.memories_for_half = memories_for_half(model, validation);
  return run;
}

}  // namespace basin::experiments
