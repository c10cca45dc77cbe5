// How one element of any dtype is read, converted and written; for copy and fill on every device.
#pragma once

#include <cstdint>
#include <type_traits>

#include "kernels/common/dtype.h"
#include "kernels/common/half.h"
#include "kernels/common/qualifiers.h"
#include "kernels/common/status.h"

namespace basin::kernels {

// bool is stored as one byte that is 0 or 1.
struct Boolean {
  std::uint8_t byte;
};

template <class T>
BASIN_HOST_DEVICE T load(const T& value) {
  return value;
}
BASIN_HOST_DEVICE inline float load(const BFloat16& value) { return to_float(value); }
BASIN_HOST_DEVICE inline float load(const Float16& value) { return to_float(value); }
BASIN_HOST_DEVICE inline std::uint8_t load(const Boolean& value) { return value.byte != 0 ? 1 : 0; }

template <class T, class U>
BASIN_HOST_DEVICE void store(T& to, U value) {
  to = static_cast<T>(value);
}
// f32 goes straight to 16 bits; everything else through f64, which holds all but huge i64 exactly.
template <class U>
using HalfSource = std::conditional_t<std::is_same_v<U, float>, float, double>;
template <class U>
BASIN_HOST_DEVICE void store(BFloat16& to, U value) {
  to = to_bfloat16(static_cast<HalfSource<U>>(value));
}
template <class U>
BASIN_HOST_DEVICE void store(Float16& to, U value) {
  to = to_float16(static_cast<HalfSource<U>>(value));
}
template <class U>
BASIN_HOST_DEVICE void store(Boolean& to, U value) {
  to.byte = value != U(0) ? 1 : 0;
}

/// to = from; equal types keep their bits, also those of a NaN.
template <class To, class From>
BASIN_HOST_DEVICE void convert(To& to, const From& from) {
  if constexpr (std::is_same_v<To, From>) {
    to = from;
  } else {
    store(to, load(from));
  }
}

/// Calls function(T{}) with the type that an element of `dtype` has in memory.
template <class F>
Status dispatch_any(DType dtype, F&& function) {
  switch (dtype) {
    case DType::f32: return function(float{});
    case DType::f64: return function(double{});
    case DType::bf16: return function(BFloat16{});
    case DType::f16: return function(Float16{});
    case DType::i32: return function(std::int32_t{});
    case DType::i64: return function(std::int64_t{});
    case DType::u8: return function(std::uint8_t{});
    case DType::boolean: return function(Boolean{});
  }
  return Status::unsupported("unknown dtype");
}

}  // namespace basin::kernels
