#include "tasks/experiments/attention_heads_as_memories/image_baselines.h"

#include <algorithm>
#include <array>

#include "autograd/operations.h"
#include "nn/layers/basic.h"
#include "nn/optim/optimizer.h"
#include "nn/optim/schedule.h"
#include "tasks/data_loader.h"
#include "tensor/functions/elementwise.h"
#include "tensor/functions/lookup.h"
#include "tensor/functions/matmul.h"
#include "tensor/functions/reduce.h"

namespace basin::experiments {

namespace {

constexpr std::int64_t kClasses = 10;
constexpr std::int64_t kComparedAtOnce = 500;
constexpr std::int64_t kBatch = 100;

std::array<std::int64_t, kClasses> class_counts(const LabelledRows& rows) {
  std::array<std::int64_t, kClasses> counts{};
  for (const std::int64_t label : rows.labels.to_vector<std::int64_t>()) {
    ++counts[static_cast<std::size_t>(label)];
  }
  return counts;
}

double percent_of(std::int64_t part, std::int64_t whole) {
  return 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

// predict(pixels of some rows) gives their labels.
template <class Predict>
double error_of(const LabelledRows& test, Predict&& predict) {
  std::int64_t wrong = 0;
  for (std::int64_t begin = 0; begin < test.count(); begin += kComparedAtOnce) {
    const std::int64_t end = std::min(begin + kComparedAtOnce, test.count());
    const std::vector<std::int64_t> found = predict(test.pixels.slice(0, begin, end));
    const std::vector<std::int64_t> wanted =
        test.labels.slice(0, begin, end).to_vector<std::int64_t>();
    for (std::size_t n = 0; n < wanted.size(); ++n) {
      wrong += found[n] != wanted[n] ? 1 : 0;
    }
  }
  return percent_of(wrong, test.count());
}

// Which row of `points` is nearest: the largest x.p - |p|^2 / 2.
Tensor nearest(const Tensor& x, const Tensor& points) {
  const Tensor half_squares = affine(sum(square(points), 1), -0.5, 0.0);
  return argmax(linear(x, points, half_squares), 1);
}

}  // namespace

double majority_error(const LabelledRows& train, const LabelledRows& test) {
  const auto counts = class_counts(train);
  const auto largest = std::max_element(counts.begin(), counts.end()) - counts.begin();
  return 100.0 - percent_of(class_counts(test)[static_cast<std::size_t>(largest)], test.count());
}

double nearest_mean_error(const LabelledRows& train, const LabelledRows& test) {
  const auto counts = class_counts(train);
  const Tensor sums = embedding_backward(train.labels.to(DType::i64), train.pixels, kClasses);
  std::vector<double> shares;
  for (const std::int64_t count : counts) {
    shares.push_back(1.0 / static_cast<double>(std::max<std::int64_t>(count, 1)));
  }
  const Tensor means = mul(sums, Tensor::from({kClasses, 1}, shares).to(sums.dtype()));
  return error_of(test,
                  [&](const Tensor& x) { return nearest(x, means).to_vector<std::int64_t>(); });
}

double nearest_neighbour_error(const LabelledRows& train, const LabelledRows& test) {
  const std::vector<std::int64_t> labels = train.labels.to_vector<std::int64_t>();
  return error_of(test, [&](const Tensor& x) {
    std::vector<std::int64_t> found = nearest(x, train.pixels).to_vector<std::int64_t>();
    for (std::int64_t& row : found) {
      row = labels[static_cast<std::size_t>(row)];
    }
    return found;
  });
}

double logistic_regression_error(const LabelledRows& train, const LabelledRows& test,
                                 std::int64_t epochs, std::uint64_t seed) {
  Rng rng(seed);
  nn::Linear model(train.pixels.size(1), kClasses, rng, DType::f32);
  nn::OptimizerOptions options;
  options.weight_decay = 1e-4;
  nn::AdamW optimizer(model.parameters(), options);
  tasks::DataLoader loader(train.count(), kBatch, seed);
  nn::Schedule schedule;
  schedule.total_steps = epochs * loader.batches_per_epoch();
  const std::vector<std::int64_t> all_labels = train.labels.to_vector<std::int64_t>();
  for (std::int64_t step = 0; step < schedule.total_steps; ++step) {
    const std::vector<std::int64_t> numbers = loader.numbers(step);
    std::vector<std::int64_t> wanted;
    for (const std::int64_t number : numbers) {
      wanted.push_back(all_labels[static_cast<std::size_t>(number)]);
    }
    const Variable x(embedding(train.pixels, Tensor::from<std::int64_t>({kBatch}, numbers)));
    model.clear_grad();
    cross_entropy(model.forward(x), Tensor::from<std::int64_t>({kBatch}, wanted)).backward();
    optimizer.step(schedule.rate(step));
  }
  const NoGrad no_grad;
  return error_of(test, [&](const Tensor& x) {
    return argmax(model.forward(Variable(x)).value(), 1).to_vector<std::int64_t>();
  });
}

}  // namespace basin::experiments
