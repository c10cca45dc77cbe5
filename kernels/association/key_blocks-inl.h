// Keys of a head packed in blocks for score products, and which blocks a query needs. Included once
// per target.
#if defined(BASIN_KERNELS_ASSOCIATION_KEY_BLOCKS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BASIN_KERNELS_ASSOCIATION_KEY_BLOCKS_INL_H_
#undef BASIN_KERNELS_ASSOCIATION_KEY_BLOCKS_INL_H_
#else
#define BASIN_KERNELS_ASSOCIATION_KEY_BLOCKS_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "kernels/association/heads.h"
#include "kernels/association/visibility.h"
#include "kernels/common/thread_pool.h"
#include "kernels/simd/product-inl.h"
#include "kernels/simd/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

constexpr std::int64_t kKeysOfBlock = 128;

constexpr std::int64_t blocks_of(std::int64_t keys) {
  return (keys + kKeysOfBlock - 1) / kKeysOfBlock;
}

/// Elements of one block of keys of width D.
template <class T>
constexpr std::int64_t key_block_size(std::int64_t D) {
  return packed_size<T>(D, kKeysOfBlock);
}

/// The keys of one block that any query may see, as panels of K^T; the others are not read.
template <class T>
void pack_key_block(const Visibility& seen, std::int64_t b, const T* k, std::int64_t k_row,
                    std::int64_t D, std::int64_t block, T* to) {
  const std::int64_t begin = block * kKeysOfBlock;
  const std::int64_t count = std::min(kKeysOfBlock, seen.prefix(b, seen.L - 1) - begin);
  if (count > 0) {
    pack_transposed(k + begin * k_row, k_row, D, count, to);
  }
}

/// Packs all blocks of all heads; head h of item b begins at (b H + h) blocks key_block_size.
template <class T, class P>
void pack_all_keys(const P& p, const CpuContext& context, T* to) {
  const std::int64_t blocks = blocks_of(p.visibility.M);
  context.pool->run(p.B * p.H * blocks, [&](std::int64_t chunk) {
    const std::int64_t head = chunk / blocks;
    pack_key_block(p.visibility, head / p.H, p.k.template head<T>(head / p.H, head % p.H),
                   p.k.row_stride, p.D, chunk % blocks, to + chunk * key_block_size<T>(p.D));
  });
}

/// The keys that queries begin ... end - 1 may see at all, as one range.
struct KeyRange {
  std::int64_t begin, end;
};
inline KeyRange keys_of_queries(const Visibility& seen, std::int64_t b, std::int64_t begin,
                                std::int64_t end) {
  KeyRange range{0, seen.prefix(b, end - 1)};
  const std::int64_t shift = seen.M - seen.L;
  const bool some_global = begin + shift < seen.global_tokens && end - 1 + shift >= 0;
  if (seen.has_window() && seen.global_tokens == 0 && !some_global) {
    range.begin = std::max<std::int64_t>(0, begin + shift - seen.reach());
    range.end = std::min(range.end, end + shift + seen.reach());
  }
  return range;
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
