// Training steps on a device: nobody waits for them, and as one graph they are the same steps.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "autograd/anomaly.h"
#include "autograd/profiler.h"
#include "tasks/device_step.h"
#include "tensor/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/step_graph.h"
#include "tests/support/temporary_folder.h"

namespace basin::tasks {
namespace {

using test::graph_training;
using test::GraphCase;
using test::refuses;
using test::same_bits;
using test::small_backbone;
using test::state_of;
using test::TemporaryFolder;
using test::VaryingTask;

class StepGraphOnExecutor : public testing::TestWithParam<GraphCase> {};

TEST_P(StepGraphOnExecutor, ChangesNothing) {
  test::graph_changes_nothing(GetParam(), Device::simt);
}

TEST_P(StepGraphOnExecutor, GoesOnFromAFileBitForBit) {
  const TemporaryFolder folder;
  const GraphCase& setup = GetParam();
  const VaryingTask task(setup.padded);
  const TrainingOptions options = graph_training(setup, StepGraph::automatic);
  nn::LanguageModel straight_model(setup.backbone, 1);
  straight_model.to(Device::simt);
  TrainingRun straight(task, straight_model, options);
  std::vector<double> losses;
  for (int n = 0; n < 7; ++n) {
    if (n == 3) {
      straight.save(folder / "run.h5", "", {});
    }
    losses.push_back(straight.step().loss);
  }
  nn::LanguageModel model(setup.backbone, 1);
  model.to(Device::simt);
  TrainingRun resumed(task, model, options);
  for (int n = 0; n < 3; ++n) {
    resumed.step();
  }
  EXPECT_EQ(resumed.how_steps_run().rfind("one graph of ", 0), 0u) << "when it loads";
  resumed.load(folder / "run.h5");
  for (std::size_t n = 3; n < 7; ++n) {
    EXPECT_EQ(resumed.step().loss, losses[n]) << n;
  }
  EXPECT_TRUE(same_bits(state_of(model), state_of(straight_model)));
}

INSTANTIATE_TEST_SUITE_P(Every, StepGraphOnExecutor, testing::ValuesIn(test::graph_cases()),
                         test::graph_case_name);

// A small model on the executor and its run.
struct Trainee {
  explicit Trainee(StepGraph graph, const Task& task, double peak = 1e-2,
                   std::int64_t micro_batch = 0,
                   const nn::BackboneOptions& backbone = small_backbone("attention"))
      : model(backbone, 1) {
    model.to(Device::simt);
    TrainingOptions options;
    options.batch = 3;
    options.micro_batch = micro_batch;
    options.seed = 5;
    options.schedule.kind = nn::ScheduleKind::constant;
    options.schedule.peak = peak;
    options.graph = graph;
    training = std::make_unique<TrainingRun>(task, model, options);
  }
  std::vector<Tensor> weights() const {
    std::vector<Tensor> all;
    for (const nn::Parameter& parameter : model.parameters()) {
      all.push_back(parameter.variable.value().to(Device::cpu).clone());
    }
    return all;
  }
  nn::LanguageModel model;
  std::unique_ptr<TrainingRun> training;
};

TEST(StepGraph, AdvanceTellsTheSameOneStepLate) {
  const VaryingTask task(true);
  Trainee waiting(StepGraph::off, task);
  Trainee ahead(StepGraph::automatic, task);
  std::vector<StepReport> expected;
  std::vector<StepReport> found;
  for (int n = 0; n < 6; ++n) {
    expected.push_back(waiting.training->step());
    const std::optional<StepReport> report = ahead.training->advance();
    EXPECT_EQ(report.has_value(), n > 0);
    EXPECT_EQ(ahead.training->steps_done(), n + 1);
    if (report) {
      found.push_back(*report);
    }
  }
  found.push_back(ahead.training->finish().value());
  EXPECT_FALSE(ahead.training->finish().has_value());
  for (std::size_t n = 0; n < expected.size(); ++n) {
    EXPECT_EQ(found[n].step, expected[n].step);
    EXPECT_EQ(found[n].loss, expected[n].loss);
    EXPECT_EQ(found[n].gradient_norm, expected[n].gradient_norm);
    EXPECT_EQ(found[n].learning_rate, expected[n].learning_rate);
    EXPECT_EQ(found[n].tokens, expected[n].tokens);
  }
  EXPECT_TRUE(same_bits(ahead.weights(), waiting.weights()));
}

TEST(StepGraph, OnTheCpuAdvanceTellsAtOnce) {
  const VaryingTask task(false);
  nn::LanguageModel model(small_backbone("rnn"), 1);
  TrainingOptions options;
  options.batch = 3;
  TrainingRun run(task, model, options);
  EXPECT_EQ(run.advance().value().step, 1);
  EXPECT_FALSE(run.finish().has_value());
  EXPECT_NE(run.how_steps_run().find("the CPU has no graphs"), std::string::npos);
  options.graph = StepGraph::on;
  EXPECT_TRUE(refuses<Error>([&] { TrainingRun(task, model, options); }, {"CPU", "cuda and simt"}));
}

// The report of a step that diverged comes when the next one is queued already.
TEST(StepGraph, ADivergedStepAndTheOneBehindItChangeNothing) {
  const VaryingTask task(false);
  for (const StepGraph graph : {StepGraph::automatic, StepGraph::off}) {
    SCOPED_TRACE(name_of(graph));
    Trainee run(graph, task);
    for (int n = 0; n < 4; ++n) {
      (void)run.training->advance();
    }
    (void)run.training->finish();
    Tensor& bias = test::parameter(run.model, "blocks.1.up.bias").mutable_value();
    const Tensor good = bias.clone();
    const std::vector<Tensor> whole = run.weights();
    bias.fill(std::nan(""));
    EXPECT_FALSE(run.training->advance().has_value());
    // The next one would be finite again, were it to change anything.
    bias.copy_from(good);
    EXPECT_TRUE(refuses<Diverged>([&] { (void)run.training->advance(); },
                                  {"loss became nan", "at step 5", "smaller learning rate"}));
    EXPECT_EQ(run.training->steps_done(), 4);
    EXPECT_TRUE(same_bits(run.weights(), whole));
    EXPECT_FALSE(run.training->finish().has_value());
    // And from there it goes on like a run to which nothing happened.
    Trainee other(graph, task);
    for (int n = 0; n < 4; ++n) {
      other.training->step();
    }
    EXPECT_EQ(run.training->step().loss, other.training->step().loss);
    EXPECT_EQ(run.training->step().loss, other.training->step().loss);
    EXPECT_TRUE(same_bits(run.weights(), other.weights()));
  }
}

// As on the CPU: the message, the count and the weights from before.
TEST(StepGraph, SaysWhenItDiverges) {
  const VaryingTask task(false);
  for (const bool ahead : {false, true}) {
    Trainee run(StepGraph::automatic, task, 1e38);
    std::string message;
    std::vector<std::vector<Tensor>> history = {run.weights()};
    while (message.empty() && run.training->steps_done() < 20) {
      try {
        if (ahead) {
          (void)run.training->advance();
        } else {
          (void)run.training->step();
        }
        history.push_back(run.weights());
      } catch (const Diverged& diverged) {
        message = diverged.what();
      }
    }
    const std::int64_t done = run.training->steps_done();
    EXPECT_NE(message.find("at step " + std::to_string(done + 1)), std::string::npos) << message;
    EXPECT_NE(message.find("smaller learning rate than 1e+38"), std::string::npos) << message;
    EXPECT_GT(done, 0);
    EXPECT_TRUE(same_bits(run.weights(), history.at(static_cast<std::size_t>(done))));
  }
}

TEST(StepGraph, NothingIsSavedWhileAReportIsDue) {
  const TemporaryFolder folder;
  const VaryingTask task(false);
  Trainee run(StepGraph::automatic, task);
  (void)run.training->advance();
  EXPECT_TRUE(refuses<Error>([&] { run.training->save(folder / "run.h5", "", {}); },
                             {"report of step 1", "finish()"}));
  (void)run.training->finish();
  run.training->save(folder / "run.h5", "", {});
  // What was queued before a load does not come back after it.
  (void)run.training->advance();
  run.training->load(folder / "run.h5");
  EXPECT_FALSE(run.training->finish().has_value());
  EXPECT_EQ(run.training->steps_done(), 1);
}

// Batches of another shape are computed beside the graph, which goes on behind them.
TEST(StepGraph, OtherShapesAreStepsOfTheirOwn) {
  const VaryingTask task(true, true);
  Trainee plain(StepGraph::off, task);
  Trainee graph(StepGraph::automatic, task);
  int used = 0;
  int other_shape = 0;
  for (int n = 0; n < 12; ++n) {
    EXPECT_EQ(graph.training->step().loss, plain.training->step().loss) << n;
    const std::string how = graph.training->how_steps_run();
    used += how.rfind("one graph", 0) == 0 ? 1 : 0;
    other_shape += how.find("another shape") != std::string::npos ? 1 : 0;
  }
  EXPECT_GT(used, 0);
  EXPECT_GT(other_shape, 0);
  EXPECT_TRUE(same_bits(graph.weights(), plain.weights()));
}

TEST(StepGraph, WhoLooksOnGetsPlainStepsOfTheSameBits) {
  const VaryingTask task(false);
  Trainee plain(StepGraph::off, task);
  Trainee graph(StepGraph::automatic, task);
  const auto both = [&](const char* reason) {
    EXPECT_EQ(graph.training->step().loss, plain.training->step().loss);
    EXPECT_NE(graph.training->how_steps_run().find(reason), std::string::npos)
        << graph.training->how_steps_run();
  };
  both("what memory it needs");
  both("one graph of ");
  {
    const Profiler profiler;
    both("being timed");
    EXPECT_FALSE(profiler.events().empty());
  }
  both("one graph of ");
  {
    const AnomalyMode anomaly;
    both("not finite");
  }
  both("one graph of ");
  EXPECT_TRUE(same_bits(graph.weights(), plain.weights()));
}

TEST(StepGraph, BatchesInPartsSayWhyTheyAreNoGraph) {
  const VaryingTask task(true);
  Trainee whole(StepGraph::off, task, 1e-2, 0, small_backbone("attention", DType::f64));
  Trainee parts(StepGraph::automatic, task, 1e-2, 1, small_backbone("attention", DType::f64));
  for (int n = 0; n < 3; ++n) {
    // Sums in another order.
    EXPECT_NEAR(parts.training->step().loss, whole.training->step().loss, 1e-9);
    EXPECT_NE(parts.training->how_steps_run().find("batch in parts"), std::string::npos);
  }
  EXPECT_TRUE(refuses<Error>([&] { Trainee(StepGraph::on, task, 1e-2, 1); }, {"micro batches"}));
}

// A graph writes to addresses. Weights that have moved are noticed.
TEST(StepGraph, WeightsThatMoveGetANewGraph) {
  const VaryingTask task(false);
  Trainee plain(StepGraph::off, task);
  Trainee graph(StepGraph::automatic, task);
  for (int n = 0; n < 10; ++n) {
    EXPECT_EQ(graph.training->step().loss, plain.training->step().loss) << n;
    if (n == 5) {
      EXPECT_EQ(graph.training->how_steps_run().rfind("one graph", 0), 0u);
      Variable weight = test::parameter(graph.model, "head.weight");
      const Tensor old = weight.value();
      weight.mutable_value() = old.clone();
      Tensor(old).fill(std::nan(""));
    }
    if (n == 6) {
      EXPECT_NE(graph.training->how_steps_run().find("what memory"), std::string::npos);
    }
  }
  EXPECT_EQ(graph.training->how_steps_run().rfind("one graph", 0), 0u);
  EXPECT_TRUE(same_bits(graph.weights(), plain.weights()));
}

// Between two starts of the graph, others use memory as they like.
TEST(StepGraph, ItsMemoryIsGivenToNobodyElse) {
  const VaryingTask task(false);
  Trainee plain(StepGraph::off, task);
  Trainee graph(StepGraph::automatic, task);
  for (int n = 0; n < 8; ++n) {
    EXPECT_EQ(graph.training->step().loss, plain.training->step().loss) << n;
    std::vector<Tensor> others;
    for (std::int64_t size = 1; size < 3000; size += 61) {
      others.push_back(Tensor::full({size}, std::nan(""), DType::f32, Device::simt));
    }
    EXPECT_EQ(graph.training->step().loss, plain.training->step().loss) << n;
    for (const Tensor& other : others) {
      for (const double value : other.to_vector<double>()) {
        ASSERT_TRUE(std::isnan(value));
      }
    }
  }
  EXPECT_TRUE(same_bits(graph.weights(), plain.weights()));
}

TEST(StepGraph, RefusesWhatNoKernelWouldLookAt) {
  nn::LanguageModel model(small_backbone("attention"), 1);
  model.to(Device::simt);
  const auto optimizer = nn::make_optimizer(model.parameters(), {});
  DeviceStep step(model, *optimizer, StepGraph::automatic);
  using Ids = std::vector<std::int64_t>;
  const auto queue = [&](const Ids& tokens, const Ids& targets, std::int64_t length) {
    return [&step, tokens, targets, length] {
      Batch batch;
      batch.tokens = Tensor::from<std::int64_t>({1, 3}, tokens);
      batch.targets = Tensor::from<std::int64_t>({1, 3}, targets);
      batch.lengths = Tensor::from<std::int64_t>({1}, Ids{length});
      step.queue({batch}, 0.1);
    };
  };
  EXPECT_TRUE(refuses<Error>(queue({0, 11, 0}, {0, 0, 0}, 3), {"11 at position 1", "[0, 11)"}));
  EXPECT_TRUE(refuses<Error>(queue({0, 1, 0}, {0, 0, -1}, 3), {"-1 at position 2"}));
  EXPECT_TRUE(refuses<Error>(queue({0, 1, 0}, {0, 0, 1}, 4), {"4 at position 0", "[0, 4)"}));
  EXPECT_TRUE(refuses<Error>(queue({0, 1, 0}, {-100, -100, -100}, 3), {"every target"}));
  queue({0, 1, 0}, {0, -100, 1}, 3)();
  EXPECT_TRUE(std::isfinite(step.figures().loss));
  nn::LanguageModel here(small_backbone("attention"), 1);
  const auto of_here = nn::make_optimizer(here.parameters(), {});
  EXPECT_TRUE(refuses<Error>([&] { DeviceStep(here, *of_here, StepGraph::off); }, {"CPU"}));
}

// The host starts a step once; the executor then runs all of its kernels.
TEST(StepGraph, StartsItsKernelsWithoutTheHost) {
  const VaryingTask task(false);
  Trainee plain(StepGraph::off, task);
  Trainee graph(StepGraph::automatic, task);
  for (int n = 0; n < 3; ++n) {
    plain.training->step();
    graph.training->step();
  }
  const auto launched = [](Trainee& run) {
    const std::int64_t before = launches(Device::simt);
    run.training->step();
    return launches(Device::simt) - before;
  };
  const std::int64_t kernels = launched(plain);
  EXPECT_EQ(launched(graph), kernels);
  // One is outside: it puts the learning rate where the graph reads it.
  EXPECT_EQ(graph.training->how_steps_run(),
            "one graph of " + std::to_string(kernels - 1) + " kernels");
}

}  // namespace
}  // namespace basin::tasks
