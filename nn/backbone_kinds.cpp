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
  AssociationMixer(const BackboneOptions& o, const AssociationOptions& association, Rng& rng,
                   Rng& draws)
      : association_(o.width, o.heads, association, rng, o.dtype,
                     o.positions == PositionKind::rotary, &draws) {
    add_module("", association_);
  }
  Variable forward(const Variable& x, const Tensor& lengths) const override {
    return association_.forward(x, x, x, lengths);
  }
  std::unique_ptr<MixerState> begin() const override {
    // The draws of a random mask know the whole sequence.
    const AssociationOptions& o = association_.options();
    const bool masks = o.random_keep < 1.0 && o.random_draw != MaskDraw::training;
    return masks ? Mixer::begin() : std::make_unique<State>();
  }
  Variable step(const Variable& x, MixerState& state) const override {
    auto* own = dynamic_cast<State*>(&state);
    return own == nullptr ? Mixer::step(x, state) : association_.step(x, own->retrieval);
  }

 private:
  struct State final : MixerState {
    RetrievalState retrieval;
  };
  Association association_;
};

// A recurrence reads from left to right; padding on the right never reaches a valid position.
template <class Stack>
class RecurrentMixer final : public Mixer {
 public:
  template <class... Args>
  RecurrentMixer(const char* name, Recurrence recurrence, Args&&... args)
      : stack_(std::forward<Args>(args)...) {
    add_module(name, stack_);
    stack_.compute_by(recurrence);
  }
  Variable forward(const Variable& x, const Tensor&) const override { return stack_.forward(x); }

 private:
  Stack stack_;
};

std::unique_ptr<Mixer> make_association(const BackboneOptions& o, const AssociationOptions& a,
                                        Rng& rng, Rng& draws) {
  return std::make_unique<AssociationMixer>(o, a, rng, draws);
}

std::unique_ptr<Mixer> make_rnn(const BackboneOptions& o, const AssociationOptions&, Rng& rng,
                                Rng&) {
  return std::make_unique<RecurrentMixer<Rnn>>("rnn", o.recurrence, o.width, o.width, 1,
                                               kernels::Nonlinearity::tanh, rng, o.dtype);
}

std::unique_ptr<Mixer> make_lstm(const BackboneOptions& o, const AssociationOptions&, Rng& rng,
                                 Rng&) {
  return std::make_unique<RecurrentMixer<Lstm>>("lstm", o.recurrence, o.width, o.width, 1, rng,
                                                o.dtype);
}

std::unique_ptr<Mixer> make_gru(const BackboneOptions& o, const AssociationOptions&, Rng& rng,
                                Rng&) {
  return std::make_unique<RecurrentMixer<Gru>>("gru", o.recurrence, o.width, o.width, 1, rng,
                                               o.dtype);
}

template <class Change>
AssociationOptions options_with(const Change& change) {
  AssociationOptions options;
  change(options);
  return options;
}

AssociationOptions hopfield_with(Separation separation) {
  return options_with([&](AssociationOptions& o) {
    o.separation = separation;
    // The quotient of powers does not depend on beta.
    o.learned_beta = separation == Separation::polynomial ? LearnedBeta::none : LearnedBeta::head;
    o.learned_alpha = separation == Separation::entmax;
  });
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
       AssociationOptions{}, make_association},
      {"hopfield",
       "modern Hopfield retrieval: softmax with a learned inverse temperature per head and any "
       "number of update steps; time grows with L^2",
       true, hopfield_with(Separation::softmax), make_association},
      {"linear-attention", "kernelised attention, phi(x) = elu(x) + 1; time grows with L", true,
       options_with([](AssociationOptions& o) { o.separation = Separation::linear; }),
       make_association},
      {"random-feature-attention",
       "softmax attention estimated by random features, 4 times the head width of them; time grows "
       "with L",
       true,
       options_with([](AssociationOptions& o) { o.separation = Separation::random_features; }),
       make_association},
      {"sparse-hopfield",
       "retrieval by sparsemax: most patterns get a weight of exactly 0; time grows with L^2", true,
       hopfield_with(Separation::sparsemax), make_association},
      {"entmax-hopfield",
       "retrieval by entmax with a learned exponent per head, between softmax and sparsemax; time "
       "grows with L^2",
       true, hopfield_with(Separation::entmax), make_association},
      {"polynomial-hopfield",
       "retrieval by powers of the scores, a dense associative memory; time grows with L^2", true,
       hopfield_with(Separation::polynomial), make_association},
      {"topk-hopfield",
       "softmax over the 20 % of patterns with the largest scores; time grows with L^2", true,
       options_with([](AssociationOptions& o) {
         o.learned_beta = LearnedBeta::head;
         o.top_fraction = 0.2;
       }),
       make_association},
      {"window-hopfield", "softmax over the 32 patterns next to a position; time grows with L",
       true, options_with([](AssociationOptions& o) {
         o.learned_beta = LearnedBeta::head;
         o.window = 32;
       }),
       make_association},
      {"random-masked-hopfield",
       "softmax over a random half of the patterns, drawn anew in every step of training; time "
       "grows with L^2",
       true, options_with([](AssociationOptions& o) {
         o.learned_beta = LearnedBeta::head;
         o.random_keep = 0.5;
       }),
       make_association},
  };
  return kinds;
}

}  // namespace basin::nn
