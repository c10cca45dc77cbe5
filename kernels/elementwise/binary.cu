// The binary operations of binary_table.inc on a GPU, with broadcasting: one kernel for each
// functor, geometry in rows.cuh.
#include "kernels/common/dispatch.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/elementwise/functors.h"
#include "kernels/elementwise/rows.cuh"

namespace basin::kernels {

namespace {

template <class T>
constexpr int kWidth = pack_width(sizeof(T));

// Arrays of the walk: a, b, y.
template <class T, class Op>
BASIN_KERNEL void binary_forward_kernel(RowWalk<3> walk, const T* a, const T* b, T* y) {
  for_row_packs<kWidth<T>>(walk, [&](auto width, const std::int64_t* at) {
    constexpr int kHere = decltype(width)::value;
    const auto left = load_of_row<kHere>(a + at[0], walk.steps[0]);
    const auto right = load_of_row<kHere>(b + at[1], walk.steps[1]);
    Pack<T, kHere> result;
    for (int k = 0; k < kHere; ++k) {
      result.at[k] = Op::value(left.at[k], right.at[k]);
    }
    store_pack<kHere>(y + at[2], result);
  });
}

// Arrays of the walk: a, b, and dy, da, db, which lie in the same way.
template <class T, class Op>
BASIN_KERNEL void binary_backward_kernel(RowWalk<5> walk, const T* a, const T* b, const T* dy,
                                         T* da, T* db) {
  for_row_packs<kWidth<T>>(walk, [&](auto width, const std::int64_t* at) {
    constexpr int kHere = decltype(width)::value;
    const auto left = load_of_row<kHere>(a + at[0], walk.steps[0]);
    const auto right = load_of_row<kHere>(b + at[1], walk.steps[1]);
    const auto slope = load_pack<kHere>(dy + at[2]);
    Pack<T, kHere> result;
    if (da != nullptr) {
      for (int k = 0; k < kHere; ++k) {
        result.at[k] = slope.at[k] * Op::da(left.at[k], right.at[k]);
      }
      store_pack<kHere>(da + at[3], result);
    }
    if (db != nullptr) {
      for (int k = 0; k < kHere; ++k) {
        result.at[k] = slope.at[k] * Op::db(left.at[k], right.at[k]);
      }
      store_pack<kHere>(db + at[4], result);
    }
  });
}

// Sets contiguous strides and answers whether there are elements at all.
bool contiguous_strides(int rank, const std::int64_t* extents, std::int64_t* strides) {
  std::int64_t stride = 1;
  for (int d = rank - 1; d >= 0; --d) {
    strides[d] = stride;
    stride *= extents[d];
  }
  return stride > 0;
}

}  // namespace

Status binary_forward(const BinaryForward& p, const DeviceContext& context) {
  std::int64_t strides[kMaxRank];
  const bool any = contiguous_strides(p.rank, p.extents, strides);
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    return functors::dispatch(p.op, [&]<class Op>(Op) {
      if (!any) {
        return Status{};
      }
      const auto walk = row_walk<kWidth<T>, 3>(p.rank, p.extents,
                                               {{{p.a, sizeof(T), p.a_strides},
                                                 {p.b, sizeof(T), p.b_strides},
                                                 {p.y, sizeof(T), strides}}});
      return launch(row_shape<kWidth<T>>("binary_forward", walk), context,
                    binary_forward_kernel<T, Op>, walk, static_cast<const T*>(p.a),
                    static_cast<const T*>(p.b), static_cast<T*>(p.y));
    });
  });
}

Status binary_backward(const BinaryBackward& p, const DeviceContext& context) {
  std::int64_t strides[kMaxRank];
  const bool any = contiguous_strides(p.rank, p.extents, strides);
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    return functors::dispatch(p.op, [&]<class Op>(Op) {
      if (!any || (p.da == nullptr && p.db == nullptr)) {
        return Status{};
      }
      const auto walk = row_walk<kWidth<T>, 5>(p.rank, p.extents,
                                               {{{p.a, sizeof(T), p.a_strides},
                                                 {p.b, sizeof(T), p.b_strides},
                                                 {p.dy, sizeof(T), strides},
                                                 {p.da, sizeof(T), strides},
                                                 {p.db, sizeof(T), strides}}});
      return launch(row_shape<kWidth<T>>("binary_backward", walk), context,
                    binary_backward_kernel<T, Op>, walk, static_cast<const T*>(p.a),
                    static_cast<const T*>(p.b), static_cast<const T*>(p.dy), static_cast<T*>(p.da),
                    static_cast<T*>(p.db));
    });
  });
}

}  // namespace basin::kernels
