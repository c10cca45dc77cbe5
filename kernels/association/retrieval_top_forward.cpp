#include "kernels/association/retrieval_top.h"
#include "kernels/common/dispatch.h"
#include "kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/association/retrieval_top_forward.cpp"
#include <hwy/foreach_target.h>
//
#include "kernels/association/top_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

template <class T>
void top_forward_tile(const TopHead<T, RetrievalForward>& head, std::int64_t begin,
                      std::int64_t end, T* scratch) {
  const RetrievalForward& p = head.p;
  TopTile<T, RetrievalForward> tile(head, begin, end, scratch);
  const auto out = [&](std::int64_t r) {
    return p.out.head<T>(head.b, head.h) + (begin + r) * p.out.row_stride;
  };
  T sums[kTopQueries] = {};
  for (std::int64_t r = 0; r < tile.rows; ++r) {
    std::fill_n(out(r), p.Dv, T(0));
  }
  // All queries of the tile read the values of a block while they are in a near cache.
  for (std::int64_t block = tile.first; block < tile.end; block += kKeysOfBlock) {
    const T* values = head.v + block * p.v.row_stride;
    for (std::int64_t r = 0; r < tile.rows; ++r) {
      const KeptKeys<T> list = tile.keep(r, block);
      if (list.count > 0) {
        sums[r] += vector_exp_sum(list.weights, list.weights, list.count, tile.row[r].largest);
        add_list(list.weights_of(values, p.v.row_stride), p.Dv, out(r));
      }
    }
  }
  for (std::int64_t r = 0; r < tile.rows; ++r) {
    if (sums[r] != T(0)) {
      vector_scale(out(r), out(r), p.Dv, T(1) / sums[r]);
    }
    const std::int64_t at = (head.b * p.H + head.h) * p.visibility.L + begin + r;
    T* statistics = static_cast<T*>(p.statistics) + 3 * at;
    statistics[0] = tile.row[r].largest;
    statistics[1] = sums[r];
    statistics[2] = tile.row[r].threshold;
    if (p.steps != nullptr) {
      p.steps[at] = 1;
    }
  }
}

template <class T>
void top_forward(const RetrievalForward& p, const CpuContext& context) {
  const Visibility& seen = p.visibility;
  T* packed = static_cast<T*>(p.workspace);
  T* memory = packed + p.B * p.H * blocks_of(seen.M) * key_block_size<T>(p.D);
  pack_all_keys(p, context, packed);
  const std::int64_t tiles = (seen.L + kTopQueries - 1) / kTopQueries;
  context.pool->run(p.B * p.H * tiles, [&](std::int64_t chunk) {
    const TopHead<T, RetrievalForward> head(p, chunk / tiles, packed);
    const std::int64_t begin = (tiles - 1 - chunk % tiles) * kTopQueries;
    top_forward_tile(head, begin, std::min(begin + kTopQueries, seen.L),
                     memory + ThreadPool::thread_index() * TopLayout<T>{seen.M}.elements());
  });
}

void top_forward_target(const RetrievalForward& p, const CpuContext& context) {
  if (p.dtype == DType::f64) {
    top_forward<double>(p, context);
  } else {
    top_forward<float>(p, context);
  }
}

template <class T>
std::int64_t top_forward_bytes(const RetrievalForward& p, const CpuContext& context) {
  const std::int64_t packed = p.B * p.H * blocks_of(p.visibility.M) * key_block_size<T>(p.D);
  return (packed + context.pool->threads() * TopLayout<T>{p.visibility.M}.elements()) *
         static_cast<std::int64_t>(sizeof(T));
}

std::int64_t top_forward_workspace_target(const RetrievalForward& p, const CpuContext& context) {
  return p.dtype == DType::f64 ? top_forward_bytes<double>(p, context)
                               : top_forward_bytes<float>(p, context);
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace basin::kernels {

HWY_EXPORT(top_forward_target);
HWY_EXPORT(top_forward_workspace_target);

void retrieval_top_forward(const RetrievalForward& p, const CpuContext& context) {
  HWY_DYNAMIC_DISPATCH(top_forward_target)(p, context);
}

std::int64_t retrieval_top_forward_workspace(const RetrievalForward& p, const CpuContext& context) {
  return HWY_DYNAMIC_DISPATCH(top_forward_workspace_target)(p, context);
}

}  // namespace basin::kernels
#endif
