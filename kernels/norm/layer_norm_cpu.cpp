#include "kernels/norm/layer_norm.h"

#include "kernels/common/dispatch.h"
#include "kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/norm/layer_norm_cpu.cpp"
#include <hwy/foreach_target.h>
//
#include "kernels/norm/norm_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

Status layer_norm_forward_target(const LayerNormForward& p, const CpuContext& context) {
  if (p.cols <= 0) {
    return Status::invalid("layer_norm: rows must have at least one element");
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    for_ranges(context, p.rows, kNormRows, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        const T* x = static_cast<const T*>(p.x) + r * p.x_stride;
        const RowStatistics<T> s = statistics_of(x, p.cols, p.eps);
        static_cast<T*>(p.mean)[r] = s.mean;
        static_cast<T*>(p.rstd)[r] = s.rstd;
        normalise_row(x, static_cast<T*>(p.y) + r * p.y_stride, static_cast<const T*>(p.weight),
                      static_cast<const T*>(p.bias), p.cols, s);
      }
    });
    return Status{};
  });
}

Status layer_norm_backward_target(const LayerNormBackward& p, const CpuContext& context) {
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    norm_slopes(NormSlopes<T>{static_cast<const T*>(p.x), static_cast<const T*>(p.weight),
                              static_cast<const T*>(p.mean), static_cast<const T*>(p.rstd),
                              static_cast<const T*>(p.dy), nullptr, static_cast<T*>(p.dx),
                              static_cast<T*>(p.dweight), static_cast<T*>(p.dbias),
                              reinterpret_cast<T*>(p.workspace), p.rows, p.cols},
                context);
    return Status{};
  });
}

std::int64_t layer_norm_workspace_target(std::int64_t rows, std::int64_t cols) {
  return norm_workspace(rows, cols);
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace basin::kernels {

HWY_EXPORT(layer_norm_forward_target);
HWY_EXPORT(layer_norm_backward_target);
HWY_EXPORT(layer_norm_workspace_target);

Status layer_norm_forward(const LayerNormForward& p, const CpuContext& context) {
  return HWY_DYNAMIC_DISPATCH(layer_norm_forward_target)(p, context);
}

std::int64_t layer_norm_backward_workspace(std::int64_t rows, std::int64_t cols) {
  return HWY_DYNAMIC_DISPATCH(layer_norm_workspace_target)(rows, cols);
}

Status layer_norm_backward(const LayerNormBackward& p, const CpuContext& context) {
  return HWY_DYNAMIC_DISPATCH(layer_norm_backward_target)(p, context);
}

}  // namespace basin::kernels
#endif
