// The checks that all variants of retrieval share, and the energy.
#include "kernels/association/retrieval.h"
#include "kernels/association/retrieval_check.h"
#include "kernels/association/retrieval_lists.h"
#include "kernels/association/retrieval_row.h"
#include "kernels/association/retrieval_rows.h"
#include "kernels/association/retrieval_tiles.h"
#include "kernels/association/retrieval_top.h"
#include "kernels/common/dispatch.h"
#include "kernels/simd/isa.h"

namespace basin::kernels {

namespace {

// After check_retrieval_rule().
template <class P>
Status check_exponents(const P& p) {
  if (p.separation.kind != Separation::entmax) {
    return {};
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    for (std::int64_t h = 0; h < p.H; ++h) {
      const T alpha = static_cast<const T*>(p.separation.alpha)[h];
      if (!(alpha > T(1) && alpha <= T(2))) {
        return Status::invalid("retrieval: alpha must be above 1 and at most 2", h);
      }
    }
    return Status{};
  });
}

template <class P>
Status check(const P& p) {
  if (const Status status = check_retrieval_rule(p); !status.ok()) {
    return status;
  }
  if (const Status status = check_exponents(p); !status.ok()) {
    return status;
  }
  if (const Status status = check_retrieval_pass(p); !status.ok()) {
    return status;
  }
  if (p.variant < 0 || p.variant > 4) {
    return Status::invalid("retrieval: variants are 0 to 4");
  }
  if (p.precision != Precision::f32) {
    return Status::unsupported(
        "retrieval: the CPU multiplies in f32; factors in tf32 are to be rounded before");
  }
  return {};
}

// Lists need products in vector instructions.
template <class P>
bool takes_lists(const P& p) {
  return lists_apply(p) && (p.variant == 2 || (p.variant == 0 && isa() != Isa::baseline));
}

template <class P>
bool takes_tiles(const P& p) {
  return tiles_apply(p) && (p.variant == 3 || (p.variant == 0 && isa() != Isa::baseline));
}

template <class P>
bool takes_top(const P& p) {
  return top_applies(p) && (p.variant == 4 || (p.variant == 0 && isa() != Isa::baseline));
}

}  // namespace

std::int64_t retrieval_forward_workspace(const RetrievalForward& p, const CpuContext& context) {
  if (takes_lists(p)) {
    return retrieval_lists_forward_workspace(p, context);
  }
  if (takes_top(p)) {
    return retrieval_top_forward_workspace(p, context);
  }
  return takes_tiles(p) ? retrieval_tiles_forward_workspace(p, context)
                        : retrieval_rows_forward_workspace(p, context);
}

Status retrieval_forward(const RetrievalForward& p, const CpuContext& context) {
  if (const Status status = check(p); !status.ok()) {
    return status;
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    if (takes_lists(p)) {
      retrieval_lists_forward(p, context);
    } else if (takes_tiles(p)) {
      retrieval_tiles_forward(p, context);
    } else if (takes_top(p)) {
      retrieval_top_forward(p, context);
    } else {
      retrieval_rows_forward(p, context);
    }
    return Status{};
  });
}

std::int64_t retrieval_backward_workspace(const RetrievalBackward& p, const CpuContext& context) {
  if (takes_lists(p)) {
    return retrieval_lists_backward_workspace(p, context);
  }
  if (takes_top(p)) {
    return retrieval_top_backward_workspace(p, context);
  }
  return takes_tiles(p) ? retrieval_tiles_backward_workspace(p, context)
                        : retrieval_rows_backward_workspace(p, context);
}

Status retrieval_backward(const RetrievalBackward& p, const CpuContext& context) {
  if (const Status status = check(p); !status.ok()) {
    return status;
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    if (takes_lists(p)) {
      retrieval_lists_backward(p, context);
    } else if (takes_tiles(p)) {
      retrieval_tiles_backward(p, context);
    } else if (takes_top(p)) {
      retrieval_top_backward(p, context);
    } else {
      retrieval_rows_backward(p, context);
    }
    return Status{};
  });
}

std::int64_t retrieval_energy_workspace(const RetrievalEnergy& p, const CpuContext& context) {
  const std::int64_t M = p.visibility.M;
  return context.pool->threads() * whole_doubles(p.dtype == DType::f64
                                                     ? RowScratch<double>::bytes(M)
                                                     : RowScratch<float>::bytes(M));
}

Status retrieval_energy(const RetrievalEnergy& p, const CpuContext& context) {
  if (const Status status = check_retrieval_rule(p); !status.ok()) {
    return status;
  }
  if (const Status status = check_exponents(p); !status.ok()) {
    return status;
  }
  if (const Status status = check_retrieval_energy(p); !status.ok()) {
    return status;
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const std::int64_t L = p.visibility.L;
    const std::int64_t M = p.visibility.M;
    for_ranges(context, p.B * p.H * L, 16, [&](std::int64_t begin, std::int64_t end) {
      char* scratch = static_cast<char*>(p.workspace) +
                      ThreadPool::thread_index() * whole_doubles(RowScratch<T>::bytes(M));
      for (std::int64_t at = begin; at < end; ++at) {
        const std::int64_t h = at / L % p.H;
        const std::int64_t b = at / L / p.H;
        Row<T> row{p.visibility,
                   p.separation,
                   head_rule<T>(p.separation, h),
                   RowScratch<T>(scratch, M),
                   b,
                   h,
                   at % L,
                   static_cast<const T*>(p.beta)[h],
                   p.k.head<T>(b, h),
                   p.k.row_stride,
                   p.D};
        row.gather();
        static_cast<T*>(p.energy)[at] =
            row.energy(p.q.head<T>(row.b, row.h) + row.i * p.q.row_stride);
      }
    });
    return Status{};
  });
}

}  // namespace basin::kernels
