#include "kernels/memory/dense.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>

#include "kernels/common/dispatch.h"
#include "kernels/common/row_math.h"
#include "kernels/memory/scratch.h"

namespace basin {

const char* name_of(Interaction interaction) {
  switch (interaction) {
    case Interaction::power: return "power";
    case Interaction::rectified: return "rectified";
    case Interaction::exponential: return "exponential";
  }
  return "?";
}

bool parse(const char* name, Interaction& interaction) {
  for (const Interaction known :
       {Interaction::power, Interaction::rectified, Interaction::exponential}) {
    if (std::strcmp(name, name_of(known)) == 0) {
      interaction = known;
      return true;
    }
  }
  return false;
}

}  // namespace basin

namespace basin::kernels {

namespace {

// Patterns that are worked on together: what a loop of the compiler has in registers.
constexpr std::int64_t kBlock = 32;

// A sum of terms is a tie if it is at most this share of the sum of their absolute values. Each
// term has about `degree` roundings of 1e-16.
constexpr double kTie = 1e-13;

// y[m] = x[m]^degree, x is used up. Squaring: the same roundings for x and -x.
void powers(double (&x)[kBlock], double (&y)[kBlock], std::int64_t degree) {
  std::fill(y, y + kBlock, 1.0);
  for (std::int64_t left = degree; left > 0; left >>= 1) {
    if ((left & 1) != 0) {
      for (std::int64_t m = 0; m < kBlock; ++m) {
        y[m] *= x[m];
      }
    }
    if (left > 1) {
      for (std::int64_t m = 0; m < kBlock; ++m) {
        x[m] *= x[m];
      }
    }
  }
}

// values[m] = F(z[m]) up to a positive factor, m < count <= kBlock; `shift` is subtracted from the
// exponents. z has room for kBlock numbers and is used up.
void interact(Interaction interaction, std::int64_t degree, double scale, double shift,
              double (&z)[kBlock], double (&values)[kBlock], std::int64_t count) {
  if (interaction == Interaction::exponential) {
    for (std::int64_t m = 0; m < count; ++m) {
      values[m] = std::exp(z[m] - shift);
    }
    return;
  }
  const double floor =
      interaction == Interaction::rectified ? 0.0 : -std::numeric_limits<double>::infinity();
  for (std::int64_t m = 0; m < kBlock; ++m) {
    const double x = z[m] * scale;
    z[m] = x <= floor ? floor : x;
  }
  powers(z, values, degree);
}

struct UnitSum {
  double sum = 0;
  double size = 0;  // of the absolute values
};

// sum_mu F(h_mu + xi_mu) - F(h_mu - xi_mu) for one unit in state s; column: xi_mu of the unit.
template <class T>
UnitSum unit_sum(const DenseRecall& p, const double* overlap, const T* column, std::int64_t count,
                 double s) {
  const double shift = p.interaction == Interaction::exponential ? row_max(overlap, count) : 0.0;
  const double scale = 1 / static_cast<double>(p.N);
  UnitSum result;
  double up[kBlock] = {};
  double down[kBlock] = {};
  double with[kBlock] = {};
  double without[kBlock] = {};
  for (std::int64_t begin = 0; begin < count; begin += kBlock) {
    const std::int64_t n = std::min(kBlock, count - begin);
    for (std::int64_t m = 0; m < n; ++m) {
      const double x = static_cast<double>(column[begin + m]);
      const double h = overlap[begin + m] - x * s;
      up[m] = h + x;
      down[m] = h - x;
    }
    interact(p.interaction, p.degree, scale, shift, up, with, n);
    interact(p.interaction, p.degree, scale, shift, down, without, n);
    for (std::int64_t m = 0; m < n; ++m) {
      result.sum += with[m] - without[m];
      result.size += std::abs(with[m]) + std::abs(without[m]);
    }
    std::fill(up, up + kBlock, 0.0);
    std::fill(down, down + kBlock, 0.0);
  }
  return result;
}

template <class T>
void recall(const DenseRecall& p, std::int64_t query, const T* columns, std::byte* scratch) {
  const std::int64_t b = query / p.Q;
  const std::int64_t count = p.counts == nullptr ? p.P : p.counts[b];
  Scratch room(scratch);
  double* overlap = room.take<double>(p.P);
  auto* order = room.take<std::int32_t>(p.N);
  T* state = static_cast<T*>(p.states) + query * p.N;
  const T* start = static_cast<const T*>(p.queries) + query * p.N;
  std::copy(start, start + p.N, state);
  // Column by column: the overlaps in double, whatever the patterns are.
  std::fill(overlap, overlap + count, 0.0);
  const auto add_unit = [&](std::int64_t i, double by) {
    const T* column = columns + i * p.P;
    for (std::int64_t mu = 0; mu < count; ++mu) {
      overlap[mu] += by * static_cast<double>(column[mu]);
    }
  };
  for (std::int64_t i = 0; i < p.N; ++i) {
    add_unit(i, static_cast<double>(state[i]));
  }
  auto outcome = RecallOutcome::unsettled;
  std::int64_t changes = 0;
  for (std::int64_t t = 0; t < p.most_sweeps; ++t) {
    sweep_order(p.order, p.key, static_cast<std::uint64_t>(query),
                static_cast<std::uint64_t>(p.first_sweep + t), order, p.N);
    bool changed = false;
    for (std::int64_t n = 0; n < p.N; ++n) {
      const std::int64_t i = order[n];
      const UnitSum total =
          unit_sum(p, overlap, columns + i * p.P, count, static_cast<double>(state[i]));
      if (std::abs(total.sum) <= kTie * total.size) {
        continue;
      }
      const T to = total.sum > 0 ? T(1) : T(-1);
      if (to != state[i]) {
        state[i] = to;
        add_unit(i, 2 * static_cast<double>(to));
        changed = true;
      }
    }
    if (!changed) {
      outcome = RecallOutcome::fixed_point;
      break;
    }
    ++changes;
  }
  if (p.sweeps != nullptr) {
    p.sweeps[query] = changes;
  }
  if (p.outcomes != nullptr) {
    p.outcomes[query] = static_cast<std::int64_t>(outcome);
  }
}

template <class P>
Status check(const P& p) {
  if (p.interaction != Interaction::exponential && (p.degree < 1 || p.degree > kMostDegree)) {
    return Status::invalid("dense memory: the degree of a power must be 1 to 1000");
  }
  for (std::int64_t b = 0; p.counts != nullptr && b < p.B; ++b) {
    if (p.counts[b] < 0 || p.counts[b] > p.P) {
      return Status::invalid("dense memory: counts must lie between 0 and the patterns", b);
    }
  }
  return {};
}

std::int64_t query_bytes(const DenseRecall& p) {
  return scratch_bytes(p.P, sizeof(double)) + scratch_bytes(p.N, sizeof(std::int32_t));
}

std::int64_t column_bytes(const DenseRecall& p) {
  const std::int64_t size = p.dtype == DType::f32 ? 4 : 8;
  return scratch_bytes(p.B * p.N * p.P, size);
}

}  // namespace

std::int64_t dense_recall_workspace(const DenseRecall& p, const CpuContext& context) {
  return column_bytes(p) + context.pool->threads() * query_bytes(p);
}

Status dense_recall(const DenseRecall& p, const CpuContext& context) {
  if (const Status status = check(p); !status.ok()) {
    return status;
  }
  if (p.order == RecallOrder::synchronous) {
    return Status::invalid("dense_recall: updates are asynchronous, in random order or by index");
  }
  if (p.most_sweeps < 0 || p.first_sweep < 0) {
    return Status::invalid("dense_recall: sweeps must not be negative");
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    // What the patterns hold of one unit, side by side.
    T* columns = static_cast<T*>(p.workspace);
    for_ranges(context, p.B * p.N, 16, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        const T* patterns = static_cast<const T*>(p.patterns) + row / p.N * p.P * p.N + row % p.N;
        for (std::int64_t mu = 0; mu < p.P; ++mu) {
          columns[row * p.P + mu] = patterns[mu * p.N];
        }
      }
    });
    std::byte* scratch = static_cast<std::byte*>(p.workspace) + column_bytes(p);
    for_ranges(context, p.B * p.Q, 1, [&](std::int64_t query, std::int64_t) {
      recall<T>(p, query, columns + query / p.Q * p.N * p.P,
                scratch + ThreadPool::thread_index() * query_bytes(p));
    });
    return Status{};
  });
}

Status dense_energy(const DenseEnergy& p, const CpuContext& context) {
  if (const Status status = check(p); !status.ok()) {
    return status;
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const double scale = 1 / static_cast<double>(p.N);
    for_ranges(context, p.B * p.Q, 4, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t query = begin; query < end; ++query) {
        const std::int64_t b = query / p.Q;
        const std::int64_t count = p.counts == nullptr ? p.P : p.counts[b];
        const T* state = static_cast<const T*>(p.states) + query * p.N;
        const T* patterns = static_cast<const T*>(p.patterns) + b * p.P * p.N;
        double sum = 0;
        double largest = -std::numeric_limits<double>::infinity();
        for (std::int64_t first = 0; first < count; first += kBlock) {
          const std::int64_t n = std::min(kBlock, count - first);
          double z[kBlock] = {};
          double values[kBlock] = {};
          for (std::int64_t m = 0; m < n; ++m) {
            const T* pattern = patterns + (first + m) * p.N;
            for (std::int64_t i = 0; i < p.N; ++i) {
              z[m] += static_cast<double>(pattern[i]) * static_cast<double>(state[i]);
            }
          }
          if (p.interaction == Interaction::exponential) {
            const double above = std::max(largest, row_max(z, n));
            sum = first == 0 ? 0.0 : sum * std::exp(largest - above);
            largest = above;
          }
          interact(p.interaction, p.degree, scale, largest, z, values, n);
          for (std::int64_t m = 0; m < n; ++m) {
            sum += values[m];
          }
        }
        static_cast<T*>(p.energy)[query] = static_cast<T>(
            p.interaction == Interaction::exponential ? -(largest + std::log(sum)) : -sum);
      }
    });
    return Status{};
  });
}

}  // namespace basin::kernels
