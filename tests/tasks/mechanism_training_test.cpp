// Every mechanism trains: a small causal model on the copying task, for as many steps as it takes
// to see the loss fall.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numeric>
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

TEST_P(MechanismTraining, LowersTheLossOfCopying) {
  TaskOptions task_options;
  task_options.length = 8;
  task_options.vocabulary = 6;
  const auto task = make_task(task_options);
  nn::BackboneOptions options = test::small_backbone("attention");
  options.vocabulary = task->vocabulary();
  options.max_length = task->length();
  options.width = 32;
  options.association = GetParam().options;
  if (GetParam().rotary) {
    options.positions = nn::PositionKind::rotary;
  }
  nn::LanguageModel model(options, 1);
  nn::AdamW optimizer(model.parameters(), {});
  double first = 0;
  double last = 0;
  for (std::int64_t step = 0; step < 60; ++step) {
    std::vector<std::int64_t> numbers(16);
    std::iota(numbers.begin(), numbers.end(), 16 * step);
    const Batch batch = task->batch(Split::train, numbers);
    model.clear_grad();
    const Variable loss = model.loss(batch.tokens, batch.targets);
    loss.backward();
    optimizer.step(1e-2);
    last = loss.value().item();
    first = step == 0 ? last : first;
    ASSERT_TRUE(std::isfinite(last)) << "step " << step;
  }
  EXPECT_TRUE(last <= 0.8 * first) << first << " to " << last;
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
