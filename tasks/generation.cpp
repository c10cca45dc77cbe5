#include "tasks/generation.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/common/philox.h"
#include "tensor/error.h"

namespace basin::tasks {

namespace {

// A uniform number in [0, 1) with 53 bits: a function of seed and place.
double draw_at(std::uint64_t seed, std::uint64_t place) {
  const auto words = kernels::philox(seed, place);
  const std::uint64_t bits = (std::uint64_t{words[0]} << 32 | words[1]) >> 11;
  return static_cast<double>(bits) * 0x1p-53;
}

void check(const nn::LanguageModel& model, const std::vector<std::int64_t>& prompt,
           const GenerationOptions& options) {
  const nn::BackboneOptions& o = model.options();
  if (!o.causal) {
    fail("[generate] the model sees later tokens (causal = no); it cannot go on from the left");
  }
  if (prompt.empty()) {
    fail("[generate] the prompt is empty; a model needs at least one token to go on from");
  }
  for (const std::int64_t token : prompt) {
    if (token < 0 || token >= o.vocabulary) {
      fail("[generate] the prompt holds token {}; the vocabulary has {}", token, o.vocabulary);
    }
  }
  if (options.count < 0 || options.top_k < 0 || !(options.temperature >= 0) ||
      !std::isfinite(options.temperature)) {
    fail("[generate] count {}, temperature {} and top_k {} must be 0 or positive", options.count,
         options.temperature, options.top_k);
  }
}

}  // namespace

std::int64_t sample_token(const Tensor& logits, double temperature, std::int64_t top_k,
                          double draw) {
  const std::vector<double> values = logits.to_vector<double>();
  std::vector<std::int64_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  for (const double value : values) {
    if (std::isnan(value)) {
      fail("[generate] the model answers NaN");
    }
  }
  const auto likelier = [&](std::int64_t a, std::int64_t b) {
    const double x = values[static_cast<std::size_t>(a)];
    const double y = values[static_cast<std::size_t>(b)];
    return x > y || (x == y && a < b);
  };
  const std::size_t kept = temperature == 0.0 ? 1
                           : top_k == 0       ? values.size()
                                        : std::min(values.size(), static_cast<std::size_t>(top_k));
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(kept), order.end(),
                    likelier);
  if (kept == 1) {
    return order.front();
  }
  const double best = values[static_cast<std::size_t>(order.front())];
  std::vector<double> weights;
  for (std::size_t n = 0; n < kept; ++n) {
    weights.push_back(std::exp((values[static_cast<std::size_t>(order[n])] - best) / temperature));
  }
  double left = draw * std::accumulate(weights.begin(), weights.end(), 0.0);
  for (std::size_t n = 0; n < kept; ++n) {
    left -= weights[n];
    if (left < 0) {
      return order[n];
    }
  }
  return order[kept - 1];  // by rounding
}

std::vector<std::int64_t> generate(nn::LanguageModel& model,
                                   const std::vector<std::int64_t>& prompt,
                                   const GenerationOptions& options,
                                   const std::function<bool(std::int64_t)>& each) {
  check(model, prompt, options);
  const NoGrad no_grad;
  model.train(false);
  const auto longest = static_cast<std::size_t>(model.options().max_length);
  std::vector<std::int64_t> all = prompt;
  std::vector<std::int64_t> added;
  nn::BackboneState state = model.begin();
  Tensor logits;
  // Shows the model what it has not seen yet of the last tokens.
  const auto show = [&](std::size_t from) {
    for (std::size_t n = from; n < all.size(); ++n) {
      logits = model.step(Tensor::full({1, 1}, static_cast<double>(all[n]), DType::i64), state);
    }
  };
  std::size_t first = all.size() > longest ? all.size() - longest : 0;
  show(first);
  for (std::int64_t n = 0; n < options.count; ++n) {
    if (n > 0) {
      if (all.size() - first > longest) {
        // The window is full: go on from its younger half, so that this is rare.
        first = all.size() - std::max<std::size_t>(1, longest / 2);
        state = model.begin();
        show(first);
      } else {
        show(all.size() - 1);
      }
    }
    const std::int64_t token =
        sample_token(logits.reshape({-1}), options.temperature, options.top_k,
                     draw_at(options.seed, static_cast<std::uint64_t>(n)));
    all.push_back(token);
    added.push_back(token);
    if (each && !each(token)) {
      break;
    }
  }
  return added;
}

}  // namespace basin::tasks
