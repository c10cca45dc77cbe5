// The backbones by name: what each puts into a block.
#include "kernels/association/options.h"
#include "nn/backbone.h"
#include "nn/layers/association.h"
#include "nn/layers/rnn.h"

namespace basin::nn {

namespace {

// Every position retrieves from all positions of its own sequence.
class AssociationMixer final : public Mixer {
 public:
  AssociationMixer(const BackboneOptions& o, const AssociationOptions& association, Rng& rng)
      : association_(o.width, o.heads, association, rng, o.dtype) {
    add_module("", association_);
  }
  Variable forward(const Variable& x, const Tensor& lengths) const override {
    return association_.forward(x, x, x, lengths);
  }

 private:
  Association association_;
};

// The recurrence reads from left to right; padding on the right never reaches a valid position.
class RnnMixer final : public Mixer {
 public:
  RnnMixer(const BackboneOptions& o, Rng& rng)
      : rnn_(o.width, o.width, 1, kernels::Nonlinearity::tanh, rng, o.dtype) {
    add_module("rnn", rnn_);
  }
  Variable forward(const Variable& x, const Tensor&) const override { return rnn_.forward(x); }

 private:
  Rnn rnn_;
};

std::unique_ptr<Mixer> make_association(const BackboneOptions& o, const AssociationOptions& a,
                                        Rng& rng) {
  return std::make_unique<AssociationMixer>(o, a, rng);
}

std::unique_ptr<Mixer> make_rnn(const BackboneOptions& o, const AssociationOptions&, Rng& rng) {
  return std::make_unique<RnnMixer>(o, rng);
}

AssociationOptions softmax_options(LearnedBeta learned) {
  AssociationOptions options;
  options.learned_beta = learned;
  return options;
}

AssociationOptions linear_options() {
  AssociationOptions options;
  options.separation = Separation::linear;
  return options;
}

}  // namespace

const std::vector<BackboneKind>& backbone_kinds() {
  static const std::vector<BackboneKind> kinds = {
      {"rnn", "tanh recurrence with a state of one vector; time grows with L, one step at a time",
       false, AssociationOptions{}, make_rnn},
      {"attention", "softmax attention with a fixed inverse temperature; time grows with L^2", true,
       softmax_options(LearnedBeta::none), make_association},
      {"hopfield",
       "modern Hopfield retrieval: softmax with a learned inverse temperature per head and any "
       "number of update steps; time grows with L^2",
       true, softmax_options(LearnedBeta::head), make_association},
      {"linear-attention", "kernelised attention, phi(x) = elu(x) + 1; time grows with L", true,
       linear_options(), make_association},
  };
  return kinds;
}

}  // namespace basin::nn
