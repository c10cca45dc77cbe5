// A stream of random numbers whose whole state is two integers.
#pragma once

#include <cstdint>
#include <string_view>

#include "tensor/tensor.h"

namespace basin {

/// Which random numbers an operation draws: those of the stream `stream` + *offset of `key`.
/// `offset`, i64 with one element, lies where they are drawn; undefined is 0.
struct Draw {
  std::uint64_t key = 0;
  std::uint64_t stream = 0;
  Tensor offset{};
};

/// Each fill takes the next stream of the Philox key derived from the seed; inside a stream,
/// element i is a function of i alone. The same seed and the same calls give the same bits
/// everywhere.
class Rng {
 public:
  explicit Rng(std::uint64_t seed) : seed_(seed) {}

  std::uint64_t seed() const { return seed_; }
  std::uint64_t position() const { return position_; }
  void set_position(std::uint64_t position) { position_ = position; }

  /// The number of the next stream; advances.
  std::uint64_t next_stream() { return position_++; }
  std::uint64_t key() const;

  /// The next stream as an operation takes it; advances. See ScopedOffset.
  Draw next_draw();

  /// Until the end of the scope, draws count from the position of now and carry `offset`, which
  /// has to hold that position when they are made: so that work which is recorded once draws
  /// something else whenever it is repeated. Positions are what they would be without.
  class ScopedOffset {
   public:
    ScopedOffset(Rng& rng, const Tensor& offset);
    ~ScopedOffset();
    ScopedOffset(const ScopedOffset&) = delete;
    ScopedOffset& operator=(const ScopedOffset&) = delete;

   private:
    Rng& rng_;
  };

  /// Fresh tensors, f32 or f64: uniform in [low, high), normal with mean 0 and deviation
  /// `deviation`.
  Tensor uniform(const Shape& shape, double low, double high, DType dtype);
  Tensor normal(const Shape& shape, double deviation, DType dtype);

 private:
  std::uint64_t seed_;
  std::uint64_t position_ = 0;
  std::uint64_t start_ = 0;  // of a scope with an offset
  Tensor offset_;
};

/// kernels::derive_key of the draw's key and stream, i64 () on the device of its offset. Throws
/// Error if it has none.
Tensor derived_key(const Draw& draw);

/// A uniform whole number in [0, bound) for the index-th draw of (key, stream), with a bias below
/// bound / 2^64. bound >= 1.
std::uint64_t uniform_index(std::uint64_t key, std::uint64_t stream, std::uint64_t index,
                            std::uint64_t bound);

}  // namespace basin
