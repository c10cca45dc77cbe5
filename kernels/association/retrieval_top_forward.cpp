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
void top_forward_group(const TopHead<T, RetrievalForward>& head, std::int64_t begin,
                       TopScratch<T>& scratch) {
  const RetrievalForward& p = head.p;
  const Visibility& seen = p.visibility;
  const std::int64_t rows = std::min<std::int64_t>(kBlockRows, seen.L - begin);
  const KeyRange range = score_group(head, begin, rows, scratch.scores);
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t i = begin + r;
    scratch.start();
    TopRow<T>& row = scratch.row;
    keep_top(head, i, range, scratch.scores + r * (seen.M + kKeysOfBlock), row, scratch.spare);
    T* out = p.out.head<T>(head.b, head.h) + i * p.out.row_stride;
    std::fill(out, out + p.Dv, T(0));
    for (std::int64_t n = 0; n < row.count; ++n) {
      add_times(head.v + row.keys[n] * p.v.row_stride, row.weights[n], p.Dv, out);
    }
    if (row.count > 0) {
      vector_scale(out, out, p.Dv, T(1) / row.sum);
    }
    const std::int64_t at = (head.b * p.H + head.h) * seen.L + i;
    T* statistics = static_cast<T*>(p.statistics) + 3 * at;
    statistics[0] = row.largest;
    statistics[1] = row.sum;
    statistics[2] = row.threshold;
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
  const std::int64_t groups = (seen.L + kBlockRows - 1) / kBlockRows;
  context.pool->run(p.B * p.H * groups, [&](std::int64_t chunk) {
    const TopHead<T, RetrievalForward> head(p, chunk / groups, packed);
    TopScratch<T> scratch(memory + ThreadPool::thread_index() * TopLayout<T>{seen.M}.elements(),
                          seen.M);
    top_forward_group(head, (groups - 1 - chunk % groups) * kBlockRows, scratch);
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
