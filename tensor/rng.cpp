#include "tensor/rng.h"

#include "kernels/common/philox.h"
#include "kernels/random/derive_key.h"
#include "kernels/random/random.h"
#include "tensor/check.h"

namespace basin {

namespace {

Tensor random_tensor(const Shape& shape, kernels::Distribution distribution, double a, double b,
                     std::uint64_t key, std::uint64_t stream, DType dtype) {
  Tensor result = Tensor::empty(shape, dtype);
  check(kernels::random_fill(
            {result.mutable_raw(), result.numel(), distribution, a, b, key, stream, dtype},
            cpu_context()),
        "random", result);
  return result;
}

constexpr std::uint64_t kTensorPurpose = 1;

__extension__ using Wide = unsigned __int128;

}  // namespace

std::uint64_t Rng::key() const { return kernels::derive_key(seed_, kTensorPurpose); }

Draw Rng::next_draw() {
  const std::uint64_t stream = next_stream();
  return {key(), offset_.defined() ? stream - start_ : stream, offset_};
}

Rng::ScopedOffset::ScopedOffset(Rng& rng, const Tensor& offset) : rng_(rng) {
  if (offset.dtype() != DType::i64 || offset.numel() != 1) {
    fail("[Rng] an offset is one i64, got {}", describe(offset));
  }
  rng_.start_ = rng_.position_;
  rng_.offset_ = offset;
}

Rng::ScopedOffset::~ScopedOffset() { rng_.offset_ = Tensor(); }

Tensor Rng::uniform(const Shape& shape, double low, double high, DType dtype) {
  return random_tensor(shape, kernels::Distribution::uniform, low, high, key(), next_stream(),
                       dtype);
}

Tensor Rng::normal(const Shape& shape, double deviation, DType dtype) {
  return random_tensor(shape, kernels::Distribution::normal, 0.0, deviation, key(), next_stream(),
                       dtype);
}

Tensor derived_key(const Draw& draw) {
  if (!draw.offset.defined()) {
    fail("[derived_key] the draw has no offset on a device");
  }
  Tensor key = Tensor::empty({}, DType::i64, draw.offset.device());
  const kernels::DeriveKey p{draw.key, draw.stream, draw.offset.kernel_data<std::int64_t>(),
                             static_cast<std::uint64_t*>(key.mutable_raw())};
  check(on_device(key.device(), [&](const auto& at) { return kernels::derive_key(p, at); }),
        "derived_key", draw.offset);
  return key;
}

std::uint64_t uniform_index(std::uint64_t key, std::uint64_t stream, std::uint64_t index,
                            std::uint64_t bound) {
  const auto words = kernels::philox(key, index, stream);
  const std::uint64_t word = (std::uint64_t{words[1]} << 32) | words[0];
  // The upper half of word * bound: the bias is below bound / 2^64, which no experiment can see.
  return static_cast<std::uint64_t>((static_cast<Wide>(word) * bound) >> 64);
}

}  // namespace basin
