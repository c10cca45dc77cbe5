#include "nn/layers/association.h"

#include <cmath>

#include "autograd/operations.h"
#include "tensor/error.h"

namespace basin::nn {

Association::Association(std::int64_t width, std::int64_t heads, const AssociationOptions& options,
                         Rng& rng, DType dtype, bool rotary)
    : width_(width),
      heads_(heads),
      options_(options),
      rotary_(rotary),
      query_(width, width, rng, dtype),
      key_(width, width, rng, dtype),
      value_(width, width, rng, dtype),
      out_(width, width, rng, dtype) {
  if (heads < 1 || width % heads != 0) {
    fail("[Association] the width {} must be a multiple of the number of heads {}", width, heads);
  }
  if (const std::string problem = validate(options); !problem.empty()) {
    fail("[Association] {}", problem);
  }
  if (rotary && width / heads % 2 != 0) {
    fail("[Association] rotary positions need an even head width; {} / {} is {}", width, heads,
         width / heads);
  }
  add_module("query", query_);
  add_module("key", key_);
  add_module("value", value_);
  add_module("out", out_);
  const double head_width = static_cast<double>(width / heads);
  const double beta = options.beta == 0.0 ? 1.0 / std::sqrt(head_width) : options.beta;
  switch (options.learned_beta) {
    case LearnedBeta::none: fixed_beta_ = add_constant(Tensor::full({heads}, beta, dtype)); break;
    case LearnedBeta::layer:
      log_beta_ = add_parameter("log_beta", Tensor::full({1}, std::log(beta), dtype));
      break;
    case LearnedBeta::head:
      log_beta_ = add_parameter("log_beta", Tensor::full({heads}, std::log(beta), dtype));
      break;
  }
}

Variable Association::beta() const {
  return log_beta_.defined() ? expand(exp(log_beta_), {heads_}) : fixed_beta_;
}

// (B, L, width) to (B, heads, L, width / heads), a view.
Variable Association::split_heads(const Variable& x) const {
  return transpose(reshape(x, {x.size(0), x.size(1), heads_, width_ / heads_}), 1, 2);
}

Variable Association::forward(const Variable& query, const Variable& stored, const Variable& values,
                              const Tensor& key_lengths) const {
  const auto positioned = [this](const Variable& x) { return rotary_ ? rotary(x) : x; };
  const Variable k = positioned(split_heads(key_.forward(stored)));
  const Variable v = split_heads(value_.forward(values));
  Variable state = positioned(split_heads(query_.forward(query)));
  if (options_.separation == Separation::linear) {
    state = linear_attention(state, k, v, key_lengths, options_.causal);
  } else {
    const Variable inverse_temperature = beta();
    // All but the last step move the state among the stored patterns; the last reads the values.
    for (std::int64_t step = 1; step < options_.update_steps; ++step) {
      state = attention(state, k, k, inverse_temperature, key_lengths, options_.causal);
    }
    state = attention(state, k, v, inverse_temperature, key_lengths, options_.causal);
  }
  return out_.forward(reshape(transpose(state, 1, 2), {query.size(0), query.size(1), width_}));
}

}  // namespace basin::nn
