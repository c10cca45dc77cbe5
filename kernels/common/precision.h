// With how many bits numbers are multiplied.
#pragma once

#include <cstdint>

namespace basin {

/// What the factors of a matrix product in f32 are rounded to, to nearest even, before they meet;
/// their products are added up in f32. f32: not at all, 24 significant bits. tf32: 11 bits, bf16: 8
/// bits, both with the exponents of f32. Tensor cores multiply the last two.
enum class Precision : std::uint8_t { f32, tf32, bf16 };

constexpr const char* name_of(Precision precision) {
  switch (precision) {
    case Precision::f32: return "f32";
    case Precision::tf32: return "tf32";
    case Precision::bf16: return "bf16";
  }
  return "?";
}

}  // namespace basin
