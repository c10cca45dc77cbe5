#include "kernels/association/retrieval_rows.h"

#include "kernels/association/retrieval_row.h"
#include "kernels/common/dispatch.h"

namespace basin::kernels {

namespace {

constexpr std::int64_t kQueries = 16;  // of a chunk

template <class T, class P>
Row<T> row_of(const P& p, std::int64_t b, std::int64_t h, void* scratch) {
  return {p.visibility,
          p.separation,
          head_rule<T>(p.separation, h),
          RowScratch<T>(scratch, p.visibility.M),
          b,
          h,
          0,
          static_cast<const T*>(p.beta)[h],
          p.k.template head<T>(b, h),
          p.k.row_stride,
          p.D};
}

template <class T>
std::int64_t forward_scratch(const RetrievalForward& p) {
  // Two states.
  return whole_doubles(RowScratch<T>::bytes(p.visibility.M)) +
         whole_doubles(2 * p.D * static_cast<std::int64_t>(sizeof(T)));
}

template <class T>
void forward_query(const RetrievalForward& p, Row<T>& row, T* states) {
  const WeightDropout none;
  row.gather();
  const T* state = p.q.head<T>(row.b, row.h) + row.i * p.q.row_stride;
  std::int64_t steps = 1;
  for (; steps < p.update_steps; ++steps) {
    row.weigh(state);
    T* next = states + steps % 2 * p.D;
    row.read(row.k, row.k_row, p.D, none, next);
    const bool settled = has_settled(state, next, p.D, p.tolerance);
    state = next;
    if (settled) {
      ++steps;
      break;
    }
  }
  row.weigh(state);
  row.read(p.v.head<T>(row.b, row.h), p.v.row_stride, p.Dv, p.dropout,
           p.out.head<T>(row.b, row.h) + row.i * p.out.row_stride);
  const std::int64_t at = (row.b * p.H + row.h) * p.visibility.L + row.i;
  T* statistics = static_cast<T*>(p.statistics) + 3 * at;
  statistics[0] = row.level.largest;
  statistics[1] = row.level.level;
  statistics[2] = row.threshold;
  if (p.steps != nullptr) {
    p.steps[at] = steps;
  }
}

// The states of a query, two gradients of a state, and what one thread adds up beside.
template <class T>
std::int64_t backward_scratch(const RetrievalBackward& p) {
  const std::int64_t rows = p.update_steps - 1 + 2;
  return whole_doubles(RowScratch<T>::bytes(p.visibility.M)) +
         whole_doubles(rows * p.D * static_cast<std::int64_t>(sizeof(T)));
}

template <class T>
void backward_query(const RetrievalBackward& p, Row<T>& row, T* memory, double& dbeta,
                    double& dalpha) {
  const WeightDropout none;
  const std::int64_t D = p.D;
  T* inner = memory;  // sum_j ds_j k_j
  T* gradient = memory + D;
  T* states = memory + 2 * D;
  const T* q = p.q.head<T>(row.b, row.h) + row.i * p.q.row_stride;
  const auto state_at = [&](std::int64_t t) { return t == 0 ? q : states + (t - 1) * D; };

  row.gather();
  std::int64_t moves = 0;
  while (moves + 1 < p.update_steps) {
    row.weigh(state_at(moves));
    T* next = states + moves * D;
    row.read(row.k, row.k_row, D, none, next);
    const bool settled = has_settled(state_at(moves), next, D, p.tolerance);
    ++moves;
    if (settled) {
      break;
    }
  }
  T* dk = p.dk.head<T>(row.b, row.h);
  const auto finish = [&](std::int64_t t, T* to) {
    dbeta += static_cast<double>(row_dot(state_at(t), inner, D));
    for (std::int64_t d = 0; d < D; ++d) {
      to[d] = row.beta * inner[d];
    }
  };
  T* dq = p.dq.head<T>(row.b, row.h) + row.i * p.dq.row_stride;
  row.weigh(state_at(moves));
  row.backward(state_at(moves), p.v.head<T>(row.b, row.h), p.v.row_stride, p.Dv, p.dropout,
               p.dout.head<T>(row.b, row.h) + row.i * p.dout.row_stride, p.dv.head<T>(row.b, row.h),
               p.dv.row_stride, dk, p.dk.row_stride, inner, dalpha);
  finish(moves, moves == 0 ? dq : gradient);
  for (std::int64_t t = moves; t-- > 0;) {
    row.weigh(state_at(t));
    row.backward(state_at(t), row.k, row.k_row, D, none, gradient, dk, p.dk.row_stride, dk,
                 p.dk.row_stride, inner, dalpha);
    finish(t, t == 0 ? dq : gradient);
  }
}

}  // namespace

std::int64_t retrieval_rows_forward_workspace(const RetrievalForward& p,
                                              const CpuContext& context) {
  return context.pool->threads() *
         (p.dtype == DType::f64 ? forward_scratch<double>(p) : forward_scratch<float>(p));
}

void retrieval_rows_forward(const RetrievalForward& p, const CpuContext& context) {
  (void)dispatch_floating(p.dtype, [&]<class T>(T) {
    const std::int64_t L = p.visibility.L;
    const std::int64_t chunks = (L + kQueries - 1) / kQueries;
    context.pool->run(p.B * p.H * chunks, [&](std::int64_t chunk) {
      char* scratch =
          static_cast<char*>(p.workspace) + ThreadPool::thread_index() * forward_scratch<T>(p);
      const std::int64_t head = chunk / chunks;
      Row<T> row = row_of<T>(p, head / p.H, head % p.H, scratch);
      T* states =
          reinterpret_cast<T*>(scratch + whole_doubles(RowScratch<T>::bytes(p.visibility.M)));
      const std::int64_t begin = chunk % chunks * kQueries;
      for (row.i = begin; row.i < std::min(begin + kQueries, L); ++row.i) {
        row.level = {};
        forward_query(p, row, states);
      }
    });
    return Status{};
  });
}

std::int64_t retrieval_rows_backward_workspace(const RetrievalBackward& p,
                                               const CpuContext& context) {
  return context.pool->threads() *
             (p.dtype == DType::f64 ? backward_scratch<double>(p) : backward_scratch<float>(p)) +
         2 * p.B * p.H * static_cast<std::int64_t>(sizeof(double));
}

void retrieval_rows_backward(const RetrievalBackward& p, const CpuContext& context) {
  (void)dispatch_floating(p.dtype, [&]<class T>(T) {
    double* dbeta = static_cast<double*>(p.workspace);
    double* dalpha = dbeta + p.B * p.H;
    char* memory = reinterpret_cast<char*>(dalpha + p.B * p.H);
    // A head is one chunk: its dk and dv collect from all its queries, in order.
    context.pool->run(p.B * p.H, [&](std::int64_t head) {
      const std::int64_t b = head / p.H;
      const std::int64_t h = head % p.H;
      char* scratch = memory + ThreadPool::thread_index() * backward_scratch<T>(p);
      Row<T> row = row_of<T>(p, b, h, scratch);
      T* states =
          reinterpret_cast<T*>(scratch + whole_doubles(RowScratch<T>::bytes(p.visibility.M)));
      for (std::int64_t j = 0; j < p.visibility.M; ++j) {
        T* dk = p.dk.head<T>(b, h) + j * p.dk.row_stride;
        T* dv = p.dv.head<T>(b, h) + j * p.dv.row_stride;
        std::fill(dk, dk + p.D, T(0));
        std::fill(dv, dv + p.Dv, T(0));
      }
      dbeta[head] = 0;
      dalpha[head] = 0;
      for (row.i = 0; row.i < p.visibility.L; ++row.i) {
        backward_query(p, row, states, dbeta[head], dalpha[head]);
      }
    });
    sum_over_items<T>(p.B, p.H, dbeta, p.dbeta);
    sum_over_items<T>(p.B, p.H, dalpha, p.dalpha);
    return Status{};
  });
}

}  // namespace basin::kernels
