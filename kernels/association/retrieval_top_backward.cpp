// On the list of a query, with P its weights, g = dout.v and delta = dout.out:
//   ds = P (g - delta);  dq += beta ds k,  dk += beta ds q,  dv += P dout
#include "kernels/association/retrieval_top.h"
#include "kernels/common/dispatch.h"
#include "kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/association/retrieval_top_backward.cpp"
#include <hwy/foreach_target.h>
//
#include "kernels/association/top_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

template <class T>
void top_backward_group(const TopHead<T, RetrievalBackward>& head, std::int64_t begin,
                        TopScratch<T>& scratch, double& dbeta) {
  const RetrievalBackward& p = head.p;
  const Visibility& seen = p.visibility;
  const std::int64_t rows = std::min<std::int64_t>(kBlockRows, seen.L - begin);
  const KeyRange range = score_group(head, begin, rows, scratch.scores);
  const T* k = p.k.head<T>(head.b, head.h);
  T* dk = p.dk.head<T>(head.b, head.h);
  T* dv = p.dv.head<T>(head.b, head.h);
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t i = begin + r;
    scratch.start();
    TopRow<T>& row = scratch.row;
    keep_top(head, i, range, scratch.scores + r * (seen.M + kKeysOfBlock), row, scratch.spare);
    const T* q = head.q + i * p.q.row_stride;
    const T* dout = p.dout.head<T>(head.b, head.h) + i * p.dout.row_stride;
    T* dq = p.dq.head<T>(head.b, head.h) + i * p.dq.row_stride;
    std::fill(dq, dq + p.D, T(0));
    const T delta = vector_dot(dout, p.out.head<T>(head.b, head.h) + i * p.out.row_stride, p.Dv);
    for (std::int64_t n = 0; n < row.count; ++n) {
      const std::int64_t j = row.keys[n];
      const T weight = row.weights[n] / row.sum;
      const T slope = weight * (vector_dot(dout, head.v + j * p.v.row_stride, p.Dv) - delta);
      add_times(dout, weight, p.Dv, dv + j * p.dv.row_stride);
      add_times(k + j * p.k.row_stride, slope, p.D, dq);
      add_times(q, head.beta * slope, p.D, dk + j * p.dk.row_stride);
    }
    dbeta += static_cast<double>(vector_dot(q, dq, p.D));
    vector_scale(dq, dq, p.D, head.beta);
  }
}

template <class T>
void top_backward(const RetrievalBackward& p, const CpuContext& context) {
  const Visibility& seen = p.visibility;
  double* dbeta = static_cast<double*>(p.workspace);
  T* packed = reinterpret_cast<T*>(dbeta + p.B * p.H);
  T* memory = packed + p.B * p.H * blocks_of(seen.M) * key_block_size<T>(p.D);
  pack_all_keys(p, context, packed);
  // A head is one chunk: its dk and dv collect from all its queries, in order.
  context.pool->run(p.B * p.H, [&](std::int64_t at) {
    const TopHead<T, RetrievalBackward> head(p, at, packed);
    TopScratch<T> scratch(memory + ThreadPool::thread_index() * TopLayout<T>{seen.M}.elements(),
                          seen.M);
    for (std::int64_t j = 0; j < seen.M; ++j) {
      T* dk = p.dk.head<T>(head.b, head.h) + j * p.dk.row_stride;
      T* dv = p.dv.head<T>(head.b, head.h) + j * p.dv.row_stride;
      std::fill(dk, dk + p.D, T(0));
      std::fill(dv, dv + p.Dv, T(0));
    }
    dbeta[at] = 0;
    for (std::int64_t begin = 0; begin < seen.L; begin += kBlockRows) {
      top_backward_group(head, begin, scratch, dbeta[at]);
    }
  });
  sum_over_items<T>(p.B, p.H, dbeta, p.dbeta);
  for (std::int64_t h = 0; p.dalpha != nullptr && h < p.H; ++h) {
    static_cast<T*>(p.dalpha)[h] = 0;
  }
}

void top_backward_target(const RetrievalBackward& p, const CpuContext& context) {
  if (p.dtype == DType::f64) {
    top_backward<double>(p, context);
  } else {
    top_backward<float>(p, context);
  }
}

template <class T>
std::int64_t top_backward_bytes(const RetrievalBackward& p, const CpuContext& context) {
  const std::int64_t packed = p.B * p.H * blocks_of(p.visibility.M) * key_block_size<T>(p.D);
  return p.B * p.H * static_cast<std::int64_t>(sizeof(double)) +
         (packed + context.pool->threads() * TopLayout<T>{p.visibility.M}.elements()) *
             static_cast<std::int64_t>(sizeof(T));
}

std::int64_t top_backward_workspace_target(const RetrievalBackward& p, const CpuContext& context) {
  return p.dtype == DType::f64 ? top_backward_bytes<double>(p, context)
                               : top_backward_bytes<float>(p, context);
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace basin::kernels {

HWY_EXPORT(top_backward_target);
HWY_EXPORT(top_backward_workspace_target);

void retrieval_top_backward(const RetrievalBackward& p, const CpuContext& context) {
  HWY_DYNAMIC_DISPATCH(top_backward_target)(p, context);
}

std::int64_t retrieval_top_backward_workspace(const RetrievalBackward& p,
                                              const CpuContext& context) {
  return HWY_DYNAMIC_DISPATCH(top_backward_workspace_target)(p, context);
}

}  // namespace basin::kernels
#endif
