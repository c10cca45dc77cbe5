// The one description of a retrieval mechanism. Every floor passes it on unchanged.
#pragma once

#include <cstdint>
#include <string>

namespace basin {

/// How scores become a read-out. softmax: weights exp(s - lse(s)) of s = beta q.k (the dense modern
/// Hopfield network). linear: phi(q).S / (phi(q).z + 1e-6) with phi(x) = elu(x) + 1, at a cost
/// linear in the number of stored patterns (A. Katharopoulos et al. 2020); beta has no effect
/// there.
enum class Separation : std::uint8_t { softmax, linear };

/// Whether the inverse temperature is a parameter, stored as a logarithm.
enum class LearnedBeta : std::uint8_t { none, layer, head };

struct AssociationOptions {
  Separation separation = Separation::softmax;

  /// Key j is visible to query i only if j - (i + M - L) <= 0.
  bool causal = false;

  /// The inverse temperature, or its start where it is learned; 0 means 1 / sqrt(head width).
  double beta = 0.0;

  LearnedBeta learned_beta = LearnedBeta::none;

  /// T retrieval steps: T - 1 replacements of the state by the pattern it retrieves, then the
  /// read-out of the values. More than one needs softmax.
  std::int64_t update_steps = 1;

  bool operator==(const AssociationOptions&) const = default;
};

/// An empty string if the options make sense together, else what is wrong and what to do.
std::string validate(const AssociationOptions&);

/// "separation=softmax causal=false beta=auto learned_beta=none update_steps=1"
std::string to_text(const AssociationOptions&);

/// Reads what to_text writes; a missing key keeps its default. On failure returns false and says
/// why in `error`.
bool from_text(const std::string& text, AssociationOptions& options, std::string& error);

/// Names as users write them; the parsers answer false for an unknown name.
const char* name_of(Separation);
const char* name_of(LearnedBeta);
bool parse(const std::string& name, Separation&);
bool parse(const std::string& name, LearnedBeta&);

}  // namespace basin
