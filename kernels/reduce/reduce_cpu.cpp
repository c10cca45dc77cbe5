#include "kernels/reduce/reduce.h"

#include <algorithm>

#include "kernels/common/dispatch.h"
#include "kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/reduce/reduce_cpu.cpp"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

namespace {

constexpr std::int64_t kPiece = kSumOfSquaresPiece;

// Columns of `inner` that are summed together: enough to walk memory in rows, few enough for the
// stack.
constexpr std::int64_t kColumns = 256;

template <class T>
void sum(const Reduce& p, const CpuContext& context) {
  const T* x = static_cast<const T*>(p.x);
  T* y = static_cast<T*>(p.y);
  if (p.inner == 1) {
    const std::int64_t rows =
        std::max<std::int64_t>(1, kPiece / std::max<std::int64_t>(1, p.extent));
    for_ranges(context, p.outer, rows, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t o = begin; o < end; ++o) {
        // Four running sums let the additions overlap.
        double partial[4] = {};
        const T* row = x + o * p.extent;
        std::int64_t e = 0;
        for (; e + 4 <= p.extent; e += 4) {
          for (int lane = 0; lane < 4; ++lane) {
            partial[lane] += static_cast<double>(row[e + lane]);
          }
        }
        for (; e < p.extent; ++e) {
          partial[0] += static_cast<double>(row[e]);
        }
        y[o] = static_cast<T>((partial[0] + partial[1]) + (partial[2] + partial[3]));
      }
    });
    return;
  }
  const std::int64_t blocks = (p.inner + kColumns - 1) / kColumns;
  for_ranges(context, p.outer * blocks,
             std::max<std::int64_t>(1, 64 / std::max<std::int64_t>(1, p.extent)),
             [&](std::int64_t begin, std::int64_t end) {
               for (std::int64_t at = begin; at < end; ++at) {
                 const std::int64_t o = at / blocks;
                 const std::int64_t first = at % blocks * kColumns;
                 const std::int64_t count = std::min(kColumns, p.inner - first);
                 double total[kColumns] = {};
                 for (std::int64_t e = 0; e < p.extent; ++e) {
                   const T* row = x + (o * p.extent + e) * p.inner + first;
                   for (std::int64_t i = 0; i < count; ++i) {
                     total[i] += static_cast<double>(row[i]);
                   }
                 }
                 for (std::int64_t i = 0; i < count; ++i) {
                   y[o * p.inner + first + i] = static_cast<T>(total[i]);
                 }
               }
             });
}

// The place of the largest element of a row in memory, the first of equals; the first NaN if there
// is one. Two passes without branches are faster than one with them.
template <class T>
std::int64_t place_of_max(const T* x, std::int64_t count) {
  T best = x[0];
  std::int64_t nans = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    best = x[i] > best ? x[i] : best;
    nans += x[i] != x[i] ? 1 : 0;
  }
  std::int64_t at = 0;
  while (nans > 0 ? x[at] == x[at] : x[at] != best) {
    ++at;
  }
  return at;
}

template <class T, class Write>
void find_max(const Reduce& p, const CpuContext& context, Write&& write) {
  const T* x = static_cast<const T*>(p.x);
  const std::int64_t grain = std::max<std::int64_t>(1, kPiece / p.extent);
  for_ranges(context, p.outer * p.inner, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t at = begin; at < end; ++at) {
      const T* column = x + at / p.inner * p.extent * p.inner + at % p.inner;
      if (p.inner == 1) {
        const std::int64_t place = place_of_max(column, p.extent);
        write(at, place, column[place]);
        continue;
      }
      std::int64_t best = 0;
      for (std::int64_t e = 1; e < p.extent; ++e) {
        const T value = column[e * p.inner];
        const T current = column[best * p.inner];
        // !(value <= current) holds for a NaN value, which then stays the maximum.
        if (!(value <= current) && current == current) {
          best = e;
        }
      }
      write(at, best, column[best * p.inner]);
    }
  });
}

}  // namespace

Status reduce_target(const Reduce& p, const CpuContext& context) {
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    if (p.op == ReduceOp::sum) {
      sum<T>(p, context);
      return Status{};
    }
    if (p.extent == 0) {
      return Status::invalid("reduce: the maximum of no elements");
    }
    if (p.op == ReduceOp::max) {
      find_max<T>(p, context, [y = static_cast<T*>(p.y)](std::int64_t at, std::int64_t, T value) {
        y[at] = value;
      });
    } else {
      find_max<T>(p, context,
                  [y = static_cast<std::int64_t*>(p.y)](std::int64_t at, std::int64_t best, T) {
                    y[at] = best;
                  });
    }
    return Status{};
  });
}

Status sum_of_squares_target(const SumOfSquares& p, const CpuContext& context) {
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const T* x = static_cast<const T*>(p.x);
    for_ranges(context, p.count, kPiece, [&](std::int64_t begin, std::int64_t end) {
      double lane[8] = {};
      std::int64_t i = begin;
      for (; i + 8 <= end; i += 8) {
        for (int l = 0; l < 8; ++l) {
          const double value = static_cast<double>(x[i + l]);
          lane[l] += value * value;
        }
      }
      for (; i < end; ++i) {
        const double value = static_cast<double>(x[i]);
        lane[0] += value * value;
      }
      p.partials[begin / kPiece] =
          ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
    });
    double total = 0;
    for (std::int64_t i = 0; i < sum_of_squares_partials(p.count); ++i) {
      total += p.partials[i];
    }
    *p.result = total;
    return Status{};
  });
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace basin::kernels {

std::int64_t sum_of_squares_partials(std::int64_t count) {
  return (count + kSumOfSquaresPiece - 1) / kSumOfSquaresPiece;
}

HWY_EXPORT(reduce_target);
HWY_EXPORT(sum_of_squares_target);

Status reduce(const Reduce& p, const CpuContext& context) {
  return HWY_DYNAMIC_DISPATCH(reduce_target)(p, context);
}

Status sum_of_squares(const SumOfSquares& p, const CpuContext& context) {
  return HWY_DYNAMIC_DISPATCH(sum_of_squares_target)(p, context);
}

Status sum_of_squares(const SumOfSquaresList& p, const CpuContext& context) {
  double total = 0;
  double* partials = p.partials;
  for (std::int64_t n = 0; n < p.array_count; ++n) {
    const NumberArray& array = p.arrays[n];
    double squares = 0;
    const Status status =
        sum_of_squares(SumOfSquares{array.x, &squares, partials, array.count, p.dtype}, context);
    if (!status.ok()) {
      return status;
    }
    partials += sum_of_squares_partials(array.count);
    total += squares;
  }
  *p.result = total;
  return {};
}

}  // namespace basin::kernels
#endif
