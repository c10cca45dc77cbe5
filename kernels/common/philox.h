// Philox4x32-10: a counter-based random number generator. The n-th number is a function of
// (key, n) alone, so any element can be drawn again, by any thread, on any device, in any order.
// J. Salmon, M. Moraes, R. Dror, D. Shaw: Parallel random numbers: as easy as 1, 2, 3 (SC 2011).
#pragma once

#include <array>
#include <cstdint>

namespace basin::kernels {

/// One block of four 32-bit words for the 64-bit `key` and the 128-bit counter (low, high).
constexpr std::array<std::uint32_t, 4> philox(std::uint64_t key, std::uint64_t low,
                                              std::uint64_t high = 0) {
  std::array<std::uint32_t, 4> c = {
      static_cast<std::uint32_t>(low), static_cast<std::uint32_t>(low >> 32),
      static_cast<std::uint32_t>(high), static_cast<std::uint32_t>(high >> 32)};
  std::uint32_t k0 = static_cast<std::uint32_t>(key);
  std::uint32_t k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c[0];
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * c[2];
    c = {static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<std::uint32_t>(p1),
         static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<std::uint32_t>(p0)};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c;
}

/// The word that belongs to element `index` of the stream (key, stream): four neighbours share
/// one block.
constexpr std::uint32_t philox_word(std::uint64_t key, std::uint64_t stream, std::uint64_t index) {
  return philox(key, index >> 2, stream)[index & 3];
}

/// Uniform in [0, 1) with 24 bits, exact in f32.
constexpr float uniform_from_word(std::uint32_t word) {
  return static_cast<float>(word >> 8) * (1.0f / 16777216.0f);
}

/// A 64-bit key for a named purpose, so that streams derived from one seed do not meet.
constexpr std::uint64_t derive_key(std::uint64_t seed, std::uint64_t purpose) {
  const auto words = philox(seed, purpose, 0x6261736E6B657900ULL);
  return (std::uint64_t{words[1]} << 32) | words[0];
}

}  // namespace basin::kernels
