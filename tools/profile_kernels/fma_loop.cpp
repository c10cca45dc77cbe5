#include "tools/profile_kernels/fma_loop.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace basin::profile_kernels {

namespace {

// Enough chains to cover a latency of 4 or 5 cycles at two instructions per cycle; few enough for
// the 16 registers of AVX2.
constexpr int kChains = 12;

// Differs from chain to chain in a way the compiler cannot foresee, or it would keep one of them.
double start(int chain, double sink) { return sink + chain; }

// What a processor without these instructions does: each lane on its own.
template <class T>
double plain(std::int64_t rounds, double& sink) {
  constexpr int kLanes = 4;
  T sums[kChains][kLanes];
  for (int c = 0; c < kChains; ++c) {
    for (T& lane : sums[c]) {
      lane = static_cast<T>(start(c, sink));
    }
  }
  const T factor = T(0.5);
  for (std::int64_t r = 0; r < rounds; ++r) {
    for (auto& sum : sums) {
      for (T& lane : sum) {
        lane = lane * factor + factor;
      }
    }
  }
  for (const auto& sum : sums) {
    sink += static_cast<double>(sum[0]);
  }
  return 2.0 * kChains * kLanes * static_cast<double>(rounds);
}

#if defined(__x86_64__)
// The sums converge to 1: neither overflow nor numbers that are slow to add.
__attribute__((target("avx512f"))) double wide_f32(std::int64_t rounds, double& sink) {
  const __m512 half = _mm512_set1_ps(0.5f);
  __m512 sums[kChains];
  for (int c = 0; c < kChains; ++c) sums[c] = _mm512_set1_ps(static_cast<float>(start(c, sink)));
  for (std::int64_t r = 0; r < rounds; ++r) {
    for (auto& sum : sums) sum = _mm512_fmadd_ps(sum, half, half);
  }
  for (const auto& sum : sums) sink += static_cast<double>(_mm512_cvtss_f32(sum));
  return 2.0 * kChains * 16 * static_cast<double>(rounds);
}

__attribute__((target("avx512f"))) double wide_f64(std::int64_t rounds, double& sink) {
  const __m512d half = _mm512_set1_pd(0.5);
  __m512d sums[kChains];
  for (int c = 0; c < kChains; ++c) sums[c] = _mm512_set1_pd(start(c, sink));
  for (std::int64_t r = 0; r < rounds; ++r) {
    for (auto& sum : sums) sum = _mm512_fmadd_pd(sum, half, half);
  }
  for (const auto& sum : sums) sink += _mm512_cvtsd_f64(sum);
  return 2.0 * kChains * 8 * static_cast<double>(rounds);
}

__attribute__((target("avx2,fma"))) double middle_f32(std::int64_t rounds, double& sink) {
  const __m256 half = _mm256_set1_ps(0.5f);
  __m256 sums[kChains];
  for (int c = 0; c < kChains; ++c) sums[c] = _mm256_set1_ps(static_cast<float>(start(c, sink)));
  for (std::int64_t r = 0; r < rounds; ++r) {
    for (auto& sum : sums) sum = _mm256_fmadd_ps(sum, half, half);
  }
  for (const auto& sum : sums) sink += static_cast<double>(_mm256_cvtss_f32(sum));
  return 2.0 * kChains * 8 * static_cast<double>(rounds);
}

__attribute__((target("avx2,fma"))) double middle_f64(std::int64_t rounds, double& sink) {
  const __m256d half = _mm256_set1_pd(0.5);
  __m256d sums[kChains];
  for (int c = 0; c < kChains; ++c) sums[c] = _mm256_set1_pd(start(c, sink));
  for (std::int64_t r = 0; r < rounds; ++r) {
    for (auto& sum : sums) sum = _mm256_fmadd_pd(sum, half, half);
  }
  for (const auto& sum : sums) sink += _mm256_cvtsd_f64(sum);
  return 2.0 * kChains * 4 * static_cast<double>(rounds);
}
#endif

}  // namespace

double fma_loop(std::int64_t rounds, DType dtype, double& sink) {
  const bool single = dtype == DType::f32;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") != 0) {
    return single ? wide_f32(rounds, sink) : wide_f64(rounds, sink);
  }
  if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0) {
    return single ? middle_f32(rounds, sink) : middle_f64(rounds, sink);
  }
#endif
  return single ? plain<float>(rounds, sink) : plain<double>(rounds, sink);
}

}  // namespace basin::profile_kernels
