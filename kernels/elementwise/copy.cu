// Strided copies with conversion, one kernel for each pair of dtypes, and fill, on a GPU. Geometry
// in rows.cuh; an access moves 16 bytes of the wider of the two types where memory allows.
#include "kernels/common/launch.h"
#include "kernels/elementwise/convert.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/elementwise/rows.cuh"

namespace basin::kernels {

namespace {

template <class From, class To>
constexpr int kWidth = pack_width(std::max(sizeof(From), sizeof(To)));

// Arrays of the walk: x, y.
template <class From, class To>
BASIN_KERNEL void copy_kernel(RowWalk<2> walk, const From* x, To* y) {
  for_row_packs<kWidth<From, To>>(walk, [&](auto width, const std::int64_t* at) {
    constexpr int kHere = decltype(width)::value;
    const auto values = load_of_row<kHere>(x + at[0], walk.steps[0]);
    Pack<To, kHere> result;
    for (int k = 0; k < kHere; ++k) {
      convert(result.at[k], values.at[k]);
    }
    store_pack<kHere>(y + at[1], result);
  });
}

template <class T>
BASIN_KERNEL void fill_kernel(T* y, T value, std::int64_t count, std::int64_t packs) {
  map_packs<pack_width(sizeof(T))>(
      count, packs, [=] { return value; }, y);
}

}  // namespace

Status copy(const Copy& p, const DeviceContext& context) {
  std::int64_t count = 1;
  for (int d = 0; d < p.rank; ++d) {
    count *= p.extents[d];
  }
  return dispatch_any(p.x_dtype, [&]<class From>(From) {
    return dispatch_any(p.y_dtype, [&]<class To>(To) {
      if (count == 0) {
        return Status{};
      }
      const auto walk = row_walk<kWidth<From, To>, 2>(
          p.rank, p.extents, {{{p.x, sizeof(From), p.x_strides}, {p.y, sizeof(To), p.y_strides}}});
      return launch(row_shape<kWidth<From, To>>("copy", walk), context, copy_kernel<From, To>, walk,
                    static_cast<const From*>(p.x), static_cast<To*>(p.y));
    });
  });
}

Status fill(const Fill& p, const DeviceContext& context) {
  return dispatch_any(p.dtype, [&]<class T>(T) {
    if (p.count <= 0) {
      return Status{};
    }
    constexpr int kWide = pack_width(sizeof(T));
    constexpr unsigned kThreads = 256;
    T value;
    store(value, p.value);
    T* const y = static_cast<T*>(p.y);
    const std::int64_t packs = packs_of<kWide>(p.count, y);
    const unsigned blocks = blocks_for(pack_calls(p.count, packs, kWide), kThreads);
    return launch({"fill", {blocks, 1, 1}, {kThreads, 1, 1}}, context, fill_kernel<T>, y, value,
                  p.count, packs);
  });
}

}  // namespace basin::kernels
