// The mean over valid rows of lse(logits) - logits[target] (with label smoothing s, the target is
// 1 - s on the class and s / classes on all). dlogits = dloss / rows (softmax(logits) - target).
#include "autograd/node.h"
#include "autograd/opdb.h"
#include "autograd/operations.h"
#include "tensor/functions/cross_entropy.h"

namespace basin {

Variable cross_entropy(const Variable& logits, const Tensor& targets, std::int64_t ignore_index,
                       double label_smoothing) {
  CrossEntropyResult result = cross_entropy(logits.value(), targets, ignore_index, label_smoothing);
  return record(
      "cross_entropy", {logits}, result.loss,
      [logits = Saved(logits.value()), targets = Saved(targets), lse = Saved(result.lse),
       count = result.count, ignore_index, label_smoothing](const Tensor& dy, auto) {
        return std::vector{cross_entropy_backward(logits.get(), targets.get(), lse.get(), count, dy,
                                                  ignore_index, label_smoothing)};
      });
}

namespace {

using In = const std::vector<Variable>&;

const RegisterOp registered_cross_entropy(
    {"cross_entropy",
     [](Rng& rng) {
       const auto logits = [&] { return rng.normal({2, 3, 5}, 2.0, DType::f64); };
       const Tensor targets =
           Tensor::from<std::int64_t>({2, 3}, std::vector<std::int64_t>{0, 4, -100, 2, 2, 1});
       return std::vector<OpSample>{
           {"ignored row", {logits()}, [=](In in) { return cross_entropy(in[0], targets); }},
           {"smoothed",
            {logits()},
            [=](In in) { return cross_entropy(in[0], targets, -100, 0.1); }},
           {"another ignored index", {logits()}, [=](In in) {
              return cross_entropy(
                  in[0],
                  Tensor::from<std::int64_t>({2, 3}, std::vector<std::int64_t>{0, 4, 3, 2, 2, 1}),
                  2);
            }}};
     },
     [] {
       const Variable logits(Tensor::zeros({2, 3}, DType::f32));
       const auto targets = [](std::int64_t a, std::int64_t b) {
         return Tensor::from<std::int64_t>({2}, std::vector<std::int64_t>{a, b});
       };
       return std::vector<OpError>{
           {"class", [=] { (void)cross_entropy(logits, targets(0, 3)); }, "position 1"},
           {"all ignored", [=] { (void)cross_entropy(logits, targets(-100, -100)); },
            "every target"},
           {"shape", [=] { (void)cross_entropy(logits, Tensor::zeros({3}, DType::i64)); },
            "targets (...)"},
           {"smoothing", [=] { (void)cross_entropy(logits, targets(0, 1), -100, 1.0); },
            "label smoothing"}};
     }});

}  // namespace

}  // namespace basin
