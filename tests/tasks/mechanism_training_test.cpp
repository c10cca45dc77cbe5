// Every mechanism and every backbone trains, on the CPU and on the executor: a small causal model
// on the copying task, for as many steps as it takes to see the loss fall.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "nn/language_model.h"
#include "nn/optim/optimizer.h"
#include "tasks/task.h"
#include "tasks/training.h"
#include "tests/support/association_variants.h"
#include "tests/support/small_models.h"
#include "tests/support/temporary_folder.h"

namespace basin::tasks {
namespace {

class MechanismTraining : public testing::TestWithParam<test::AssociationVariant> {};

std::vector<test::AssociationVariant> causal_mechanisms() {
  std::vector<test::AssociationVariant> causal;
  for (const test::AssociationVariant& variant : test::every_mechanism()) {
    if (variant.options.causal) {
      causal.push_back(variant);
    }
  }
  return causal;
}
INSTANTIATE_TEST_SUITE_P(Every, MechanismTraining, testing::ValuesIn(causal_mechanisms()),
                         test::variant_name);

// Copying of 3 symbols out of 5: short enough for the executor.
std::unique_ptr<Task> small_copying() {
  TaskOptions options;
  options.length = 8;
  options.vocabulary = 6;
  return make_task(options);
}

nn::BackboneOptions options_for(const Task& task, const std::string& kind, DType dtype) {
  nn::BackboneOptions options = test::small_backbone(kind, dtype);
  options.vocabulary = task.vocabulary();
  options.max_length = task.length();
  options.width = 32;
  return options;
}

nn::BackboneOptions options_for(const Task& task, const test::AssociationVariant& mechanism,
                                DType dtype) {
  nn::BackboneOptions options = options_for(task, "attention", dtype);
  options.association = mechanism.options;
  if (mechanism.rotary) {
    options.positions = nn::PositionKind::rotary;
  }
  return options;
}

/// The loss before each of some steps of AdamW, in nats.
std::vector<double> losses_of_training(const nn::BackboneOptions& options, const Task& task,
                                       Device device, int steps, std::int64_t batch_size = 16) {
  nn::LanguageModel model(options, 1);
  model.to(device);
  nn::AdamW optimizer(model.parameters(), {});
  std::vector<double> losses;
  for (int step = 0; step < steps; ++step) {
    std::vector<std::int64_t> numbers(static_cast<std::size_t>(batch_size));
    std::iota(numbers.begin(), numbers.end(), batch_size * step);
    const Batch batch = task.batch(Split::train, numbers);
    model.clear_grad();
    const Variable loss = model.loss(batch.tokens, batch.targets);
    loss.backward();
    optimizer.step(1e-2);
    losses.push_back(loss.value().item());
  }
  return losses;
}

void expect_lower_loss(const std::vector<double>& losses, double share = 0.8) {
  for (std::size_t step = 0; step < losses.size(); ++step) {
    ASSERT_TRUE(std::isfinite(losses[step])) << "step " << step;
  }
  EXPECT_TRUE(losses.back() <= share * losses.front()) << losses.front() << " to " << losses.back();
}

/// Few steps of few sequences, since the executor is slow. In f64, where the noise that Adam makes
/// of gradients near zero stays small, each step is the CPU's, which goes on to a low loss; in f32
/// the first loss is, and the loss falls.
void expect_training_on_the_executor(const nn::BackboneOptions& options, const Task& task) {
  constexpr std::int64_t kBatch = 4;
  nn::BackboneOptions exact = options;
  exact.dtype = DType::f64;
  const std::vector<double> here = losses_of_training(exact, task, Device::cpu, 3, kBatch);
  const std::vector<double> there = losses_of_training(exact, task, Device::simt, 3, kBatch);
  for (std::size_t step = 0; step < here.size(); ++step) {
    EXPECT_NEAR(there[step], here[step], 1e-8) << "step " << step;
  }
  const std::vector<double> losses = losses_of_training(options, task, Device::simt, 6, kBatch);
  EXPECT_NEAR(losses.front(), losses_of_training(options, task, Device::cpu, 1, kBatch).front(),
              1e-5);
  expect_lower_loss(losses, 0.99);
}

TEST_P(MechanismTraining, LowersTheLossOfCopying) {
  const auto task = small_copying();
  expect_lower_loss(
      losses_of_training(options_for(*task, GetParam(), DType::f32), *task, Device::cpu, 60));
}

TEST_P(MechanismTraining, LowersTheLossOnTheExecutorAsOnTheCpu) {
  const auto task = small_copying();
  expect_training_on_the_executor(options_for(*task, GetParam(), DType::f32), *task);
}

class BackboneTraining : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Every, BackboneTraining, testing::ValuesIn(test::all_backbones()),
                         test::test_name);

TEST_P(BackboneTraining, LowersTheLossOfCopying) {
  const auto task = small_copying();
  expect_lower_loss(
      losses_of_training(options_for(*task, GetParam(), DType::f32), *task, Device::cpu, 60));
}

TEST_P(BackboneTraining, LowersTheLossOnTheExecutorAsOnTheCpu) {
  const auto task = small_copying();
  expect_training_on_the_executor(options_for(*task, GetParam(), DType::f32), *task);
}

// A backbone that retrieves is its kind's options and nothing more: with the mechanism given, the
// kinds are one model, and what MechanismTraining shows of "attention" holds for all of them.
TEST_P(MechanismTraining, IsTheSameModelInEveryBackboneThatRetrieves) {
  const auto task = small_copying();
  const nn::BackboneOptions options = options_for(*task, GetParam(), DType::f32);
  const std::vector<double> losses = losses_of_training(options, *task, Device::cpu, 3);
  for (const nn::BackboneKind& kind : nn::backbone_kinds()) {
    if (kind.is_association) {
      nn::BackboneOptions other = options;
      other.kind = kind.name;
      EXPECT_EQ(losses_of_training(other, *task, Device::cpu, 3), losses) << kind.name;
    }
  }
}

// What training draws is part of what a checkpoint keeps.
TEST(MechanismDraws, GoOnFromAFileBitForBit) {
  const auto features = [](AssociationOptions& o) {
    o.separation = Separation::random_features;
    o.redraw_every = 3;
  };
  const auto masks = [](AssociationOptions& o) {
    o.random_keep = 0.5;
    o.weight_dropout = 0.2;
  };
  for (const auto& change : {std::function<void(AssociationOptions&)>(features),
                             std::function<void(AssociationOptions&)>(masks)}) {
    for (const bool recompute : {false, true}) {
      const test::TemporaryFolder folder;
      TaskOptions task_options;
      task_options.length = 8;
      task_options.vocabulary = 6;
      const auto task = make_task(task_options);
      nn::BackboneOptions options = test::small_backbone("attention");
      options.association = AssociationOptions{};
      change(*options.association);
      options.recompute = recompute;
      TrainingOptions training;
      training.batch = 8;
      nn::LanguageModel straight_model(options, 1);
      TrainingRun straight(*task, straight_model, training);
      std::vector<double> losses;
      for (int n = 0; n < 10; ++n) {
        if (n == 4) {
          straight.save(folder / "run.h5", "the configuration", {});
        }
        losses.push_back(straight.step().loss);
      }
      nn::LanguageModel model(options, 1);
      TrainingRun resumed(*task, model, training);
      resumed.step();  // somewhere else before it loads
      resumed.load(folder / "run.h5");
      for (std::size_t n = 4; n < 10; ++n) {
        EXPECT_EQ(resumed.step().loss, losses[n]) << n << " recompute " << recompute;
      }
    }
  }
}

}  // namespace
}  // namespace basin::tasks
