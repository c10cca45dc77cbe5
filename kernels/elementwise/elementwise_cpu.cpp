#include <array>
#include <type_traits>

#include "kernels/common/dispatch.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/elementwise/functors.h"
#include "kernels/elementwise/strided.h"
#include "kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/elementwise_cpu.cpp"
#include <hwy/foreach_target.h>
//
#include "kernels/elementwise/vector_forms-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

namespace {

constexpr std::int64_t kGrain = 16384;

// The inner loops of a binary operation. The two common layouts get a loop of their own, because
// a compile-time stride is what lets the compiler vectorise.
template <class T, class F>
void binary_row(const T* a, std::int64_t sa, const T* b, std::int64_t sb, std::int64_t count,
                F&& at) {
  if (sa == 1 && sb == 1) {
    for (std::int64_t i = 0; i < count; ++i) {
      at(i, a[i], b[i]);
    }
  } else if (sa == 1 && sb == 0) {
    const T value = b[0];
    for (std::int64_t i = 0; i < count; ++i) {
      at(i, a[i], value);
    }
  } else {
    for (std::int64_t i = 0; i < count; ++i) {
      at(i, a[i * sa], b[i * sb]);
    }
  }
}

void contiguous_strides(int rank, const std::int64_t* extents, std::int64_t* strides) {
  std::int64_t stride = 1;
  for (int d = rank - 1; d >= 0; --d) {
    strides[d] = stride;
    stride *= extents[d];
  }
}

// f64 serves checks: it is compiled once, for the lowest level. Nothing is summed here and every
// step is rounded, so that all levels have the same bits.
template <class F>
Status dispatch_level(DType dtype, F&& function) {
  if constexpr (HWY_TARGET == HWY_STATIC_TARGET) {
    return dispatch_floating(dtype, function);
  } else {
    return dtype == DType::f32 ? function(float{})
                               : Status::unsupported("arithmetic needs f32 or f64");
  }
}

}  // namespace

Status unary_forward_target(const UnaryForward& p, const CpuContext& context) {
  return dispatch_level(p.dtype, [&]<class T>(T) {
    return functors::dispatch(p.op, [&]<class Op>(Op) {
      const T* x = static_cast<const T*>(p.x);
      T* y = static_cast<T*>(p.y);
      for_ranges(context, p.count, kGrain, [&](std::int64_t begin, std::int64_t end) {
        if constexpr (VectorForm<Op>::exists && std::is_same_v<T, float>) {
          vector_form_forward<VectorForm<Op>>(x + begin, y + begin, end - begin);
        } else {
          for (std::int64_t i = begin; i < end; ++i) {
            y[i] = Op::value(x[i]);
          }
        }
      });
      return Status{};
    });
  });
}

Status unary_backward_target(const UnaryBackward& p, const CpuContext& context) {
  return dispatch_level(p.dtype, [&]<class T>(T) {
    return functors::dispatch(p.op, [&]<class Op>(Op) {
      const T* x = static_cast<const T*>(p.x);
      const T* y = static_cast<const T*>(p.y);
      const T* dy = static_cast<const T*>(p.dy);
      T* dx = static_cast<T*>(p.dx);
      for_ranges(context, p.count, kGrain, [&](std::int64_t begin, std::int64_t end) {
        if constexpr (VectorForm<Op>::exists && std::is_same_v<T, float>) {
          vector_form_backward<VectorForm<Op>>(x + begin, y + begin, dy + begin, dx + begin,
                                               end - begin);
        } else {
          for (std::int64_t i = begin; i < end; ++i) {
            dx[i] = dy[i] * Op::derivative(x[i], y[i]);
          }
        }
      });
      return Status{};
    });
  });
}

Status binary_forward_target(const BinaryForward& p, const CpuContext& context) {
  std::int64_t y_strides[kMaxRank];
  contiguous_strides(p.rank, p.extents, y_strides);
  const StridedLoop<3> loop(p.rank, p.extents, {p.a_strides, p.b_strides, y_strides});
  return dispatch_level(p.dtype, [&]<class T>(T) {
    return functors::dispatch(p.op, [&]<class Op>(Op) {
      loop.run(context, [&](const std::array<std::int64_t, 3>& offsets, std::int64_t,
                            std::int64_t begin, std::int64_t end) {
        const std::int64_t sa = loop.row_stride(0);
        const std::int64_t sb = loop.row_stride(1);
        T* y = static_cast<T*>(p.y) + offsets[2] + begin;
        binary_row(static_cast<const T*>(p.a) + offsets[0] + begin * sa, sa,
                   static_cast<const T*>(p.b) + offsets[1] + begin * sb, sb, end - begin,
                   [y](std::int64_t i, T a, T b) { y[i] = Op::value(a, b); });
      });
      return Status{};
    });
  });
}

Status binary_backward_target(const BinaryBackward& p, const CpuContext& context) {
  std::int64_t y_strides[kMaxRank];
  contiguous_strides(p.rank, p.extents, y_strides);
  const StridedLoop<3> loop(p.rank, p.extents, {p.a_strides, p.b_strides, y_strides});
  return dispatch_level(p.dtype, [&]<class T>(T) {
    return functors::dispatch(p.op, [&]<class Op>(Op) {
      loop.run(context, [&](const std::array<std::int64_t, 3>& offsets, std::int64_t,
                            std::int64_t begin, std::int64_t end) {
        const std::int64_t sa = loop.row_stride(0);
        const std::int64_t sb = loop.row_stride(1);
        const T* a = static_cast<const T*>(p.a) + offsets[0] + begin * sa;
        const T* b = static_cast<const T*>(p.b) + offsets[1] + begin * sb;
        const T* dy = static_cast<const T*>(p.dy) + offsets[2] + begin;
        if (p.da != nullptr) {
          T* da = static_cast<T*>(p.da) + offsets[2] + begin;
          binary_row(a, sa, b, sb, end - begin,
                     [da, dy](std::int64_t i, T u, T v) { da[i] = dy[i] * Op::da(u, v); });
        }
        if (p.db != nullptr) {
          T* db = static_cast<T*>(p.db) + offsets[2] + begin;
          binary_row(a, sa, b, sb, end - begin,
                     [db, dy](std::int64_t i, T u, T v) { db[i] = dy[i] * Op::db(u, v); });
        }
      });
      return Status{};
    });
  });
}

Status affine_target(const Affine& p, const CpuContext& context) {
  return dispatch_level(p.dtype, [&]<class T>(T) {
    for_ranges(context, p.count, kGrain, [&](std::int64_t begin, std::int64_t end) {
      const T* x = static_cast<const T*>(p.x);
      T* y = static_cast<T*>(p.y);
      const T scale = static_cast<T>(p.scale);  // local: a store to y cannot change it
      const T shift = static_cast<T>(p.shift);
      for (std::int64_t i = begin; i < end; ++i) {
        y[i] = scale * x[i] + shift;
      }
    });
    return Status{};
  });
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace basin::kernels {

namespace {

constexpr ElementwiseInfo kUnaryInfo[] = {
#define BASIN_UNARY(name, formula, low, high, value, derivative) {#name, formula, low, high},
#include "kernels/elementwise/unary_table.inc"
#undef BASIN_UNARY
};

constexpr ElementwiseInfo kBinaryInfo[] = {
#define BASIN_BINARY(name, formula, low, high, value, da, db) {#name, formula, low, high},
#include "kernels/elementwise/binary_table.inc"
#undef BASIN_BINARY
};

}  // namespace

const ElementwiseInfo& info(UnaryOp op) { return kUnaryInfo[static_cast<int>(op)]; }
const ElementwiseInfo& info(BinaryOp op) { return kBinaryInfo[static_cast<int>(op)]; }

HWY_EXPORT(unary_forward_target);
HWY_EXPORT(unary_backward_target);
HWY_EXPORT(binary_forward_target);
HWY_EXPORT(binary_backward_target);
HWY_EXPORT(affine_target);

Status unary_forward(const UnaryForward& p, const CpuContext& context) {
  return p.dtype == DType::f64 ? HWY_STATIC_DISPATCH(unary_forward_target)(p, context)
                               : HWY_DYNAMIC_DISPATCH(unary_forward_target)(p, context);
}

Status unary_backward(const UnaryBackward& p, const CpuContext& context) {
  return p.dtype == DType::f64 ? HWY_STATIC_DISPATCH(unary_backward_target)(p, context)
                               : HWY_DYNAMIC_DISPATCH(unary_backward_target)(p, context);
}

Status binary_forward(const BinaryForward& p, const CpuContext& context) {
  return p.dtype == DType::f64 ? HWY_STATIC_DISPATCH(binary_forward_target)(p, context)
                               : HWY_DYNAMIC_DISPATCH(binary_forward_target)(p, context);
}

Status binary_backward(const BinaryBackward& p, const CpuContext& context) {
  return p.dtype == DType::f64 ? HWY_STATIC_DISPATCH(binary_backward_target)(p, context)
                               : HWY_DYNAMIC_DISPATCH(binary_backward_target)(p, context);
}

Status affine(const Affine& p, const CpuContext& context) {
  return p.dtype == DType::f64 ? HWY_STATIC_DISPATCH(affine_target)(p, context)
                               : HWY_DYNAMIC_DISPATCH(affine_target)(p, context);
}

}  // namespace basin::kernels
#endif
