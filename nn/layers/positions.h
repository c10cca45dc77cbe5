// Where in the sequence a token stands.
#pragma once

#include <cstdint>
#include <string>

#include "nn/layers/basic.h"

namespace basin::nn {

/// rotary acts inside the association, on queries and keys; the others are added to the tokens.
enum class PositionKind : std::uint8_t { none, learned, sinusoidal, rotary };

const char* name_of(PositionKind);
/// False for an unknown name.
bool parse(const std::string& name, PositionKind&);

/// The fixed table of A. Vaswani et al. 2017, (length, width): column 2c holds sin(t /
/// 10000^(2c/width)) and column 2c + 1 the cosine.
Tensor sinusoidal_positions(std::int64_t length, std::int64_t width, DType dtype);

/// Adds a row per position to x (B, L, width). `learned` has the parameter weight (max_length,
/// width), which starts normal with the given deviation.
class Positions final : public Module {
 public:
  Positions(PositionKind kind, std::int64_t max_length, std::int64_t width, Rng& rng, DType dtype,
            double deviation = 0.02);
  /// The rows of x are positions first, first + 1, ... Throws Error if a table is added and these
  /// go beyond max_length.
  Variable forward(const Variable& x, std::int64_t first = 0) const;

 private:
  std::int64_t max_length_;
  Variable table_;
};

}  // namespace basin::nn
