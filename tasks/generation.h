// Text from a model, token by token.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "nn/language_model.h"

namespace basin::tasks {

struct GenerationOptions {
  std::int64_t count = 100;  ///< tokens to add
  double temperature = 1.0;  ///< the logits are divided by it; 0: always the likeliest token
  std::int64_t top_k = 0;    ///< choose among the k likeliest; 0: among all
  std::uint64_t seed = 0;
};

/// Tokens that follow `prompt` (at least one token, each in the vocabulary), each drawn from what
/// the model gives after all before it; a model that knows max_length positions sees the last of
/// them. The model must be causal; it is switched to evaluation. `each` is called with every new
/// token and ends the generation by answering false. The same seed gives the same tokens. Throws
/// Error for options or prompts that cannot be.
std::vector<std::int64_t> generate(nn::LanguageModel& model,
                                   const std::vector<std::int64_t>& prompt,
                                   const GenerationOptions& options,
                                   const std::function<bool(std::int64_t)>& each = {});

/// One token drawn from logits (vocabulary): `draw` in [0, 1) picks it.
std::int64_t sample_token(const Tensor& logits, double temperature, std::int64_t top_k,
                          double draw);

}  // namespace basin::tasks
