// Arrays one behind the other in the bytes of a workspace.
#pragma once

#include <cstddef>
#include <cstdint>

namespace basin::kernels {

/// The bytes of `count` elements of `size` bytes, up to the next multiple of 64.
constexpr std::int64_t scratch_bytes(std::int64_t count, std::int64_t size) {
  return (count * size + 63) / 64 * 64;
}

class Scratch {
 public:
  explicit Scratch(std::byte* at) : at_(at) {}

  template <class T>
  T* take(std::int64_t count) {
    auto* array = reinterpret_cast<T*>(at_);
    at_ += scratch_bytes(count, static_cast<std::int64_t>(sizeof(T)));
    return array;
  }

 private:
  std::byte* at_;
};

}  // namespace basin::kernels
