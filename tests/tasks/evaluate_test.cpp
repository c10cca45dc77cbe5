// Judging a model: what is counted, and that the model is left as it was found.
#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "tasks/training.h"
#include "tensor/error.h"
#include "tests/support/counted_task.h"
#include "tests/support/expect_error.h"
#include "tests/support/same_bits.h"
#include "tests/support/small_models.h"

namespace basin::tasks {
namespace {

using test::CountedTask;
using test::small_backbone;

constexpr Split kSplit = Split::validation;

nn::BackboneOptions with_dropout(double p) {
  nn::BackboneOptions options = small_backbone("attention", DType::f64);
  options.dropout = p;
  return options;
}

TEST(Evaluate, TheLossIsTheMeanOverTargetsForEveryBatchSize) {
  nn::LanguageModel model(with_dropout(0.0), 1);
  const CountedTask task;
  double total = 0;
  double counted = 0;
  for (std::int64_t n = 0; n < CountedTask::kExamples; ++n) {
    const Batch one = task.batch(kSplit, std::vector<std::int64_t>{n});
    const auto targets = static_cast<double>(CountedTask::targets_of(n));
    total += model.loss(one.tokens, one.targets).value().item() * targets;
    counted += targets;
  }
  for (const std::int64_t batch :
       {std::int64_t{1}, std::int64_t{3}, std::int64_t{7}, std::int64_t{100}}) {
    const Evaluation result = evaluate(model, task, kSplit, batch);
    // The same sums of numbers of size 1 in other groups.
    EXPECT_TRUE(std::abs(result.loss - total / counted) <= 1e-13) << batch;
    EXPECT_EQ(result.examples, 7);
    ASSERT_EQ(result.metrics.front().name, "loss sum");
    EXPECT_TRUE(std::abs(result.metrics.front().value - total) <= 1e-12) << batch;
    EXPECT_EQ(result.metrics.back().value, 7.0);
  }
}

TEST(Evaluate, VisitsTheFirstExamplesOnceInOrder) {
  nn::LanguageModel model(with_dropout(0.0), 1);
  const CountedTask task;
  EXPECT_EQ(evaluate(model, task, kSplit, 3).examples, 7);
  EXPECT_EQ(task.asked, (std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(task.batch_sizes, (std::vector<std::int64_t>{3, 3, 1}));
  task.asked.clear();
  task.batch_sizes.clear();
  EXPECT_EQ(evaluate(model, task, kSplit, 3, 5).examples, 5);
  EXPECT_EQ(task.asked, (std::vector<std::int64_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(task.batch_sizes, (std::vector<std::int64_t>{3, 2}));
  EXPECT_EQ(evaluate(model, task, kSplit, 3, 1000).examples, 7);
}

TEST(Evaluate, ProgressIsToldAndMayStop) {
  nn::LanguageModel model(with_dropout(0.0), 1);
  const CountedTask task;
  std::vector<std::int64_t> done;
  const Evaluation stopped =
      evaluate(model, task, kSplit, 2, 0, [&](std::int64_t now, std::int64_t of) {
        EXPECT_EQ(of, 7);
        done.push_back(now);
        return now < 4;
      });
  EXPECT_EQ(done, (std::vector<std::int64_t>{2, 4}));
  EXPECT_EQ(stopped.examples, 4);
  EXPECT_TRUE(std::abs(stopped.loss - evaluate(model, task, kSplit, 2, 4).loss) <= 0.0);
}

TEST(Evaluate, RunsWithoutDropoutAndWithoutRecordingAndRestoresTheMode) {
  nn::LanguageModel model(with_dropout(0.5), 1);
  nn::LanguageModel plain(with_dropout(0.0), 1);
  const CountedTask task;
  for (const bool training : {true, false}) {
    model.train(training);
    const Evaluation result = evaluate(model, task, kSplit, 3, 0, [&](std::int64_t, std::int64_t) {
      EXPECT_FALSE(model.training());
      EXPECT_FALSE(grad_enabled());
      return true;
    });
    EXPECT_EQ(model.training(), training);
    EXPECT_TRUE(grad_enabled());
    EXPECT_EQ(result.loss, evaluate(plain, task, kSplit, 3).loss);
    EXPECT_EQ(result.loss, evaluate(model, task, kSplit, 3).loss) << "twice the same";
  }
  EXPECT_EQ(model.dropout_position(), 0u);
  for (const Tensor& gradient : test::gradients_of(model)) {
    EXPECT_FALSE(gradient.defined());
  }
}

TEST(Evaluate, RestoresTheModeAfterAnExceptionToo) {
  nn::LanguageModel model(with_dropout(0.5), 1);
  const CountedTask task;
  EXPECT_THROW(evaluate(model, task, kSplit, 3, 0,
                        [](std::int64_t, std::int64_t) -> bool { throw std::logic_error("stop"); }),
               std::logic_error);
  EXPECT_TRUE(model.training());
  EXPECT_TRUE(grad_enabled());
}

TEST(Evaluate, RefusesABatchOfNothing) {
  nn::LanguageModel model(with_dropout(0.0), 1);
  const CountedTask task;
  for (const std::int64_t batch : {std::int64_t{0}, std::int64_t{-2}}) {
    EXPECT_TRUE(test::refuses<Error>([&] { evaluate(model, task, kSplit, batch); },
                                     {"batch", std::to_string(batch)}));
  }
}

}  // namespace
}  // namespace basin::tasks
