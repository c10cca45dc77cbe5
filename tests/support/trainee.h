// A model with its optimizer, for tests of what a checkpoint keeps.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nn/checkpoint.h"
#include "nn/language_model.h"
#include "nn/optim/optimizer.h"
#include "tests/support/small_models.h"

namespace basin::test {

struct Trainee {
  explicit Trainee(const nn::BackboneOptions& options, std::uint64_t seed = 1)
      : model(options, seed), optimizer(model.parameters(), {}) {}

  /// Steps `from` to `to` - 1, each on its own random tokens.
  void train(std::uint64_t from, std::uint64_t to) {
    const nn::BackboneOptions& options = model.options();
    for (std::uint64_t step = from; step < to; ++step) {
      model.clear_grad();
      const auto tokens = [&](std::uint64_t seed) {
        return random_tokens(4, options.max_length, options.vocabulary, seed);
      };
      model.loss(tokens(2 * step), tokens(2 * step + 1)).backward();
      optimizer.step(1e-2);
    }
  }

  /// Copies of all that a checkpoint has to bring back.
  std::vector<Tensor> everything() const {
    std::vector<Tensor> all = weights_of(model);
    for (const nn::Optimizer::State& moments : optimizer.states()) {
      all.push_back(moments.slots[0].clone());
      all.push_back(moments.slots[1].clone());
    }
    all.push_back(Tensor::from<std::int64_t>(
        {2}, std::vector<std::int64_t>{optimizer.steps(),
                                       static_cast<std::int64_t>(model.dropout_position())}));
    return all;
  }

  nn::LanguageModel model;
  nn::AdamW optimizer;
};

inline nn::TrainingState training_state(std::int64_t step) {
  nn::TrainingState state;
  state.configuration = "task=copying\nbackbone=hopfield\n# ümläut\n";
  state.step = step;
  state.metrics = {{"second-half token accuracy", 0.125}, {"loss", 3.0000000000000004}};
  return state;
}

}  // namespace basin::test
