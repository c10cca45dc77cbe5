// Operations of unary_table.inc that also have a form in vectors, for f32. A loop over the formula
// of the table is vectorised by the compiler, but may not be contracted: a * b + c in a vector form
// is one fused step, said so, and gives the same bits wherever a loop is cut. Included once per
// target.
#if defined(BASIN_KERNELS_ELEMENTWISE_VECTOR_FORMS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BASIN_KERNELS_ELEMENTWISE_VECTOR_FORMS_INL_H_
#undef BASIN_KERNELS_ELEMENTWISE_VECTOR_FORMS_INL_H_
#else
#define BASIN_KERNELS_ELEMENTWISE_VECTOR_FORMS_INL_H_
#endif

#include <hwy/highway.h>

#include "kernels/elementwise/functors.h"
#include "kernels/simd/gelu-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// value(d, x) and derivative(d, x, y) of vectors, for a functor that has them.
template <class Op>
struct VectorForm {
  static constexpr bool exists = false;
};

// Without vector registers the compiler's loop is the better one.
#if HWY_TARGET != HWY_SCALAR
template <>
struct VectorForm<functors::unary_gelu> {
  static constexpr bool exists = true;
  template <class D>
  HWY_INLINE static hn::Vec<D> value(D d, hn::Vec<D> x) {
    return gelu_vector(d, x);
  }
  template <class D>
  HWY_INLINE static hn::Vec<D> derivative(D d, hn::Vec<D> x, hn::Vec<D>) {
    return gelu_derivative_vector(d, x);
  }
};

template <>
struct VectorForm<functors::unary_tanh> {
  static constexpr bool exists = true;
  template <class D>
  HWY_INLINE static hn::Vec<D> value(D d, hn::Vec<D> x) {
    return tanh_vector(d, x);
  }
  template <class D>
  HWY_INLINE static hn::Vec<D> derivative(D d, hn::Vec<D>, hn::Vec<D> y) {
    return hn::NegMulAdd(y, y, hn::Set(d, 1.0f));
  }
};
#endif

/// y[i] = op(x[i]) in vectors.
template <class Form>
HWY_INLINE void vector_form_forward(const float* x, float* y, std::int64_t count) {
  const hn::ScalableTag<float> d;
  const std::int64_t end = whole(d, count);
  for (std::int64_t i = 0; i < end; i += static_cast<std::int64_t>(hn::Lanes(d))) {
    hn::StoreU(Form::value(d, hn::LoadU(d, x + i)), d, y + i);
  }
  if (end < count) {
    const auto mask = rest(d, count, end);
    hn::BlendedStore(Form::value(d, hn::MaskedLoad(mask, d, x + end)), mask, d, y + end);
  }
}

/// dx[i] = dy[i] op'(x[i]) in vectors.
template <class Form>
HWY_INLINE void vector_form_backward(const float* x, const float* y, const float* dy, float* dx,
                                     std::int64_t count) {
  const hn::ScalableTag<float> d;
  const std::int64_t end = whole(d, count);
  for (std::int64_t i = 0; i < end; i += static_cast<std::int64_t>(hn::Lanes(d))) {
    const auto slope = Form::derivative(d, hn::LoadU(d, x + i), hn::LoadU(d, y + i));
    hn::StoreU(hn::Mul(hn::LoadU(d, dy + i), slope), d, dx + i);
  }
  if (end < count) {
    const auto mask = rest(d, count, end);
    const auto slope =
        Form::derivative(d, hn::MaskedLoad(mask, d, x + end), hn::MaskedLoad(mask, d, y + end));
    hn::BlendedStore(hn::Mul(hn::MaskedLoad(mask, d, dy + end), slope), mask, d, dx + end);
  }
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
