// f32 rounded to the significant bits of tf32 or bf16, in vectors. Included once per target.
#if defined(BASIN_KERNELS_SIMD_ROUND_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BASIN_KERNELS_SIMD_ROUND_INL_H_
#undef BASIN_KERNELS_SIMD_ROUND_INL_H_
#else
#define BASIN_KERNELS_SIMD_ROUND_INL_H_
#endif

#include <cstdint>

#include "kernels/common/half.h"
#include "kernels/simd/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// without_low_bits() of half.h, lane by lane.
template <int kCut, class D>
HWY_INLINE hn::Vec<D> round_vector(D d, hn::Vec<D> value) {
  const hn::RebindToUnsigned<D> du;
  const auto kept = hn::Set(du, ~((1u << kCut) - 1u));
  const auto bits = hn::BitCast(du, value);
  const auto odd = hn::And(hn::ShiftRight<kCut>(bits), hn::Set(du, 1u));
  const auto up = hn::Add(bits, hn::Add(odd, hn::Set(du, (1u << (kCut - 1)) - 1u)));
  const auto quiet = hn::Or(bits, hn::Set(du, 0x00400000u));
  const auto is_nan = hn::RebindMask(du, hn::IsNaN(value));
  return hn::BitCast(d, hn::And(hn::IfThenElse(is_nan, quiet, up), kept));
}

template <int kCut>
HWY_INLINE void round_row_by(const float* from, float* to, std::int64_t count) {
  const hn::ScalableTag<float> d;
  const std::int64_t end = whole(d, count);
  for (std::int64_t i = 0; i < end; i += static_cast<std::int64_t>(hn::Lanes(d))) {
    hn::StoreU(round_vector<kCut>(d, hn::LoadU(d, from + i)), d, to + i);
  }
  if (end < count) {
    const auto mask = rest(d, count, end);
    hn::BlendedStore(round_vector<kCut>(d, hn::MaskedLoad(mask, d, from + end)), mask, d, to + end);
  }
}

/// to[i] = from[i] as factors of that precision are rounded; `to` may be `from`. f64 is never
/// rounded.
HWY_INLINE void round_row(const float* from, float* to, std::int64_t count, Precision precision) {
  switch (precision) {
    case Precision::f32: break;
    case Precision::tf32: round_row_by<kCutBits<Precision::tf32>>(from, to, count); return;
    case Precision::bf16: round_row_by<kCutBits<Precision::bf16>>(from, to, count); return;
  }
  if (to != from) {
    std::copy_n(from, count, to);
  }
}
HWY_INLINE void round_row(const double* from, double* to, std::int64_t count, Precision) {
  if (to != from) {
    std::copy_n(from, count, to);
  }
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
