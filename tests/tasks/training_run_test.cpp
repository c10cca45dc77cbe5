// A training run: it learns, says when it diverges, and goes on from a file bit for bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "tasks/training.h"
#include "tensor/error.h"
#include "tests/support/counted_task.h"
#include "tests/support/expect_error.h"
#include "tests/support/same_bits.h"
#include "tests/support/scoped_threads.h"
#include "tests/support/small_models.h"
#include "tests/support/temporary_folder.h"

namespace basin::tasks {
namespace {

using test::CountedTask;
using test::refuses;
using test::same_bits;
using test::small_backbone;
using test::TemporaryFolder;

std::unique_ptr<Task> small_copying() {
  TaskOptions options;
  options.length = 8;
  options.vocabulary = 6;
  return make_task(options);
}

TrainingOptions constant_rate(double peak, std::int64_t batch) {
  TrainingOptions options;
  options.batch = batch;
  options.seed = 3;
  options.schedule.kind = nn::ScheduleKind::constant;
  options.schedule.peak = peak;
  return options;
}

class EveryTrainingRun : public testing::TestWithParam<std::string> {
 protected:
  static nn::BackboneOptions options(double dropout = 0.0) {
    nn::BackboneOptions result = small_backbone(GetParam());
    result.dropout = dropout;
    return result;
  }
};
INSTANTIATE_TEST_SUITE_P(TrainingRun, EveryTrainingRun, testing::ValuesIn(test::all_backbones()),
                         test::test_name);

// Three symbols of four kinds to remember.
TEST_P(EveryTrainingRun, Learns) {
  const auto task = small_copying();
  nn::BackboneOptions backbone = options();
  backbone.width = 32;
  nn::LanguageModel model(backbone, 1);
  TrainingRun run(*task, model, constant_rate(3e-3, 32));
  double first = 0;
  double last = 0;
  for (int n = 0; n < 300; ++n) {
    const double loss = run.step().loss;
    first += n < 10 ? loss / 10 : 0;
    last += n >= 290 ? loss / 10 : 0;
  }
  EXPECT_TRUE(last <= 0.5 * first) << first << " to " << last;
  const Evaluation result = evaluate(model, *task, Split::validation, 100, 500);
  // Chance is 0.25.
  EXPECT_TRUE(result.metrics.front().value >= 0.8) << result.metrics.front().value;
}

TEST_P(EveryTrainingRun, GoesOnFromAFileBitForBit) {
  const TemporaryFolder folder;
  const auto task = small_copying();
  const TrainingOptions training = constant_rate(1e-2, 16);
  nn::LanguageModel straight_model(options(0.2), 1);
  TrainingRun straight(*task, straight_model, training);
  std::vector<double> losses;
  for (int n = 0; n < 10; ++n) {
    if (n == 4) {
      straight.save(folder / "run.h5", "the configuration", {{"second-half token accuracy", 0.5}});
    }
    losses.push_back(straight.step().loss);
  }

  nn::LanguageModel model(options(0.2), 1);
  TrainingRun resumed(*task, model, training);
  resumed.step();  // somewhere else before it loads
  const nn::TrainingState state = resumed.load(folder / "run.h5");
  EXPECT_EQ(state.configuration, "the configuration");
  EXPECT_EQ(state.step, 4);
  EXPECT_EQ(state.metrics.at("second-half token accuracy"), 0.5);
  EXPECT_EQ(resumed.steps_done(), 4);
  for (std::size_t n = 4; n < 10; ++n) {
    const StepReport report = resumed.step();
    EXPECT_EQ(report.loss, losses[n]) << n;
    EXPECT_EQ(report.step, static_cast<std::int64_t>(n) + 1);
  }
  EXPECT_TRUE(same_bits(test::weights_of(model), test::weights_of(straight_model)));
}

TEST_P(EveryTrainingRun, GivesTheSameBitsInEveryRunAndWithTwoThreads) {
  const auto task = small_copying();
  const auto run = [&](int threads) {
    const test::ScopedThreads scoped(threads);
    nn::LanguageModel model(options(0.1), 1);
    TrainingRun training(*task, model, constant_rate(1e-2, 64));
    for (int n = 0; n < 3; ++n) {
      training.step();
    }
    return test::weights_of(model);
  };
  const std::vector<Tensor> once = run(1);
  EXPECT_TRUE(same_bits(run(1), once));
  EXPECT_TRUE(same_bits(run(2), once));
}

// A message names the step that failed and the rate to lower; the weights are those from before.
TEST_P(EveryTrainingRun, SaysWhenItDiverges) {
  const auto task = small_copying();
  nn::LanguageModel model(options(), 1);
  TrainingRun run(*task, model, constant_rate(1e38, 8));
  std::string message;
  std::vector<Tensor> before;
  while (message.empty() && run.steps_done() < 20) {
    before = test::weights_of(model);
    try {
      run.step();
    } catch (const Diverged& diverged) {
      message = diverged.what();
    }
  }
  const std::string step = "at step " + std::to_string(run.steps_done() + 1);
  EXPECT_NE(message.find(step), std::string::npos) << message;
  EXPECT_NE(message.find("smaller learning rate than 1e+38"), std::string::npos) << message;
  EXPECT_GT(run.steps_done(), 0);
  EXPECT_TRUE(same_bits(test::weights_of(model), before));
}

TEST_P(EveryTrainingRun, SaysThatWeightsAreNotNumbers) {
  const auto task = small_copying();
  nn::LanguageModel model(options(), 1);
  TrainingRun run(*task, model, constant_rate(1e-2, 8));
  run.step();
  test::parameter(model, "blocks.1.up.bias").mutable_value().fill(std::nan(""));
  const std::vector<Tensor> before = test::weights_of(model);
  EXPECT_TRUE(refuses<Diverged>([&] { run.step(); }, {"loss became nan", "at step 2"}));
  EXPECT_EQ(run.steps_done(), 1);
  EXPECT_TRUE(same_bits(test::weights_of(model), before));
}

TEST(TrainingRun, SavesNoWeightsThatAreNotFinite) {
  const TemporaryFolder folder;
  const auto task = small_copying();
  for (const DType dtype : {DType::f32, DType::f64}) {
    nn::LanguageModel model(small_backbone("rnn", dtype), 1);
    const TrainingRun run(*task, model, constant_rate(0.25, 8));
    const std::string path = folder / "run.h5";
    run.save(path, "", {});
    const std::string before = test::read_bytes(path);
    Tensor& weight = test::parameter(model, "head.weight").mutable_value();
    for (const double value : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
      weight.fill(value);
      EXPECT_TRUE(refuses<Diverged>([&] { run.save(path, "", {}); },
                                    {"'head.weight'", "at step 0", "than 0.25"}));
      EXPECT_EQ(test::read_bytes(path), before);
    }
  }
}

TEST(TrainingRun, ReportsEveryStep) {
  const CountedTask task;
  nn::LanguageModel model(small_backbone("attention", DType::f64), 1);
  TrainingOptions options = constant_rate(2e-3, 3);
  options.schedule.warmup_steps = 4;
  TrainingRun run(task, model, options);
  EXPECT_EQ(run.batches_per_epoch(), 2);
  for (std::int64_t n = 0; n < 6; ++n) {
    task.asked.clear();
    nn::LanguageModel same(small_backbone("attention", DType::f64), 1);
    const std::vector<nn::Parameter> weights = model.parameters();
    std::vector<nn::Parameter> copies = same.parameters();
    for (std::size_t p = 0; p < weights.size(); ++p) {
      copies[p].variable.mutable_value().copy_from(weights[p].variable.value());
    }
    const StepReport report = run.step();
    EXPECT_EQ(report.step, n + 1);
    EXPECT_EQ(report.epoch, n / 2);
    EXPECT_EQ(report.tokens, 3 * CountedTask::kLength);
    EXPECT_DOUBLE_EQ(report.learning_rate,
                     2e-3 * static_cast<double>(std::min<std::int64_t>(n + 1, 4)) / 4);
    // The loss is that of the examples asked for with the weights before the update.
    DataLoader loader(CountedTask::kExamples, 3, 3);
    EXPECT_EQ(task.asked, loader.numbers(n));
    const Batch batch = task.batch(Split::train, loader.numbers(n));
    same.loss(batch.tokens, batch.targets).backward();
    EXPECT_EQ(report.loss, same.loss(batch.tokens, batch.targets).value().item());
    double squares = 0;
    for (const Tensor& gradient : test::gradients_of(same)) {
      for (const double g : gradient.to_vector<double>()) {
        squares += g * g;
      }
    }
    // Sums of about 5000 squares in another order.
    EXPECT_TRUE(std::abs(report.gradient_norm / std::sqrt(squares) - 1) <= 1e-12);
  }
}

// Weighted by their targets, the parts of a batch add up to the whole, though they have different
// numbers of targets; a mean of means would be another number.
TEST(TrainingRun, MicroBatchesAddUpToTheBatch) {
  const CountedTask task;
  const auto train = [&](std::int64_t micro_batch) {
    nn::LanguageModel model(small_backbone("rnn", DType::f64), 1);
    TrainingOptions options = constant_rate(1e-2, 6);
    options.micro_batch = micro_batch;
    TrainingRun run(task, model, options);
    std::vector<double> figures;
    for (int n = 0; n < 3; ++n) {
      const StepReport report = run.step();
      figures.insert(figures.end(),
                     {report.loss, report.gradient_norm, static_cast<double>(report.tokens)});
    }
    return std::pair(Tensor::from<double>({9}, figures), test::weights_of(model));
  };
  const auto [figures, weights] = train(0);
  for (const std::int64_t micro_batch : {std::int64_t{6}, std::int64_t{3}, std::int64_t{1}}) {
    const auto [part_figures, part_weights] = train(micro_batch);
    // Sums in another order, and three steps of an optimizer that divides by their size.
    EXPECT_TRUE(test::largest_difference(part_figures, figures) <= 1e-12) << micro_batch;
    for (std::size_t n = 0; n < weights.size(); ++n) {
      EXPECT_TRUE(test::largest_difference(part_weights[n], weights[n]) <= 1e-9) << micro_batch;
    }
  }
}

TEST(TrainingRun, RefusesBatchesThatCannotBe) {
  const CountedTask task;
  nn::LanguageModel model(small_backbone("rnn"), 1);
  const auto attempt = [&](std::int64_t batch, std::int64_t micro_batch) {
    return [&, batch, micro_batch] {
      TrainingOptions options = constant_rate(1e-2, batch);
      options.micro_batch = micro_batch;
      TrainingRun run(task, model, options);
    };
  };
  EXPECT_TRUE(refuses<Error>(attempt(8, 0), {"batch", "7", "8"}));
  EXPECT_TRUE(refuses<Error>(attempt(0, 0), {"batch", "got 0"}));
  EXPECT_TRUE(refuses<Error>(attempt(6, 4), {"micro batch 4", "batch 6"}));
  EXPECT_TRUE(refuses<Error>(attempt(6, -1), {"micro batch -1"}));
}

TEST(TrainingRun, AFileThatIsRefusedChangesNothing) {
  const TemporaryFolder folder;
  const CountedTask task;
  nn::LanguageModel model(small_backbone("rnn"), 1);
  TrainingRun run(task, model, constant_rate(1e-2, 3));
  run.step();
  const std::vector<Tensor> before = test::weights_of(model);
  EXPECT_TRUE(
      refuses<FileError>([&] { run.load(folder / "missing.h5"); }, {folder / "missing.h5"}));
  nn::LanguageModel other(small_backbone("gru"), 1);
  TrainingRun(task, other, constant_rate(1e-2, 3)).save(folder / "other.h5", "", {});
  EXPECT_TRUE(refuses<FileError>([&] { run.load(folder / "other.h5"); }, {"another model"}));
  EXPECT_EQ(run.steps_done(), 1);
  EXPECT_TRUE(same_bits(test::weights_of(model), before));
}

TEST(TrainingRun, EachTrainingOptionChangesTheRun) {
  const auto task = small_copying();
  const auto weights = [&](const auto& change) {
    nn::LanguageModel model(small_backbone("attention"), 1);
    TrainingOptions options = constant_rate(1e-2, 8);
    change(options);
    TrainingRun run(*task, model, options);
    for (int n = 0; n < 3; ++n) {
      run.step();
    }
    return test::weights_of(model);
  };
  const std::vector<Tensor> plain = weights([](auto&) {});
  EXPECT_TRUE(same_bits(weights([](auto&) {}), plain));
  EXPECT_FALSE(same_bits(weights([](auto& o) { o.seed = 4; }), plain));
  EXPECT_FALSE(same_bits(weights([](auto& o) { o.batch = 9; }), plain));
  EXPECT_FALSE(same_bits(weights([](auto& o) { o.schedule.peak = 2e-2; }), plain));
  EXPECT_FALSE(same_bits(weights([](auto& o) { o.optimizer.weight_decay = 0.5; }), plain));
  EXPECT_FALSE(same_bits(weights([](auto& o) { o.optimizer.clip_norm = 0.01; }), plain));
}

}  // namespace
}  // namespace basin::tasks
