#include "tools/profile_kernels/timed_operations.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "autograd/operations.h"
#include "nn/layers/rnn.h"
#include "tensor/rng.h"
#include "tools/profile_kernels/training_step.h"

namespace basin::profile_kernels {

namespace {

using kernels::choice;
using kernels::SizeParameter;
using kernels::Sizes;

const std::vector<SizeParameter> kHeadSizes = {{"B", 1, "batch items"},
                                               {"H", 4, "heads"},
                                               {"L", 1024, "queries and keys"},
                                               {"D", 64, "width of a head"},
                                               choice("causal", "", {"0", "1"}, 1)};
const std::vector<SizeParameter> kRowSizes = {{"rows", 4096, "rows"}, {"cols", 256, "columns"}};
const std::vector<SizeParameter> kStateSizes = {
    {"B", 4, "batch items"},
    {"L", 1024, "steps"},
    {"width", 256, "inputs and hidden units"},
    choice("recurrence", "who computes it, cudnn on a GPU", {"own", "cudnn"})};

// Draws the inputs of one problem, each from a stream of its own.
class Drawn {
 public:
  Variable normal(const std::string& name, const Shape& shape, double deviation = 1.0) {
    return problem.inputs[name] = Variable(rng_.normal(shape, deviation, DType::f32), true);
  }
  Tensor ids(const std::string& name, std::int64_t count, std::int64_t bound) {
    return problem.ids[name] = random_ids({count}, bound, rng_.next_stream());
  }
  // The same, without a gradient.
  Variable constant(const Tensor& value) { return problem.constants.emplace_back(value); }
  OperationProblem with(std::function<Variable()> forward) {
    problem.forward = std::move(forward);
    return std::move(problem);
  }
  Rng& rng() { return rng_; }
  OperationProblem problem;

 private:
  Rng rng_{1};
};

Shape heads_shape(const Sizes& s) { return {s.at("B"), s.at("H"), s.at("L"), s.at("D")}; }

OperationProblem attention_problem(const Sizes& s) {
  Drawn d;
  const Variable q = d.normal("q", heads_shape(s));
  const Variable k = d.normal("k", heads_shape(s));
  const Variable v = d.normal("v", heads_shape(s));
  const double beta = 1.0 / std::sqrt(static_cast<double>(s.at("D")));
  const Variable fixed = d.constant(Tensor::full({s.at("H")}, beta, DType::f32));
  return d.with(
      [=, causal = s.at("causal") == 1] { return attention(q, k, v, fixed, Tensor(), causal); });
}

OperationProblem linear_attention_problem(const Sizes& s) {
  Drawn d;
  const Variable q = d.normal("q", heads_shape(s));
  const Variable k = d.normal("k", heads_shape(s));
  const Variable v = d.normal("v", heads_shape(s));
  return d.with(
      [=, causal = s.at("causal") == 1] { return linear_attention(q, k, v, Tensor(), causal); });
}

// The separations and grains of the sizes of "association", in the order of their names there.
constexpr Separation kSeparations[] = {Separation::softmax,    Separation::linear,
                                       Separation::sparsemax,  Separation::entmax,
                                       Separation::polynomial, Separation::random_features};
constexpr MaskGrain kGrains[] = {MaskGrain::element, MaskGrain::tile, MaskGrain::block};

OperationProblem association_problem(const Sizes& s) {
  Drawn d;
  const Variable q = d.normal("q", heads_shape(s));
  const Variable k = d.normal("k", heads_shape(s));
  const Variable v = d.normal("v", heads_shape(s));
  RetrievalSettings settings;
  AssociationOptions& o = settings.options;
  o.separation = kSeparations[s.at("separation")];
  o.causal = s.at("causal") == 1;
  o.window = s.at("window") == 0 ? -1 : s.at("window");
  o.random_keep = std::min(1.0, static_cast<double>(s.at("keep")) / 100);
  o.random_grain = kGrains[s.at("grain")];
  o.update_steps = s.at("steps");
  o.top_fraction = std::min(1.0, static_cast<double>(s.at("top")) / 100);
  settings.random_key = 1;
  const double beta = 1.0 / std::sqrt(static_cast<double>(s.at("D")));
  const Variable fixed = d.constant(Tensor::full({s.at("H")}, beta, DType::f32));
  const Variable alpha = o.separation == Separation::entmax
                             ? d.constant(Tensor::full({s.at("H")}, 1.5, DType::f32))
                             : Variable();
  Variable projection;
  if (o.separation == Separation::random_features) {
    o.features = s.at("features");
    projection = d.constant(d.rng().normal({o.features, s.at("D")}, 1.0, DType::f32));
    d.problem.ids["projection"] = projection.value();
  }
  return d.with([=] {
    RetrievalSettings here = settings;
    if (projection.defined()) {
      here.projection = projection.value();  // where it lies by now
    }
    return associate(q, k, v, fixed, alpha, here);
  });
}

std::vector<SizeParameter> association_sizes() {
  std::vector<SizeParameter> all = kHeadSizes;
  all.push_back(
      choice("separation", "how scores become weights",
             {"softmax", "linear", "sparsemax", "entmax15", "polynomial", "random_features"}, 0));
  all.push_back({"window", 0, "radius of a window; 0: none", 0});
  all.push_back({"keep", 100, "per cent of keys that a random mask keeps", 1});
  all.push_back(choice("grain", "of the random mask", {"element", "tile", "block"}, 0));
  all.push_back({"top", 0, "per cent of keys that top-k keeps; 0: all", 0});
  all.push_back({"steps", 1, "retrievals, each from what the one before gave"});
  all.push_back({"features", 256, "random features"});
  return all;
}

OperationProblem linear_problem(const Sizes& s) {
  Drawn d;
  const Variable x = d.normal("x", {s.at("rows"), s.at("in")});
  const Variable weight = d.normal("weight", {s.at("out"), s.at("in")}, 0.05);
  const Variable bias = d.normal("bias", {s.at("out")});
  return d.with([=] { return linear(x, weight, bias); });
}

OperationProblem linear_gelu_problem(const Sizes& s) {
  Drawn d;
  const Variable x = d.normal("x", {s.at("rows"), s.at("in")});
  const Variable weight = d.normal("weight", {s.at("out"), s.at("in")}, 0.05);
  const Variable bias = d.normal("bias", {s.at("out")});
  return d.with([=] { return linear_gelu(x, weight, bias); });
}

OperationProblem layer_norm_problem(const Sizes& s) {
  Drawn d;
  const Variable x = d.normal("x", {s.at("rows"), s.at("cols")});
  const Variable weight = d.normal("weight", {s.at("cols")});
  const Variable bias = d.normal("bias", {s.at("cols")});
  return d.with([=] { return layer_norm(x, weight, bias, 1e-5); });
}

// What is timed is the norm of the sum; the sum itself, the other result, gets no gradient.
OperationProblem add_layer_norm_problem(const Sizes& s) {
  Drawn d;
  const Variable x = d.normal("x", {s.at("rows"), s.at("cols")});
  const Variable residual = d.normal("residual", {s.at("rows"), s.at("cols")});
  const Variable weight = d.normal("weight", {s.at("cols")});
  const Variable bias = d.normal("bias", {s.at("cols")});
  return d.with([=] { return add_layer_norm(x, residual, weight, bias, 1e-5).normalised; });
}

OperationProblem softmax_problem(const Sizes& s) {
  Drawn d;
  const Variable x = d.normal("x", {s.at("rows"), s.at("cols")});
  return d.with([=] { return softmax(x); });
}

OperationProblem gelu_problem(const Sizes& s) {
  Drawn d;
  const Variable x = d.normal("x", {s.at("n")});
  return d.with([=] { return gelu(x); });
}

OperationProblem cross_entropy_problem(const Sizes& s) {
  Drawn d;
  const Variable logits = d.normal("x", {s.at("tokens"), s.at("vocabulary")});
  const Tensor targets = d.ids("targets", s.at("tokens"), s.at("vocabulary"));
  return d.with([=] { return cross_entropy(logits, targets); });
}

OperationProblem linear_cross_entropy_problem(const Sizes& s) {
  Drawn d;
  const Variable x = d.normal("x", {s.at("tokens"), s.at("width")});
  const Variable weight = d.normal("weight", {s.at("vocabulary"), s.at("width")}, 0.05);
  const Variable bias = d.normal("bias", {s.at("vocabulary")});
  const Tensor targets = d.ids("targets", s.at("tokens"), s.at("vocabulary"));
  return d.with([=] { return linear_cross_entropy(x, weight, bias, targets); });
}

OperationProblem embedding_problem(const Sizes& s) {
  Drawn d;
  const Variable weight = d.normal("weight", {s.at("vocabulary"), s.at("width")});
  const Tensor ids = d.ids("ids", s.at("tokens"), s.at("vocabulary"));
  return d.with([=] { return embedding(weight, ids); });
}

// The layer with its input projection, one deep.
template <class Layer, class... More>
OperationProblem recurrent_problem(const Sizes& s, More... more) {
  Drawn d;
  const Variable x = d.normal("x", {s.at("B"), s.at("L"), s.at("width")});
  const auto layer =
      std::make_shared<Layer>(s.at("width"), s.at("width"), 1, more..., d.rng(), DType::f32);
  layer->compute_by(s.at("recurrence") == 1 ? nn::Recurrence::cudnn : nn::Recurrence::own);
  for (const nn::Parameter& parameter : layer->parameters()) {
    d.problem.inputs[parameter.name] = parameter.variable;
  }
  return d.with([=] { return layer->forward(x); });
}

}  // namespace

void OperationProblem::to(Device device) {
  for (auto& [name, input] : inputs) {
    input.move_to(device);
  }
  for (Variable& constant : constants) {
    constant.move_to(device);
  }
}

const std::vector<TimedOperation>& timed_operations() {
  static const std::vector<TimedOperation> all = {
      {"attention", "softmax attention, inverse temperature 1 / sqrt(D)", kHeadSizes,
       attention_problem},
      {"linear_attention", "kernelised attention, phi = elu + 1", kHeadSizes,
       linear_attention_problem},
      {"association", "attention by any mechanism", association_sizes(), association_problem},
      {"linear",
       "x W^T + b",
       {{"rows", 4096, "rows"}, {"in", 256, "inputs"}, {"out", 256, "outputs"}},
       linear_problem},
      {"linear_gelu",
       "gelu(x W^T + b)",
       {{"rows", 4096, "rows"}, {"in", 256, "inputs"}, {"out", 1024, "outputs"}},
       linear_gelu_problem},
      {"layer_norm", "normalised rows, scaled and shifted", kRowSizes, layer_norm_problem},
      {"add_layer_norm", "the norm of a sum, which is kept", kRowSizes, add_layer_norm_problem},
      {"softmax", "of each row", kRowSizes, softmax_problem},
      {"gelu", "x Phi(x)", {{"n", 1 << 22, "elements"}}, gelu_problem},
      {"cross_entropy",
       "mean over rows of logits",
       {{"tokens", 1024, "rows"}, {"vocabulary", 50257, "logits of a row"}},
       cross_entropy_problem},
      {"linear_cross_entropy",
       "output layer and mean cross-entropy",
       {{"tokens", 1024, "rows"}, {"width", 256, "inputs"}, {"vocabulary", 50257, "outputs"}},
       linear_cross_entropy_problem},
      {"embedding",
       "a row of a table for each token",
       {{"tokens", 4096, "ids"}, {"vocabulary", 50257, "rows of the table"}, {"width", 256, ""}},
       embedding_problem},
      {"rnn", "tanh recurrence with its input projection", kStateSizes,
       [](const Sizes& s) { return recurrent_problem<nn::Rnn>(s, kernels::Nonlinearity::tanh); }},
      {"lstm", "long short-term memory with its input projection", kStateSizes,
       [](const Sizes& s) { return recurrent_problem<nn::Lstm>(s); }},
      {"gru", "gated recurrent unit with its input projection", kStateSizes,
       [](const Sizes& s) { return recurrent_problem<nn::Gru>(s); }},
  };
  return all;
}

}  // namespace basin::profile_kernels
