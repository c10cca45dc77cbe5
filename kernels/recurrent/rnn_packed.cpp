// Items go through time together; a step adds the product to x and applies f, vector by vector.
#include "kernels/recurrent/packed.h"
#include "kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/recurrent/rnn_packed.cpp"
#include <hwy/foreach_target.h>
//
#include "kernels/recurrent/steps-inl.h"
#include "kernels/simd/sigmoid-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

template <class T>
void forward(const RnnForward& p, const CpuContext& context) {
  const hn::ScalableTag<T> d;
  const std::int64_t W = p.width;
  const std::int64_t item = p.L * W;
  T* packed = static_cast<T*>(p.workspace);
  pack_steps<1>(StepWeights<T>{static_cast<const T*>(p.weight), W, 1, 0}, W, W, p.L, packed,
                context);
  for_items(context, p.B, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = 0; t < p.L; ++t) {
      const T* x = static_cast<const T*>(p.x) + begin * item + t * W;
      T* h = static_cast<T*>(p.h) + begin * item + t * W;
      const Left<T> before{t > 0 ? h - W : h, item, 1};
      step<1>(end - begin, W, W, t > 0 ? W : 0, before, packed,
              [&](std::int64_t b, const auto& units, T* sums) HWY_ATTR {
                const auto a = hn::Add(units.load(x + b * item), hn::Load(d, sums));
                units.store(p.nonlinearity == Nonlinearity::tanh
                                ? tanh_vector(d, a)
                                : hn::IfThenZeroElse(hn::Le(a, hn::Zero(d)), a),  // NaN stays
                            h + b * item);
              });
    }
  });
}

template <class T>
void backward(const RnnBackward& p, const CpuContext& context) {
  const hn::ScalableTag<T> d;
  const std::int64_t W = p.width;
  const std::int64_t item = p.L * W;
  T* packed = static_cast<T*>(p.workspace);
  pack_steps<1>(StepWeights<T>{static_cast<const T*>(p.weight), 1, W, 0}, W, W, p.L, packed,
                context);
  for_items(context, p.B, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = p.L - 1; t >= 0; --t) {
      const bool last = t + 1 == p.L;
      const std::int64_t at = begin * item + t * W;
      const T* h = static_cast<const T*>(p.h) + at;
      const T* dh = static_cast<const T*>(p.dh) + at;
      T* dx = static_cast<T*>(p.dx) + at;
      const Left<T> later{last ? dx : dx + W, item, 1};
      step<1>(end - begin, W, W, last ? 0 : W, later, packed,
              [&](std::int64_t b, const auto& units, T* sums) HWY_ATTR {
                const auto total = hn::Add(units.load(dh + b * item), hn::Load(d, sums));
                const auto state = units.load(h + b * item);
                const auto one = hn::Set(d, T(1));
                const auto slope = p.nonlinearity == Nonlinearity::tanh
                                       ? hn::NegMulAdd(state, state, one)
                                       : hn::IfThenElseZero(hn::Gt(state, hn::Zero(d)), one);
                units.store(hn::Mul(slope, total), dx + b * item);
              });
    }
  });
}

void rnn_forward_target(const RnnForward& p, const CpuContext& context) {
  p.dtype == DType::f64 ? forward<double>(p, context) : forward<float>(p, context);
}

void rnn_backward_target(const RnnBackward& p, const CpuContext& context) {
  p.dtype == DType::f64 ? backward<double>(p, context) : backward<float>(p, context);
}

std::int64_t rnn_workspace_target(std::int64_t width, DType dtype) {
  return static_cast<std::int64_t>(size_of(dtype)) *
         (dtype == DType::f64 ? step_panels_size<1, double>(width, width)
                              : step_panels_size<1, float>(width, width));
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace basin::kernels {

HWY_EXPORT(rnn_forward_target);
HWY_EXPORT(rnn_backward_target);
HWY_EXPORT(rnn_workspace_target);

std::int64_t rnn_forward_packed_workspace(const RnnForward& p) {
  return HWY_DYNAMIC_DISPATCH(rnn_workspace_target)(p.width, p.dtype);
}

std::int64_t rnn_backward_packed_workspace(const RnnBackward& p) {
  return HWY_DYNAMIC_DISPATCH(rnn_workspace_target)(p.width, p.dtype);
}

void rnn_forward_packed(const RnnForward& p, const CpuContext& context) {
  HWY_DYNAMIC_DISPATCH(rnn_forward_target)(p, context);
}

void rnn_backward_packed(const RnnBackward& p, const CpuContext& context) {
  HWY_DYNAMIC_DISPATCH(rnn_backward_target)(p, context);
}

}  // namespace basin::kernels
#endif
