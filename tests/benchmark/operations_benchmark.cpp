// The operations of a training step at the sizes of the copying task (batch 32, length 127, width
// 64, 4 heads), forward and backward, and whole steps of every backbone.
#include <benchmark/benchmark.h>

#include "autograd/operations.h"
#include "tasks/training.h"
#include "tensor/rng.h"

namespace basin {
namespace {

constexpr std::int64_t kBatch = 32;
constexpr std::int64_t kLength = 127;
constexpr std::int64_t kWidth = 64;
constexpr std::int64_t kHeads = 4;
constexpr std::int64_t kTokens = kBatch * kLength;

Variable random_variable(const Shape& shape) {
  static Rng rng(1);
  return Variable(rng.normal(shape, 1.0, DType::f32), true);
}

// Times the call alone, or the call and its backward pass.
template <class F>
void time(benchmark::State& state, const F& call) {
  const bool backward = state.range(0) == 1;
  Tensor seed;
  for (auto _ : state) {
    const Variable y = call();
    if (backward) {
      if (!seed.defined()) seed = Tensor::full(y.shape(), 1.0, y.dtype());
      y.backward(seed);
    }
    benchmark::DoNotOptimize(y.value().raw());
  }
  state.SetLabel(backward ? "forward and backward" : "forward");
  state.SetItemsProcessed(state.iterations() * kTokens);
}

void linear_up(benchmark::State& state) {
  const Variable x = random_variable({kTokens, kWidth});
  const Variable weight = random_variable({4 * kWidth, kWidth});
  const Variable bias = random_variable({4 * kWidth});
  time(state, [&] { return linear(x, weight, bias); });
}

void gelu_of_hidden(benchmark::State& state) {
  const Variable x = random_variable({kTokens, 4 * kWidth});
  time(state, [&] { return gelu(x); });
}

void layer_norm_of_states(benchmark::State& state) {
  const Variable x = random_variable({kTokens, kWidth});
  const Variable weight = random_variable({kWidth});
  const Variable bias = random_variable({kWidth});
  time(state, [&] { return layer_norm(x, weight, bias, 1e-5); });
}

void softmax_attention(benchmark::State& state) {
  const Shape shape = {kBatch, kHeads, kLength, kWidth / kHeads};
  const Variable q = random_variable(shape);
  const Variable k = random_variable(shape);
  const Variable v = random_variable(shape);
  const Variable beta(Tensor::full({kHeads}, 0.25, DType::f32), true);
  time(state, [&] { return attention(q, k, v, beta, Tensor(), true); });
}

void linear_attention_causal(benchmark::State& state) {
  const Shape shape = {kBatch, kHeads, kLength, kWidth / kHeads};
  const Variable q = random_variable(shape);
  const Variable k = random_variable(shape);
  const Variable v = random_variable(shape);
  time(state, [&] { return linear_attention(q, k, v, Tensor(), true); });
}

void recurrence(benchmark::State& state) {
  const Variable x = random_variable({kBatch, kLength, kWidth});
  const Variable weight = affine(random_variable({kWidth, kWidth}), 0.1, 0.0).detach();
  time(state, [&] { return rnn(x, weight, kernels::Nonlinearity::tanh); });
}

BENCHMARK(linear_up)->Arg(0)->Arg(1)->Unit(benchmark::kMicrosecond)->UseRealTime();
BENCHMARK(gelu_of_hidden)->Arg(0)->Arg(1)->Unit(benchmark::kMicrosecond)->UseRealTime();
BENCHMARK(layer_norm_of_states)->Arg(0)->Arg(1)->Unit(benchmark::kMicrosecond)->UseRealTime();
BENCHMARK(softmax_attention)->Arg(0)->Arg(1)->Unit(benchmark::kMicrosecond)->UseRealTime();
BENCHMARK(linear_attention_causal)->Arg(0)->Arg(1)->Unit(benchmark::kMicrosecond)->UseRealTime();
BENCHMARK(recurrence)->Arg(0)->Arg(1)->Unit(benchmark::kMicrosecond)->UseRealTime();

void training_step(benchmark::State& state, const std::string& kind) {
  const auto task = tasks::make_task({});
  nn::BackboneOptions options;
  options.kind = kind;
  options.vocabulary = task->vocabulary();
  options.max_length = task->length();
  nn::LanguageModel model(options, 1);
  tasks::TrainingOptions how;
  how.schedule.total_steps = 1000000;
  tasks::TrainingRun run(*task, model, how);
  std::int64_t tokens = 0;
  for (auto _ : state) {
    tokens += run.step().tokens;
  }
  state.SetItemsProcessed(tokens);
}

}  // namespace
}  // namespace basin

int main(int argc, char** argv) {
  for (const basin::nn::BackboneKind& kind : basin::nn::backbone_kinds()) {
    benchmark::RegisterBenchmark(("training_step/" + kind.name).c_str(), basin::training_step,
                                 kind.name)
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime();
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
