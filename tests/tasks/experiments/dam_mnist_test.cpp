#include "tasks/experiments/attention_heads_as_memories/dam_mnist.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "tasks/experiments/attention_heads_as_memories/dam_mnist_report.h"
#include "tasks/experiments/attention_heads_as_memories/image_baselines.h"
#include "tasks/images/mnist.h"
#include "tensor/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/idx_files.h"
#include "tests/support/same_bits.h"

namespace basin::experiments {
namespace {

using test::refuses;
using test::TemporaryFolder;

// Bars that are easy to tell apart.
struct Bars {
  LabelledRows train, validation, test;
};
Bars bars() {
  const TemporaryFolder folder;
  test::write_small_mnist(folder, 300, 100);
  const tasks::Mnist mnist = tasks::read_mnist(folder.path());
  const auto rows = [](const tasks::LabelledImages& images) {
    return LabelledRows{tasks::signed_pixels(images, DType::f32), images.labels};
  };
  return {rows(mnist.train.slice(0, 200)), rows(mnist.train.slice(200, 300)), rows(mnist.test)};
}

DenseTraining small_training() {
  DenseTraining by;
  by.model.memories = 20;
  by.model.degree = 3;
  by.model.initial_mean = 0.0;
  by.model.temperature = 40;
  by.half_power = 4;
  by.batch = 20;
  by.epochs = 15;
  by.decay = 0.9;
  return by;
}

DenseRun run_of(const Bars& data, const DenseTraining& by, std::uint64_t seed) {
  return train_dense(data.train, data.validation, data.test, by, seed,
                     [](double, double, double) {});
}

TEST(DenseTraining, LearnsBarsAndRepeatsItselfToTheBit) {
  const Bars data = bars();
  const DenseRun run = run_of(data, small_training(), 1);
  EXPECT_EQ(run.validation_error.size(), 15u);
  EXPECT_GT(run.validation_error.front(), 20.0);
  EXPECT_LT(run.test_error_best, 5.0);
  const DenseRun again = run_of(data, small_training(), 1);
  EXPECT_TRUE(test::same_bits(again.memories, run.memories));
  EXPECT_EQ(again.validation_error, run.validation_error);
  EXPECT_FALSE(test::same_bits(run_of(data, small_training(), 2).memories, run.memories));
}

TEST(DenseTraining, ValidationAloneChoosesTheEpoch) {
  const Bars data = bars();
  const DenseRun run = run_of(data, small_training(), 1);
  const auto least = std::min_element(run.validation_error.begin(), run.validation_error.end());
  EXPECT_EQ(run.best_epoch, least - run.validation_error.begin() + 1);
  // Other test labels change what is reported of the test, and nothing else.
  Bars wrong = data;
  wrong.test.labels = data.train.labels.slice(0, 1, 101);
  const DenseRun other = run_of(wrong, small_training(), 1);
  EXPECT_GT(other.test_error_best, 90.0);
  EXPECT_EQ(other.best_epoch, run.best_epoch);
  EXPECT_TRUE(test::same_bits(other.memories, run.memories));
}

TEST(DenseTraining, EveryOptionChangesTheRun) {
  const Bars data = bars();
  DenseTraining plain = small_training();
  plain.epochs = 2;
  const DenseRun run = run_of(data, plain, 1);
  const auto differs = [&](const auto& change) {
    DenseTraining by = plain;
    change(by);
    const DenseRun other = run_of(data, by, 1);
    return other.train_error != run.train_error || !test::same_bits(other.memories, run.memories);
  };
  EXPECT_TRUE(differs([](DenseTraining& by) { by.half_power = 2; }));
  EXPECT_TRUE(differs([](DenseTraining& by) { by.learning_rate = 0.03; }));
  EXPECT_TRUE(differs([](DenseTraining& by) { by.decay = 0.5; }));
  EXPECT_TRUE(differs([](DenseTraining& by) { by.momentum = 0.3; }));
  EXPECT_TRUE(differs([](DenseTraining& by) { by.batch = 40; }));
  EXPECT_TRUE(differs([](DenseTraining& by) { by.epochs = 3; }));
}

TEST(DenseTraining, OneMemoryThatFitsCarriesTheDrive) {
  Rng rng(1);
  nn::DenseClassifierOptions options;
  options.memories = 10;
  options.degree = 30;
  options.temperature = 700;
  options.initial_deviation = 0.0;
  options.initial_mean = 0.5;
  nn::DenseClassifier model(784, 10, options, rng, DType::f32);
  const LabelledRows rows{Tensor::full({3, 784}, 1.0, DType::f32), Tensor::zeros({3}, DType::u8)};
  EXPECT_EQ(memories_for_half(model, rows), 5.0);  // all alike
  Variable(model.memories()).mutable_value().select(0, 4).fill(0.9);
  EXPECT_EQ(memories_for_half(model, rows), 1.0);
}

TEST(ImageBaselines, AreWhatTheySay) {
  const Bars data = bars();
  EXPECT_DOUBLE_EQ(majority_error(data.train, data.test), 90.0);
  EXPECT_LT(nearest_mean_error(data.train, data.test), 5.0);
  EXPECT_LT(nearest_neighbour_error(data.train, data.test), 20.0);
  EXPECT_DOUBLE_EQ(nearest_neighbour_error(data.train, data.train), 0.0);
  EXPECT_LT(logistic_regression_error(data.train, data.test, 30, 1), 5.0);
  // Labels that have nothing to do with the images.
  LabelledRows shifted = data.test;
  shifted.labels = data.train.labels.slice(0, 1, 101);
  EXPECT_DOUBLE_EQ(nearest_mean_error(data.train, shifted) + 0.0, 100.0);
}

TEST(DamMnist, SmokeRunsFromFilesToVerdicts) {
  const TemporaryFolder folder;
  test::write_small_mnist(folder, 700, 300);
  Settings settings;
  settings.data = folder.path();
  Results results;
  std::set<std::string> said;
  double last = 0.0;
  for (const Part& part : dam_mnist().parts(settings)) {
    EXPECT_GT(part.cost, 0.0);
    results[part.key] = part.compute({[&](double share, const std::string& what) {
      EXPECT_TRUE(share >= 0.0 && share <= 1.0);
      last = share;
      said.insert(what);
    }});
  }
  EXPECT_EQ(results.size(), 1u + 3u * 5u);
  EXPECT_GT(said.size(), 10u);
  EXPECT_EQ(last, 1.0);

  const Report report = dam_mnist().report(settings, results);
  ASSERT_EQ(report.tables.size(), 2u);
  for (const ResultTable& table : report.tables) {
    for (const auto& row : table.rows) {
      EXPECT_EQ(row.size(), table.columns.size());
    }
  }
  EXPECT_EQ(report.tables[0].rows.size(), 5u + 4u);
  ASSERT_EQ(report.figures.size(), 2u + 5u);
  // Two curves over our settings, and the published one beside them.
  ASSERT_EQ(report.figures[0].series.size(), 3u);
  EXPECT_EQ(report.figures[0].series[0].points.size(), 4u);
  EXPECT_EQ(report.figures[0].series[2].points.size(), 1u);
  const Grid& grid = *report.figures[2].grid;
  EXPECT_EQ(grid.values.size(), static_cast<std::size_t>(grid.rows * grid.columns));
  EXPECT_EQ(grid.columns, 5 * 29 + 1);
  ASSERT_EQ(report.verdicts.size(), 2u);
  EXPECT_EQ(report.verdicts[0].judgement, Judgement::not_comparable);
}

TEST(DamMnist, SaysWhatItNeeds) {
  const TemporaryFolder folder;
  Settings settings;
  EXPECT_TRUE(refuses<FileError>([&] { dam_mnist().parts(settings); }, {"no folder of data"}));
  settings.data = folder.path();
  EXPECT_TRUE(refuses<FileError>([&] { dam_mnist().parts(settings); },
                                 {"train-images-idx3-ubyte is missing", folder.path()}));
  test::write_small_mnist(folder, 100, 10);
  EXPECT_TRUE(refuses<FileError>([&] { dam_mnist().parts(settings); },
                                 {"hold 100 images", "500 for training", "200 for validation"}));
}

TEST(DamMnist, TheVerdictFollowsFromTheNumbers) {
  const auto judged = [](const std::vector<double>& errors, std::int64_t images,
                         std::int64_t epochs, Size size) {
    return published_error_verdict(errors, images, epochs, size).judgement;
  };
  EXPECT_EQ(judged({1.5, 1.6, 1.7}, 10000, 300, Size::full), Judgement::reproduced);
  EXPECT_EQ(judged({2.0, 2.05, 2.1}, 5000, 300, Size::full), Judgement::reproduced);
  EXPECT_EQ(judged({4.0, 4.1, 4.2}, 10000, 300, Size::full), Judgement::contradicted);
  EXPECT_EQ(judged({4.0, 4.1, 4.2}, 10000, 40, Size::small), Judgement::undecided);
  EXPECT_EQ(judged({0.5, 0.5, 0.5}, 10000, 40, Size::small), Judgement::contradicted);
  EXPECT_EQ(judged({1.5, 1.6, 1.7}, 10000, 8, Size::smoke), Judgement::not_comparable);
  // The interval is never only that of the seeds.
  EXPECT_EQ(judged({1.85, 1.85, 1.85}, 10000, 300, Size::full), Judgement::reproduced);
  EXPECT_NE(published_error_verdict({1.5, 1.6}, 5000, 300, Size::full).ours.find("first 5000"),
            std::string::npos);
}

}  // namespace
}  // namespace basin::experiments
