// Items go through time together; a panel of the product holds the four gates of a vector of units,
// so their cells are computed before the next panel.
#include "kernels/recurrent/packed.h"
#include "kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/recurrent/lstm_packed.cpp"
#include <hwy/foreach_target.h>
//
#include "kernels/recurrent/steps-inl.h"
#include "kernels/simd/sigmoid-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

template <class T>
void forward(const LstmForward& p, const CpuContext& context) {
  const hn::ScalableTag<T> d;
  const std::int64_t W = p.width;
  const std::int64_t item = p.L * W;
  T* packed = static_cast<T*>(p.workspace);
  pack_steps<4>(StepWeights<T>{static_cast<const T*>(p.weight), W, 1, W * W}, W, W, p.L, packed,
                context);
  for_items(context, p.B, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = 0; t < p.L; ++t) {
      const std::int64_t at = begin * item + t * W;
      const T* x = static_cast<const T*>(p.x) + 4 * at;
      T* gates = static_cast<T*>(p.gates) + 4 * at;
      T* c = static_cast<T*>(p.c) + at;
      T* h = static_cast<T*>(p.h) + at;
      const std::int64_t next = t + 1 < p.L ? 4 * W : 0;
      const Left<T> before{t > 0 ? h - W : h, item, 1};
      step<4>(
          end - begin, W, W, t > 0 ? W : 0, before, packed,
          [&](std::int64_t b, const auto& units, T* sums) HWY_ATTR {
            const auto gate = [&](std::int64_t number, auto&& function) HWY_ATTR {
              const std::int64_t at_gate = 4 * b * item + number * W;
              T* sum = sums + number * kLanesOf<T>;
              units.expect(x + at_gate + next);
              units.expect(gates + at_gate + next);
              const auto value = function(d, hn::Add(units.load(x + at_gate), hn::Load(d, sum)));
              hn::Store(value, d, sum);
              units.store(value, gates + at_gate);
            };
            const auto sigmoid = [](auto tag, auto a) HWY_ATTR { return sigmoid_vector(tag, a); };
            const auto tanh = [](auto tag, auto a) HWY_ATTR { return tanh_vector(tag, a); };
            gate(0, sigmoid);
            gate(1, sigmoid);
            gate(2, tanh);
            gate(3, sigmoid);
          },
          [&](std::int64_t b, const auto& units, const T* sums) HWY_ATTR {
            const auto gate = [&](std::int64_t number)
                                  HWY_ATTR { return hn::Load(d, sums + number * kLanesOf<T>); };
            auto cell = hn::Mul(gate(0), gate(2));
            if (t > 0) {
              cell = hn::MulAdd(gate(1), units.load(c + b * item - W), cell);
            }
            units.store(cell, c + b * item);
            units.store(hn::Mul(gate(3), tanh_vector(d, cell)), h + b * item);
          });
    }
  });
}

template <class T>
void backward(const LstmBackward& p, const CpuContext& context) {
  const hn::ScalableTag<T> d;
  const std::int64_t W = p.width;
  const std::int64_t item = p.L * W;
  T* packed = static_cast<T*>(p.workspace);
  T* later_c = packed + step_panels_size<1, T>(W, 4 * W);  // (B, W)
  pack_steps<1>(StepWeights<T>{static_cast<const T*>(p.weight), 1, W, 0}, W, 4 * W, p.L, packed,
                context);
  for_items(context, p.B, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = p.L - 1; t >= 0; --t) {
      const bool last = t + 1 == p.L;
      const std::int64_t at = begin * item + t * W;
      const T* gates = static_cast<const T*>(p.gates) + 4 * at;
      const T* c = static_cast<const T*>(p.c) + at;
      const T* dh = static_cast<const T*>(p.dh) + at;
      T* dx = static_cast<T*>(p.dx) + 4 * at;
      const Left<T> later{last ? dx : dx + 4 * W, 4 * item, 1};
      step<1>(end - begin, W, 4 * W, last ? 0 : 4 * W, later, packed,
              [&](std::int64_t b, const auto& units, T* sums) HWY_ATTR {
                const auto one = hn::Set(d, T(1));
                const T* of_item = gates + 4 * b * item;
                const auto i = units.load(of_item);
                const auto f = units.load(of_item + W);
                const auto g = units.load(of_item + 2 * W);
                const auto o = units.load(of_item + 3 * W);
                const auto tanh_c = tanh_vector(d, units.load(c + b * item));
                const auto total = hn::Add(units.load(dh + b * item), hn::Load(d, sums));
                auto dc = hn::Mul(hn::Mul(total, o), hn::NegMulAdd(tanh_c, tanh_c, one));
                T* carried = later_c + (begin + b) * W;
                if (!last) {
                  dc = hn::Add(dc, units.load(carried));
                }
                const auto old = t > 0 ? units.load(c + b * item - W) : hn::Zero(d);
                T* da = dx + 4 * b * item;
                const auto of_sigmoid = [&](hn::Vec<decltype(d)> y)
                                            HWY_ATTR { return hn::Mul(y, hn::Sub(one, y)); };
                units.store(hn::Mul(hn::Mul(dc, g), of_sigmoid(i)), da);
                units.store(hn::Mul(hn::Mul(dc, old), of_sigmoid(f)), da + W);
                units.store(hn::Mul(hn::Mul(dc, i), hn::NegMulAdd(g, g, one)), da + 2 * W);
                units.store(hn::Mul(hn::Mul(total, tanh_c), of_sigmoid(o)), da + 3 * W);
                units.store(hn::Mul(dc, f), carried);
              });
    }
  });
}

void lstm_forward_target(const LstmForward& p, const CpuContext& context) {
  p.dtype == DType::f64 ? forward<double>(p, context) : forward<float>(p, context);
}

void lstm_backward_target(const LstmBackward& p, const CpuContext& context) {
  p.dtype == DType::f64 ? backward<double>(p, context) : backward<float>(p, context);
}

std::int64_t lstm_forward_workspace_target(const LstmForward& p) {
  return static_cast<std::int64_t>(size_of(p.dtype)) *
         (p.dtype == DType::f64 ? step_panels_size<4, double>(p.width, p.width)
                                : step_panels_size<4, float>(p.width, p.width));
}

std::int64_t lstm_backward_workspace_target(const LstmBackward& p) {
  return static_cast<std::int64_t>(size_of(p.dtype)) *
         (p.B * p.width + (p.dtype == DType::f64
                               ? step_panels_size<1, double>(p.width, 4 * p.width)
                               : step_panels_size<1, float>(p.width, 4 * p.width)));
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace basin::kernels {

HWY_EXPORT(lstm_forward_target);
HWY_EXPORT(lstm_backward_target);
HWY_EXPORT(lstm_forward_workspace_target);
HWY_EXPORT(lstm_backward_workspace_target);

std::int64_t lstm_forward_packed_workspace(const LstmForward& p) {
  return HWY_DYNAMIC_DISPATCH(lstm_forward_workspace_target)(p);
}

std::int64_t lstm_backward_packed_workspace(const LstmBackward& p) {
  return HWY_DYNAMIC_DISPATCH(lstm_backward_workspace_target)(p);
}

void lstm_forward_packed(const LstmForward& p, const CpuContext& context) {
  HWY_DYNAMIC_DISPATCH(lstm_forward_target)(p, context);
}

void lstm_backward_packed(const LstmBackward& p, const CpuContext& context) {
  HWY_DYNAMIC_DISPATCH(lstm_backward_target)(p, context);
}

}  // namespace basin::kernels
#endif
