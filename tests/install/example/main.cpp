// A small language model learns to count modulo 10.
#include <cstdint>
#include <cstdio>

#include "nn/language_model.h"
#include "nn/optim/optimizer.h"

int main() {
  using namespace basin;
  constexpr std::int64_t kBatch = 8, kLength = 16, kVocabulary = 10;
  Tensor tokens = Tensor::zeros({kBatch, kLength}, DType::i64);
  Tensor targets = Tensor::zeros({kBatch, kLength}, DType::i64);
  for (std::int64_t b = 0; b < kBatch; ++b) {
    for (std::int64_t l = 0; l < kLength; ++l) {
      tokens.mutable_data<std::int64_t>()[b * kLength + l] = (b + l) % kVocabulary;
      targets.mutable_data<std::int64_t>()[b * kLength + l] = (b + l + 1) % kVocabulary;
    }
  }

  nn::BackboneOptions options;
  options.kind = "hopfield";
  options.vocabulary = kVocabulary;
  options.width = 32;
  options.layers = 1;
  options.max_length = kLength;
  nn::LanguageModel model(options, 1);
  const auto optimizer = nn::make_optimizer(model.parameters(), nn::OptimizerOptions());
  double first = 0.0, last = 0.0;
  for (int step = 0; step < 50; ++step) {
    model.clear_grad();
    const Variable loss = model.loss(tokens, targets);
    last = loss.value().item();
    first = step == 0 ? last : first;
    loss.backward();
    optimizer->step(1e-2);
  }
  std::printf("the loss fell from %.3f to %.3f nats\n", first, last);
  return last < 0.1 * first ? 0 : 1;
}
