// Training steps as a graph must be the same steps, to the bit. Used with the executor in every
// test run, and with a GPU where there is one.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "tasks/training.h"
#include "tests/support/guarded_allocator.h"
#include "tests/support/same_bits.h"
#include "tests/support/small_models.h"

namespace basin::test {

/// Random tokens; the number of targets and, with `padded`, the length differ from example to
/// example. With `changing`, batches that begin with an odd number are shorter than others.
class VaryingTask final : public tasks::Task {
 public:
  explicit VaryingTask(bool padded, bool changing = false) : padded_(padded), changing_(changing) {}

  static constexpr std::int64_t kExamples = 40;
  static constexpr std::int64_t kLength = 12;

  std::string name() const override { return "varying"; }
  std::int64_t vocabulary() const override { return 11; }
  std::int64_t length() const override { return kLength; }
  std::int64_t examples(tasks::Split) const override { return kExamples; }

  tasks::Batch batch(tasks::Split, std::span<const std::int64_t> numbers) const override {
    const std::int64_t length = changing_ && numbers.front() % 2 != 0 ? kLength - 4 : kLength;
    std::vector<std::int64_t> tokens;
    std::vector<std::int64_t> targets;
    std::vector<std::int64_t> lengths;
    for (const std::int64_t number : numbers) {
      lengths.push_back(padded_ ? 3 + number % (length - 2) : length);
      const std::vector<std::int64_t> ids =
          random_tokens(1, length, 11, static_cast<std::uint64_t>(number))
              .to_vector<std::int64_t>();
      for (std::int64_t at = 0; at < length; ++at) {
        tokens.push_back(ids[static_cast<std::size_t>(at)]);
        const bool counts = at < lengths.back() && at >= number % 5;
        targets.push_back(counts ? (ids[static_cast<std::size_t>(at)] + 3) % 11 : tasks::kIgnored);
      }
    }
    const auto rows = static_cast<std::int64_t>(numbers.size());
    return {Tensor::from<std::int64_t>({rows, length}, tokens),
            Tensor::from<std::int64_t>({rows, length}, targets),
            padded_ ? Tensor::from<std::int64_t>({rows}, lengths) : Tensor()};
  }

  std::unique_ptr<tasks::MetricAccumulator> metrics() const override { return nullptr; }
  std::string metric_name() const override { return "none"; }
  bool higher_is_better() const override { return true; }
  std::vector<tasks::Metric> baselines() const override { return {}; }

 private:
  bool padded_, changing_;
};

/// A model and how it is trained.
struct GraphCase {
  std::string name;
  nn::BackboneOptions backbone;
  nn::OptimizerOptions optimizer{};
  bool padded = false;
};

inline tasks::TrainingOptions graph_training(const GraphCase& setup, tasks::StepGraph graph) {
  tasks::TrainingOptions options;
  options.batch = 3;
  options.seed = 5;
  options.schedule.kind = nn::ScheduleKind::cosine;
  options.schedule.peak = 2e-2;
  options.schedule.warmup_steps = 3;
  options.schedule.total_steps = 7;
  options.optimizer = setup.optimizer;
  options.graph = graph;
  return options;
}

/// Everything that draws random numbers, or has a state of its own, in some case.
inline std::vector<GraphCase> graph_cases() {
  std::vector<GraphCase> cases;
  const auto add = [&](const std::string& name, const std::string& kind, bool padded,
                       const std::function<void(GraphCase&)>& change) {
    GraphCase setup{name, small_backbone(kind), {}, padded};
    setup.backbone.dropout = 0.2;
    setup.optimizer.clip_norm = 0.5;
    change(setup);
    cases.push_back(setup);
  };
  const auto association = [](GraphCase& setup) -> AssociationOptions& {
    if (!setup.backbone.association) {
      setup.backbone.association = nn::backbone_kind(setup.backbone.kind).defaults;
    }
    return *setup.backbone.association;
  };
  for (const std::string& kind : all_backbones()) {
    add(kind, kind, nn::backbone_kind(kind).is_association, [](GraphCase&) {});
  }
  add("recompute", "attention", true, [](GraphCase& s) { s.backbone.recompute = true; });
  add("f64-sgd", "hopfield", false, [](GraphCase& s) {
    s.backbone.dtype = DType::f64;
    s.optimizer.kind = nn::OptimizerKind::sgd;
    s.optimizer.nesterov = true;
  });
  add("adam-rotary", "attention", false, [](GraphCase& s) {
    s.backbone.positions = nn::PositionKind::rotary;
    s.optimizer.kind = nn::OptimizerKind::adam;
  });
  add("tf32", "attention", true, [](GraphCase& s) { s.backbone.precision = Precision::tf32; });
  add("weight-dropout", "attention", true, [&](GraphCase& s) {
    association(s).weight_dropout = 0.3;
    s.backbone.recompute = true;
  });
  add("random-mask", "attention", false, [&](GraphCase& s) {
    association(s).random_keep = 0.6;
    association(s).random_draw = MaskDraw::training;
  });
  add("redraw", "random-feature-attention", true,
      [&](GraphCase& s) { association(s).redraw_every = 2; });
  add("redraw-recompute", "random-feature-attention", false, [&](GraphCase& s) {
    association(s).redraw_every = 3;
    s.backbone.recompute = true;
  });
  return cases;
}

inline std::string graph_case_name(const testing::TestParamInfo<GraphCase>& info) {
  std::string name = info.param.name;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

/// What a run did and what it left.
struct Trained {
  std::vector<double> figures;  ///< loss, norm and rate of each step
  std::vector<Tensor> state;    ///< weights, buffers, position of the draws
  std::string how;              ///< the last step ran
};

inline std::vector<Tensor> state_of(nn::LanguageModel& model) {
  std::vector<Tensor> state;
  for (const nn::Parameter& parameter : model.parameters()) {
    state.push_back(parameter.variable.value().to(Device::cpu).clone());
  }
  for (const nn::Buffer& buffer : model.buffers()) {
    state.push_back(buffer.variable.value().to(Device::cpu).clone());
  }
  state.push_back(Tensor::from<std::int64_t>(
      {1}, std::vector<std::int64_t>{static_cast<std::int64_t>(model.dropout_position())}));
  return state;
}

inline Trained train(const GraphCase& setup, Device device, tasks::StepGraph graph, int steps) {
  const GuardedTensors guarded(device);
  const VaryingTask task(setup.padded);
  nn::LanguageModel model(setup.backbone, 1);
  model.to(device);
  tasks::TrainingRun run(task, model, graph_training(setup, graph));
  Trained result;
  for (int n = 0; n < steps; ++n) {
    const tasks::StepReport report = run.step();
    result.figures.insert(result.figures.end(),
                          {report.loss, report.gradient_norm, report.learning_rate});
  }
  result.state = state_of(model);
  result.how = run.how_steps_run();
  return result;
}

/// Seven steps with and without a graph: the first is plain, and random features are drawn anew in
/// two or three of the others.
inline void graph_changes_nothing(const GraphCase& setup, Device device) {
  const Trained plain = train(setup, device, tasks::StepGraph::off, 7);
  const Trained graph = train(setup, device, tasks::StepGraph::automatic, 7);
  EXPECT_EQ(graph.figures, plain.figures);
  EXPECT_TRUE(same_bits(graph.state, plain.state));
  EXPECT_EQ(graph.how.rfind("one graph of ", 0), 0u) << graph.how;
  EXPECT_EQ(plain.how, "kernel by kernel: graphs are switched off");
  // Steps that all did the same would agree as well.
  EXPECT_NE(graph.figures[3 * 5], graph.figures[3 * 6]);
}

}  // namespace basin::test
