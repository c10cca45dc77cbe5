// For a tile of queries, block of keys by block of keys:
//   S = beta Q K^T;  m' = max(m, max_j S);  P = exp(S - m')
//   l' = e^(m - m') l + sum_j P;  O' = e^(m - m') O + P V
// and in the end out = O / l, lse = m + ln l. Rows are taken in groups as tall as a block of the
// product, so that the scores of a group stay in the first-level cache.
#include "kernels/association/flash_attention.h"

#include "kernels/common/dispatch.h"
#include "kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/association/flash_attention_forward.cpp"
#include <hwy/foreach_target.h>
//
#include "kernels/simd/product-inl.h"
#include "kernels/simd/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

constexpr std::int64_t kKeys = 128;    // of a block
constexpr std::int64_t kQueries = 96;  // of a tile: whole groups at every level

// Where things lie in the workspace, in elements.
template <class T>
struct ForwardLayout {
  std::int64_t blocks, key_block, value_block, tile;

  explicit ForwardLayout(const AttentionForward& p)
      : blocks((p.M + kKeys - 1) / kKeys),
        key_block(packed_size<T>(p.D, kKeys)),
        value_block(packed_size<T>(kKeys, p.Dv)),
        tile(kBlockRows * kKeys + kQueries * (p.Dv + 2)) {}

  std::int64_t packed() const { return blocks * (key_block + value_block); }
  std::int64_t total(const AttentionForward& p, int threads) const {
    return p.B * p.H * packed() + threads * tile;
  }
};

// One block of keys as panels of K^T, and its values as panels.
template <class T>
void pack_block(const AttentionForward& p, const ForwardLayout<T>& layout, std::int64_t head,
                std::int64_t block, T* to) {
  const std::int64_t b = head / p.H;
  const std::int64_t h = head % p.H;
  const std::int64_t begin = block * kKeys;
  // Keys that nobody sees are not even read.
  const std::int64_t seen = visible_keys(p.key_lengths, b, p.causal, p.L - 1, p.L, p.M);
  const std::int64_t count = std::min(kKeys, seen - begin);
  if (count <= 0) {
    return;
  }
  pack_transposed(p.k.head<T>(b, h) + begin * p.k.row_stride, p.k.row_stride, p.D, count, to);
  pack(p.v.head<T>(b, h) + begin * p.v.row_stride, p.v.row_stride, count, p.Dv,
       to + layout.key_block);
}

template <class T>
void forward_tile(const AttentionForward& p, const ForwardLayout<T>& layout, std::int64_t head,
                  std::int64_t begin, const T* packed, T* scratch) {
  const std::int64_t b = head / p.H;
  const std::int64_t h = head % p.H;
  const T beta = static_cast<const T*>(p.beta)[h];
  const std::int64_t rows = std::min(kQueries, p.L - begin);
  const auto visible = [&](std::int64_t r) {
    return visible_keys(p.key_lengths, b, p.causal, begin + r, p.L, p.M);
  };
  const std::int64_t seen_by_all = visible_keys(p.key_lengths, b, p.causal, p.L - 1, p.L, p.M);
  const Left<T> q{p.q.head<T>(b, h) + begin * p.q.row_stride, p.q.row_stride, 1};

  T* scores = scratch;
  T* maximum = scores + kBlockRows * kKeys;
  T* sum = maximum + kQueries;
  T* out = sum + kQueries;
  std::fill(maximum, maximum + rows, -std::numeric_limits<T>::infinity());
  std::fill(sum, sum + rows, T(0));
  std::fill(out, out + rows * p.Dv, T(0));

  const std::int64_t end = visible(rows - 1);
  for (std::int64_t j = 0; j < end; j += kKeys) {
    const T* block = packed + j / kKeys * (layout.key_block + layout.value_block);
    const std::int64_t packed_keys = std::min(kKeys, seen_by_all - j);
    const Packed<T> keys = Packed<T>::of(block, p.D);
    const Packed<T> values = Packed<T>::of(block + layout.key_block, packed_keys);
    for (std::int64_t r = 0; r < rows; r += kBlockRows) {
      const std::int64_t group = std::min<std::int64_t>(kBlockRows, rows - r);
      // Visibility grows with the row: the first row of the group sees the least.
      const auto within = [&](std::int64_t row) {
        return std::clamp<std::int64_t>(visible(row) - j, 0, kKeys);
      };
      const std::int64_t common = within(r);
      const std::int64_t most = within(r + group - 1);
      if (most == 0) {
        continue;
      }
      product(group, most, p.D, q.at(r, 0), keys, scores, kKeys, Update<T>{beta, T(0)});
      for (std::int64_t g = 0; g < group; ++g) {
        const std::int64_t count = within(r + g);
        if (count == 0) {
          continue;
        }
        T* row = scores + g * kKeys;
        const T old = maximum[r + g];
        const T top = std::max(old, vector_max(row, count));
        const T added = vector_exp_sum(row, row, count, top);
        // From nothing (old = -inf) the factor is 0, and out and sum are 0 anyhow.
        const T keep = old == top ? T(1) : exp_of(old - top);
        if (keep != T(1)) {
          vector_scale(out + (r + g) * p.Dv, out + (r + g) * p.Dv, p.Dv, keep);
        }
        sum[r + g] = keep * sum[r + g] + added;
        maximum[r + g] = top;
      }
      // A hidden value is never multiplied, not even by 0: it may be NaN. So the keys that only
      // some rows of the group see are taken row by row.
      const Update<T> accumulate{T(1), T(1)};
      if (common > 0) {
        product(group, p.Dv, common, Left<T>{scores, kKeys, 1}, values, out + r * p.Dv, p.Dv,
                accumulate);
      }
      for (std::int64_t g = 1; g < group; ++g) {
        const std::int64_t count = within(r + g);
        if (count > common) {
          product(1, p.Dv, count - common, Left<T>{scores + g * kKeys + common, kKeys, 1},
                  values.from_row(common), out + (r + g) * p.Dv, p.Dv, accumulate);
        }
      }
    }
  }

  T* lse = static_cast<T*>(p.lse) + head * p.L + begin;
  for (std::int64_t r = 0; r < rows; ++r) {
    T* to = p.out.head<T>(b, h) + (begin + r) * p.out.row_stride;
    if (visible(r) == 0) {
      std::fill(to, to + p.Dv, T(0));
      lse[r] = -std::numeric_limits<T>::infinity();
    } else {
      vector_scale(out + r * p.Dv, to, p.Dv, T(1) / sum[r]);
      lse[r] = maximum[r] + std::log(sum[r]);
    }
  }
}

template <class T>
void forward(const AttentionForward& p, const CpuContext& context) {
  const ForwardLayout<T> layout(p);
  T* packed = static_cast<T*>(p.workspace);
  T* scratch = packed + p.B * p.H * layout.packed();
  context.pool->run(p.B * p.H * layout.blocks, [&](std::int64_t chunk) {
    pack_block(p, layout, chunk / layout.blocks, chunk % layout.blocks,
               packed + chunk * (layout.key_block + layout.value_block));
  });
  const std::int64_t tiles = (p.L + kQueries - 1) / kQueries;
  context.pool->run(p.B * p.H * tiles, [&](std::int64_t chunk) {
    const std::int64_t head = chunk / tiles;
    // The longest rows of a causal head first: the last chunks are then short ones.
    const std::int64_t tile = tiles - 1 - chunk % tiles;
    forward_tile(p, layout, head, tile * kQueries, packed + head * layout.packed(),
                 scratch + ThreadPool::thread_index() * layout.tile);
  });
}

void flash_forward_target(const AttentionForward& p, const CpuContext& context) {
  if (p.dtype == DType::f64) {
    forward<double>(p, context);
  } else {
    forward<float>(p, context);
  }
}

std::int64_t flash_forward_workspace_target(const AttentionForward& p, const CpuContext& context) {
  const int threads = context.pool->threads();
  return p.dtype == DType::f64
             ? ForwardLayout<double>(p).total(p, threads) *
                   static_cast<std::int64_t>(sizeof(double))
             : ForwardLayout<float>(p).total(p, threads) * static_cast<std::int64_t>(sizeof(float));
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace basin::kernels {

HWY_EXPORT(flash_forward_target);
HWY_EXPORT(flash_forward_workspace_target);

void flash_attention_forward(const AttentionForward& p, const CpuContext& context) {
  HWY_DYNAMIC_DISPATCH(flash_forward_target)(p, context);
}

std::int64_t flash_attention_forward_workspace(const AttentionForward& p,
                                               const CpuContext& context) {
  return HWY_DYNAMIC_DISPATCH(flash_forward_workspace_target)(p, context);
}

}  // namespace basin::kernels
#endif
