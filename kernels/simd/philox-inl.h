// Philox4x32-10 in vectors: a lane is a counter. Included once per target.
#if defined(BASIN_KERNELS_SIMD_PHILOX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BASIN_KERNELS_SIMD_PHILOX_INL_H_
#undef BASIN_KERNELS_SIMD_PHILOX_INL_H_
#else
#define BASIN_KERNELS_SIMD_PHILOX_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>

#include "kernels/common/philox.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR
// The halves of the 64-bit products of a and a constant, lane by lane.
template <class D>
struct WideProduct {
  hn::Vec<D> high, low;

  WideProduct(D d, hn::Vec<D> a, hn::Vec<D> factor) {
    const hn::RepartitionToWide<D> wide;
    const auto even = hn::MulEven(a, factor);
    const auto odd = hn::MulEven(hn::BitCast(d, hn::ShiftRight<32>(hn::BitCast(wide, a))), factor);
    high = hn::OddEven(hn::BitCast(d, odd), hn::BitCast(d, hn::ShiftRight<32>(even)));
    low = hn::OddEven(hn::BitCast(d, hn::ShiftLeft<32>(odd)), hn::BitCast(d, even));
  }
};
#endif

/// words[4 n ... 4 n + 3] = philox(key, low + n, high) for n below `count`, of which the lower
/// half of low + n must not overflow. Up to kPhiloxExcess words behind the last are overwritten.
inline constexpr std::int64_t kPhiloxExcess = 64;
HWY_INLINE void philox_row(std::uint64_t key, std::uint64_t low, std::uint64_t high,
                           std::int64_t count, std::uint32_t* words) {
#if HWY_TARGET == HWY_SCALAR
  for (std::int64_t n = 0; n < count; ++n) {
    const auto block = philox(key, low + static_cast<std::uint64_t>(n), high);
    for (std::size_t word = 0; word < 4; ++word) {
      words[4 * n + static_cast<std::int64_t>(word)] = block[word];
    }
  }
#else
  const hn::ScalableTag<std::uint32_t> d;
  const auto m0 = hn::Set(d, 0xD2511F53u);
  const auto m1 = hn::Set(d, 0xCD9E8D57u);
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t n = 0; n < count; n += lanes) {
    auto c0 = hn::Iota(d, static_cast<std::uint32_t>(low) + static_cast<std::uint32_t>(n));
    auto c1 = hn::Set(d, static_cast<std::uint32_t>(low >> 32));
    auto c2 = hn::Set(d, static_cast<std::uint32_t>(high));
    auto c3 = hn::Set(d, static_cast<std::uint32_t>(high >> 32));
    auto k0 = static_cast<std::uint32_t>(key);
    auto k1 = static_cast<std::uint32_t>(key >> 32);
    for (int round = 0; round < 10; ++round) {
      const WideProduct<decltype(d)> p0(d, c0, m0);
      const WideProduct<decltype(d)> p1(d, c2, m1);
      c0 = hn::Xor(hn::Xor(p1.high, c1), hn::Set(d, k0));
      c1 = p1.low;
      c2 = hn::Xor(hn::Xor(p0.high, c3), hn::Set(d, k1));
      c3 = p0.low;
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    hn::StoreInterleaved4(c0, c1, c2, c3, d, words + 4 * n);
  }
#endif
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
