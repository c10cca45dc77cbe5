// The backbones by name: what each puts into a block.
#include <utility>

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
      : association_(o.width, o.heads, association, rng, o.dtype,
                     o.positions == PositionKind::rotary) {
    add_module("", association_);
  }
  Variable forward(const Variable& x, const Tensor& lengths) const override {
    return association_.forward(x, x, x, lengths);
  }

 private:
  Association association_;
};

// A recurrence reads from left to right; padding on the right never reaches a valid position.
template <class Stack>
class RecurrentMixer final : public Mixer {
 public:
  template <class... Args>
  explicit RecurrentMixer(const char* name, Args&&... args) : stack_(std::forward<Args>(args)...) {
    add_module(name, stack_);
  }
  Variable forward(const Variable& x, const Tensor&) const override { return stack_.forward(x); }

 private:
  Stack stack_;
};

std::unique_ptr<Mixer> make_association(const BackboneOptions& o, const AssociationOptions& a,
                                        Rng& rng) {
  return std::make_unique<AssociationMixer>(o, a, rng);
}

std::unique_ptr<Mixer> make_rnn(const BackboneOptions& o, const AssociationOptions&, Rng& rng) {
  return std::make_unique<RecurrentMixer<Rnn>>("rnn", o.width, o.width, 1,
                                               kernels::Nonlinearity::tanh, rng, o.dtype);
}

std::unique_ptr<Mixer> make_lstm(const BackboneOptions& o, const AssociationOptions&, Rng& rng) {
  return std::make_unique<RecurrentMixer<Lstm>>("lstm", o.width, o.width, 1, rng, o.dtype);
}

std::unique_ptr<Mixer> make_gru(const BackboneOptions& o, const AssociationOptions&, Rng& rng) {
  return std::make_unique<RecurrentMixer<Gru>>("gru", o.width, o.width, 1, rng, o.dtype);
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
      {"lstm", "gated recurrence with a memory cell; time grows with L, one step at a time", false,
       AssociationOptions{}, make_lstm},
      {"gru", "gated recurrence with reset and update gates; time grows with L, one step at a time",
       false, AssociationOptions{}, make_gru},
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
