// Items go through time together; a panel of the product holds a_r, a_z and a_n of a vector of
// units, so their new states are computed before the next panel.
#include "kernels/recurrent/packed.h"
#include "kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/recurrent/gru_packed.cpp"
#include <hwy/foreach_target.h>
//
#include "kernels/recurrent/steps-inl.h"
#include "kernels/simd/sigmoid-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

template <class T>
void forward(const GruForward& p, const CpuContext& context) {
  const hn::ScalableTag<T> d;
  const std::int64_t W = p.width;
  const std::int64_t item = p.L * W;
  const T* bias = static_cast<const T*>(p.bias);
  T* packed = static_cast<T*>(p.workspace);
  pack_steps<3>(StepWeights<T>{static_cast<const T*>(p.weight), W, 1, W * W}, W, W, p.L, packed,
                context);
  for_items(context, p.B, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = 0; t < p.L; ++t) {
      const std::int64_t at = begin * item + t * W;
      const T* x = static_cast<const T*>(p.x) + 3 * at;
      T* saved = static_cast<T*>(p.saved) + 4 * at;
      T* h = static_cast<T*>(p.h) + at;
      const Left<T> before{t > 0 ? h - W : h, item, 1};
      step<3>(
          end - begin, W, W, t > 0 ? W : 0, before, packed,
          [&](std::int64_t b, const auto& units, T* sums) HWY_ATTR {
            for (const std::int64_t gate : {0, 1}) {  // r, z
              T* sum = sums + gate * kLanesOf<T>;
              const auto a = hn::Add(units.load(bias + gate * W), hn::Load(d, sum));
              const auto value =
                  sigmoid_vector(d, hn::Add(units.load(x + 3 * b * item + gate * W), a));
              hn::Store(value, d, sum);
              units.store(value, saved + 4 * b * item + gate * W);
            }
          },
          [&](std::int64_t b, const auto& units, const T* sums) HWY_ATTR {
            const auto r = hn::Load(d, sums);
            const auto z = hn::Load(d, sums + kLanesOf<T>);
            const auto a_n = hn::Add(units.load(bias + 2 * W), hn::Load(d, sums + 2 * kLanesOf<T>));
            const auto n = tanh_vector(d, hn::MulAdd(r, a_n, units.load(x + 3 * b * item + 2 * W)));
            units.store(n, saved + 4 * b * item + 2 * W);
            units.store(a_n, saved + 4 * b * item + 3 * W);
            auto state = hn::Mul(hn::Sub(hn::Set(d, T(1)), z), n);
            if (t > 0) {
              state = hn::MulAdd(z, units.load(h + b * item - W), state);
            }
            units.store(state, h + b * item);
          });
    }
  });
}

template <class T>
void backward(const GruBackward& p, const CpuContext& context) {
  const hn::ScalableTag<T> d;
  const std::int64_t W = p.width;
  const std::int64_t item = p.L * W;
  T* packed = static_cast<T*>(p.workspace);
  // The gradient by h_t from later steps comes through W, which is the product, and through z
  // directly: (B, W).
  T* direct = packed + step_panels_size<1, T>(W, 3 * W);
  pack_steps<1>(StepWeights<T>{static_cast<const T*>(p.weight), 1, W, 0}, W, 3 * W, p.L, packed,
                context);
  for_items(context, p.B, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = p.L - 1; t >= 0; --t) {
      const bool last = t + 1 == p.L;
      const std::int64_t at = begin * item + t * W;
      const T* saved = static_cast<const T*>(p.saved) + 4 * at;
      const T* h = static_cast<const T*>(p.h) + at;
      const T* dh = static_cast<const T*>(p.dh) + at;
      T* dx = static_cast<T*>(p.dx) + 3 * at;
      T* da = static_cast<T*>(p.da) + 3 * at;
      const Left<T> later{last ? da : da + 3 * W, 3 * item, 1};
      step<1>(end - begin, W, 3 * W, last ? 0 : 3 * W, later, packed,
              [&](std::int64_t b, const auto& units, T* sums) HWY_ATTR {
                const auto one = hn::Set(d, T(1));
                const T* of_item = saved + 4 * b * item;
                const auto r = units.load(of_item);
                const auto z = units.load(of_item + W);
                const auto n = units.load(of_item + 2 * W);
                const auto a_n = units.load(of_item + 3 * W);
                auto total = hn::Add(units.load(dh + b * item), hn::Load(d, sums));
                T* carried = direct + (begin + b) * W;
                if (!last) {
                  total = hn::Add(total, units.load(carried));
                }
                const auto old = t > 0 ? units.load(h + b * item - W) : hn::Zero(d);
                const auto keep = hn::Sub(one, z);
                const auto dn = hn::Mul(hn::Mul(total, keep), hn::NegMulAdd(n, n, one));
                const auto dr = hn::Mul(hn::Mul(dn, a_n), hn::Mul(r, hn::Sub(one, r)));
                const auto dz = hn::Mul(hn::Mul(total, hn::Sub(old, n)), hn::Mul(z, keep));
                T* dx_item = dx + 3 * b * item;
                T* da_item = da + 3 * b * item;
                units.store(dr, dx_item);
                units.store(dz, dx_item + W);
                units.store(dn, dx_item + 2 * W);
                units.store(dr, da_item);
                units.store(dz, da_item + W);
                units.store(hn::Mul(dn, r), da_item + 2 * W);
                units.store(hn::Mul(total, z), carried);
              });
    }
  });
}

void gru_forward_target(const GruForward& p, const CpuContext& context) {
  p.dtype == DType::f64 ? forward<double>(p, context) : forward<float>(p, context);
}

void gru_backward_target(const GruBackward& p, const CpuContext& context) {
  p.dtype == DType::f64 ? backward<double>(p, context) : backward<float>(p, context);
}

std::int64_t gru_forward_workspace_target(const GruForward& p) {
  return static_cast<std::int64_t>(size_of(p.dtype)) *
         (p.dtype == DType::f64 ? step_panels_size<3, double>(p.width, p.width)
                                : step_panels_size<3, float>(p.width, p.width));
}

std::int64_t gru_backward_workspace_target(const GruBackward& p) {
  return static_cast<std::int64_t>(size_of(p.dtype)) *
         (p.B * p.width + (p.dtype == DType::f64
                               ? step_panels_size<1, double>(p.width, 3 * p.width)
                               : step_panels_size<1, float>(p.width, 3 * p.width)));
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace basin::kernels {

HWY_EXPORT(gru_forward_target);
HWY_EXPORT(gru_backward_target);
HWY_EXPORT(gru_forward_workspace_target);
HWY_EXPORT(gru_backward_workspace_target);

std::int64_t gru_forward_packed_workspace(const GruForward& p) {
  return HWY_DYNAMIC_DISPATCH(gru_forward_workspace_target)(p);
}

std::int64_t gru_backward_packed_workspace(const GruBackward& p) {
  return HWY_DYNAMIC_DISPATCH(gru_backward_workspace_target)(p);
}

void gru_forward_packed(const GruForward& p, const CpuContext& context) {
  HWY_DYNAMIC_DISPATCH(gru_forward_target)(p, context);
}

void gru_backward_packed(const GruBackward& p, const CpuContext& context) {
  HWY_DYNAMIC_DISPATCH(gru_backward_target)(p, context);
}

}  // namespace basin::kernels
#endif
