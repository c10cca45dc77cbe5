// Strided copies with conversion between any two dtypes, and fill.
#include <cstring>
#include <type_traits>

#include "kernels/elementwise/convert.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/elementwise/strided.h"

namespace basin::kernels {

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
          convert(y[i * sy], x[i * sx]);
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
