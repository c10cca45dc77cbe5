// Strided copies with conversion between any two dtypes, and fill.
#include <cstring>
#include <type_traits>

#include "kernels/common/half.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/elementwise/strided.h"

namespace basin::kernels {

namespace {

// bool is stored as one byte that is 0 or 1.
struct Boolean {
  std::uint8_t byte;
};

template <class T>
T load(const T& value) {
  return value;
}
inline float load(const BFloat16& value) { return to_float(value); }
inline float load(const Float16& value) { return to_float(value); }
inline std::uint8_t load(const Boolean& value) { return value.byte != 0 ? 1 : 0; }

template <class T, class U>
void store(T& to, U value) {
  to = static_cast<T>(value);
}
// f32 goes straight to 16 bits; everything else through f64, which holds all but huge i64 exactly.
template <class U>
using HalfSource = std::conditional_t<std::is_same_v<U, float>, float, double>;
template <class U>
void store(BFloat16& to, U value) {
  to = to_bfloat16(static_cast<HalfSource<U>>(value));
}
template <class U>
void store(Float16& to, U value) {
  to = to_float16(static_cast<HalfSource<U>>(value));
}
template <class U>
void store(Boolean& to, U value) {
  to.byte = value != U(0) ? 1 : 0;
}

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

}  // namespace

Status copy(const Copy& p, const CpuContext& context) {
  const StridedLoop<2> loop(p.rank, p.extents, {p.x_strides, p.y_strides});
  return dispatch_any(p.x_dtype, [&]<class From>(From) {
    return dispatch_any(p.y_dtype, [&]<class To>(To) {
      loop.run(context, [&](const std::array<std::int64_t, 2>& offsets, std::int64_t,
                            std::int64_t begin, std::int64_t end) {
        const std::int64_t sx = loop.row_stride(0);
        const std::int64_t sy = loop.row_stride(1);
        const From* x = static_cast<const From*>(p.x) + offsets[0] + begin * sx;
        To* y = static_cast<To*>(p.y) + offsets[1] + begin * sy;
        const std::int64_t count = end - begin;
        if constexpr (std::is_same_v<From, To>) {
          if (sx == 1 && sy == 1) {
            std::memcpy(y, x, static_cast<std::size_t>(count) * sizeof(To));
            return;
          }
        }
        for (std::int64_t i = 0; i < count; ++i) {
          store(y[i * sy], load(x[i * sx]));
        }
      });
      return Status{};
    });
  });
}

Status fill(const Fill& p, const CpuContext& context) {
  return dispatch_any(p.dtype, [&]<class T>(T) {
    T value;
    store(value, p.value);
    T* y = static_cast<T*>(p.y);
    for_ranges(context, p.count, 65536, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        y[i] = value;
      }
    });
    return Status{};
  });
}

}  // namespace basin::kernels
