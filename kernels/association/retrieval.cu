// Retrieval on a GPU, in general: a warp takes one query at a time, with scratch of O(M). What the
// queries of a head add to its keys and values is collected in a few copies, which are then added
// up in order. Softmax in one step, over top-k or not, is for tiles (retrieval_tiles.h), sparsemax
// and entmax in one step are for lists (retrieval_lists.h).
#include "kernels/association/retrieval.h"

#include <algorithm>

#include "kernels/association/check.h"
#include "kernels/association/retrieval_check.h"
#include "kernels/association/retrieval_lists.h"
#include "kernels/association/retrieval_tiles.h"
#include "kernels/association/retrieval_warp.cuh"
#include "kernels/common/dispatch.h"
#include "kernels/common/launch.h"
#include "kernels/common/launch_sizes.h"

namespace basin::kernels {

namespace {

constexpr unsigned kWarps = 4;                // of a block
constexpr std::int64_t kMostWarps = 264 * 4;  // at work at a time: their scratch is the workspace
constexpr std::int64_t kMostParts = 16;       // copies of dk and dv of a head
constexpr std::int64_t kFewestQueries = 16;   // of a copy
constexpr unsigned kThreads = 256;            // of a block that adds up

BASIN_DEVICE inline std::int64_t warp_of_grid() {
  return std::int64_t{blockIdx.x} * kWarps + threadIdx.y;
}

template <class T, class P>
BASIN_DEVICE WarpRow<T> warp_row_of(const P& p, std::int64_t head, std::int64_t i,
                                    const WarpScratch<T>& scratch) {
  const std::int64_t b = head / p.H;
  const std::int64_t h = head % p.H;
  return {p.visibility,
          p.separation.normalise_all,
          head_rule<T>(p.separation, h),
          scratch,
          b,
          h,
          i,
          static_cast<const T*>(p.beta)[h],
          p.k.template head<T>(b, h),
          p.k.row_stride,
          p.D};
}

constexpr std::int64_t kForwardStates = 2;

template <class T>
BASIN_KERNEL void retrieval_forward_kernel(RetrievalForward p, std::int64_t warps) {
  const std::int64_t warp = warp_of_grid();
  if (warp >= warps) {
    return;
  }
  const std::int64_t M = p.visibility.M;
  const std::int64_t L = p.visibility.L;
  const WarpScratch<T> scratch(
      static_cast<char*>(p.workspace) + warp * WarpScratch<T>::bytes(M, kForwardStates, p.D), M,
      kForwardStates, p.D);
  const WeightDropout none;
  for (std::int64_t at = warp; at < p.B * p.H * L; at += warps) {
    WarpRow<T> row = warp_row_of<T>(p, at / L, at % L, scratch);
    row.gather();
    const T* state = p.q.head<T>(row.b, row.h) + row.i * p.q.row_stride;
    std::int64_t steps = 1;
    bool settled = false;
    for (; steps < p.update_steps && !settled; ++steps) {
      row.weigh(state);
      T* const next = scratch.states + steps % 2 * p.D;
      row.read(row.k, row.k_row, p.D, none, next);
      settled = has_settled_on(state, next, p.D, p.tolerance);
      state = next;
    }
    row.weigh(state);
    row.read(p.v.head<T>(row.b, row.h), p.v.row_stride, p.Dv, p.dropout,
             p.out.head<T>(row.b, row.h) + row.i * p.out.row_stride);
    if (threadIdx.x == 0) {
      T* const statistics = static_cast<T*>(p.statistics) + 3 * at;
      statistics[0] = row.largest;
      statistics[1] = row.level;
      statistics[2] = row.threshold;
      if (p.steps != nullptr) {
        p.steps[at] = steps;
      }
    }
  }
}

// Where the parts of the workspace of a backward pass begin.
template <class T>
struct BackwardMemory {
  std::int64_t parts;  ///< of the queries of a head; each has a warp and a copy of dk and dv
  std::int64_t items, states, copy;
  double *dbeta, *dalpha;
  T* copies;
  char* scratch;
  std::int64_t bytes;

  explicit BackwardMemory(const RetrievalBackward& p) {
    const std::int64_t heads = p.B * p.H;
    const std::int64_t M = p.visibility.M;
    const std::int64_t wanted = kMostWarps / std::max<std::int64_t>(1, heads);
    parts = std::clamp<std::int64_t>(std::min(wanted, pieces_of(p.visibility.L, kFewestQueries)), 1,
                                     kMostParts);
    items = heads * parts;
    states = p.update_steps - 1 + 2;
    copy = M * (p.D + p.Dv);
    dbeta = static_cast<double*>(p.workspace);
    dalpha = dbeta + items;
    copies = reinterpret_cast<T*>(dalpha + items);
    const std::int64_t of_copies =
        (items * copy * static_cast<std::int64_t>(sizeof(T)) + 7) / 8 * 8;
    scratch = reinterpret_cast<char*>(copies) + of_copies;
    bytes = 2 * items * static_cast<std::int64_t>(sizeof(double)) + of_copies +
            items * WarpScratch<T>::bytes(M, states, p.D);
  }
};

// One query; what it adds to dbeta and dalpha is left in the lanes.
template <class T>
BASIN_DEVICE void backward_query(const RetrievalBackward& p, WarpRow<T>& row, T* dk, T* dv,
                                 double& dbeta, double& dalpha) {
  const WeightDropout none;
  const std::int64_t D = p.D;
  T* const inner = row.scratch.states;  // sum_j ds_j k_j
  T* const gradient = inner + D;
  T* const states = inner + 2 * D;
  const T* const q = p.q.head<T>(row.b, row.h) + row.i * p.q.row_stride;
  const auto state_at = [&](std::int64_t t) { return t == 0 ? q : states + (t - 1) * D; };

  row.gather();
  std::int64_t moves = 0;
  bool settled = false;
  for (; moves + 1 < p.update_steps && !settled; ++moves) {
    row.weigh(state_at(moves));
    T* const next = states + moves * D;
    row.read(row.k, row.k_row, D, none, next);
    settled = has_settled_on(state_at(moves), static_cast<const T*>(next), D, p.tolerance);
  }
  T* const dq = p.dq.head<T>(row.b, row.h) + row.i * p.dq.row_stride;
  for (std::int64_t t = moves; t >= 0; --t) {
    const T* const state = state_at(t);
    row.weigh(state);
    if (t == moves) {
      row.backward(state, p.v.head<T>(row.b, row.h), p.v.row_stride, p.Dv, p.dropout,
                   p.dout.head<T>(row.b, row.h) + row.i * p.dout.row_stride, dv, dk, inner, dalpha);
    } else {
      row.backward(state, row.k, row.k_row, D, none, gradient, dk, dk, inner, dalpha);
    }
    T* const to = t == 0 ? dq : gradient;
    for (std::int64_t d = threadIdx.x; d < D; d += kWarpSize) {
      dbeta += static_cast<double>(state[d]) * static_cast<double>(inner[d]);
      to[d] = row.beta * inner[d];
    }
    __syncwarp();
  }
}

template <class T>
BASIN_KERNEL void retrieval_backward_kernel(RetrievalBackward p, BackwardMemory<T> memory) {
  const std::int64_t item = warp_of_grid();
  if (item >= memory.items) {
    return;
  }
  const std::int64_t M = p.visibility.M;
  T* const dk = memory.copies + item * memory.copy;
  T* const dv = dk + M * p.D;
  // Columns belong to lanes, here and in WarpRow::backward().
  for (std::int64_t j = 0; j < M; ++j) {
    for (std::int64_t c = threadIdx.x; c < p.D; c += kWarpSize) {
      dk[j * p.D + c] = 0;
    }
    for (std::int64_t c = threadIdx.x; c < p.Dv; c += kWarpSize) {
      dv[j * p.Dv + c] = 0;
    }
  }
  const WarpScratch<T> scratch(memory.scratch + item * WarpScratch<T>::bytes(M, memory.states, p.D),
                               M, memory.states, p.D);
  double dbeta = 0;
  double dalpha = 0;
  // Every parts-th query: with causality the later ones see more.
  for (std::int64_t i = item % memory.parts; i < p.visibility.L; i += memory.parts) {
    WarpRow<T> row = warp_row_of<T>(p, item / memory.parts, i, scratch);
    backward_query(p, row, dk, dv, dbeta, dalpha);
  }
  dbeta = warp_reduce<Sum>(dbeta);
  dalpha = warp_reduce<Sum>(dalpha);
  if (threadIdx.x == 0) {
    memory.dbeta[item] = dbeta;
    memory.dalpha[item] = dalpha;
  }
}

// A thread for an element of dk or dv.
template <class T>
BASIN_KERNEL void retrieval_backward_keys_kernel(RetrievalBackward p, BackwardMemory<T> memory) {
  const std::int64_t at = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (at >= p.B * p.H * memory.copy) {
    return;
  }
  const std::int64_t head = at / memory.copy;
  const std::int64_t inside = at % memory.copy;
  const T* const from = memory.copies + head * memory.parts * memory.copy + inside;
  T sum = 0;
  for (std::int64_t part = 0; part < memory.parts; ++part) {
    sum += from[part * memory.copy];
  }
  const std::int64_t of_keys = p.visibility.M * p.D;
  const bool is_key = inside < of_keys;
  const HeadView& to = is_key ? p.dk : p.dv;
  const std::int64_t width = is_key ? p.D : p.Dv;
  const std::int64_t place = is_key ? inside : inside - of_keys;
  to.head<T>(head / p.H, head % p.H)[place / width * to.row_stride + place % width] = sum;
}

// A thread for a head: dbeta and dalpha.
template <class T>
BASIN_KERNEL void retrieval_backward_heads_kernel(RetrievalBackward p, BackwardMemory<T> memory) {
  const std::int64_t h = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (h >= p.H) {
    return;
  }
  double dbeta = 0;
  double dalpha = 0;
  for (std::int64_t b = 0; b < p.B; ++b) {
    const std::int64_t begin = (b * p.H + h) * memory.parts;
    for (std::int64_t item = begin; item < begin + memory.parts; ++item) {
      dbeta += memory.dbeta[item];
      dalpha += memory.dalpha[item];
    }
  }
  if (p.dbeta != nullptr) {
    static_cast<T*>(p.dbeta)[h] = static_cast<T>(dbeta);
  }
  if (p.dalpha != nullptr) {
    static_cast<T*>(p.dalpha)[h] = static_cast<T>(dalpha);
  }
}

template <class T>
BASIN_DEVICE T energy_of(const RetrievalEnergy& p, WarpRow<T>& row) {
  const T* const x = p.q.head<T>(row.b, row.h) + row.i * p.q.row_stride;
  row.gather();
  if (row.count == 0) {
    return 0;
  }
  row.weigh(x);
  const double beta = static_cast<double>(row.beta);
  const double half = static_cast<double>(dot(x, x, p.D)) / 2;
  if (row.rule.kind == Separation::softmax) {
    const double longest = over_lanes<Maximum, double>(row.count, [&](std::int64_t n) {
      const T* const pattern = row.k + row.key(n) * row.k_row;
      return row.takes_part(n) ? static_cast<double>(dot(pattern, pattern, p.D)) : 0.0;
    });
    const double lse = static_cast<double>(row.largest) + std::log(static_cast<double>(row.level));
    return static_cast<T>(half - lse / beta +
                          std::log(static_cast<double>(row.taking_part)) / beta + longest / 2);
  }
  const double alpha = row.rule.alpha;
  const double reward = over_lanes<Sum, double>(row.count, [&](std::int64_t n) {  // P.s - Omega(P)
    if (!row.takes_part(n) || row.is_dropped(n)) {
      return 0.0;
    }
    const double weight = static_cast<double>(row.scratch.weights[n]);
    return weight * static_cast<double>(row.scratch.scores[n]) -
           (std::pow(weight, alpha) - weight) / (alpha * (alpha - 1));
  });
  return static_cast<T>(half - reward / beta);
}

template <class T>
BASIN_KERNEL void retrieval_energy_kernel(RetrievalEnergy p, std::int64_t warps) {
  const std::int64_t warp = warp_of_grid();
  if (warp >= warps) {
    return;
  }
  const std::int64_t M = p.visibility.M;
  const std::int64_t L = p.visibility.L;
  const WarpScratch<T> scratch(
      static_cast<char*>(p.workspace) + warp * WarpScratch<T>::bytes(M, 0, p.D), M, 0, p.D);
  for (std::int64_t at = warp; at < p.B * p.H * L; at += warps) {
    WarpRow<T> row = warp_row_of<T>(p, at / L, at % L, scratch);
    const T energy = energy_of(p, row);
    if (threadIdx.x == 0) {
      static_cast<T*>(p.energy)[at] = energy;
    }
    __syncwarp();
  }
}

template <class P>
std::int64_t warps_of(const P& p) {
  return std::min(kMostWarps, p.B * p.H * p.visibility.L);
}

template <class P>
std::int64_t scratch_bytes(const P& p, std::int64_t states) {
  const std::int64_t M = p.visibility.M;
  return warps_of(p) * (p.dtype == DType::f64 ? WarpScratch<double>::bytes(M, states, p.D)
                                              : WarpScratch<float>::bytes(M, states, p.D));
}

LaunchShape warps_shape(const char* name, std::int64_t warps) {
  return {name, {static_cast<unsigned>(pieces_of(warps, kWarps)), 1, 1}, {kWarpSize, kWarps, 1}};
}

LaunchShape threads_shape(const char* name, std::int64_t count) {
  return {name, {static_cast<unsigned>(pieces_of(count, kThreads)), 1, 1}, {kThreads, 1, 1}};
}

template <class P>
bool device_takes_tiles(const P& p) {
  return p.variant != 1 && p.variant != 2 &&
         (tiles_apply_on_device(p) || top_tiles_apply_on_device(p));
}
template <class P>
bool device_takes_lists(const P& p) {
  return (p.variant == 0 || p.variant == 2) && lists_apply_on_device(p);
}

template <class P>
Status check(const P& p) {
  if (const Status status = check_retrieval_rule(p); !status.ok()) {
    return status;
  }
  if (const Status status = check_retrieval_pass(p); !status.ok()) {
    return status;
  }
  if (p.variant < 0 || p.variant > 4) {
    return Status::invalid("retrieval: a GPU has variants 0 to 4");
  }
  if (p.variant == 4 && p.dtype != DType::f32) {
    return Status::invalid("retrieval: variant 4 of a GPU is for f32");
  }
  if (const Status status = check_precision(p); !status.ok()) {
    return status;
  }
  const bool rounds = p.dtype == DType::bf16 || p.precision != Precision::f32;
  if (rounds && !device_takes_tiles(p)) {
    return Status::unsupported(
        "retrieval: tf32 and bf16 are for softmax in one step, without top-k, heads at most 256 "
        "wide");
  }
  return {};
}

}  // namespace

std::int64_t retrieval_forward_workspace(const RetrievalForward& p, const DeviceContext& context) {
  if (device_takes_tiles(p)) {
    return retrieval_tiles_forward_workspace(p, context);
  }
  return device_takes_lists(p) ? retrieval_lists_forward_workspace(p, context)
                               : scratch_bytes(p, kForwardStates);
}

Status retrieval_forward(const RetrievalForward& p, const DeviceContext& context) {
  if (const Status status = check(p); !status.ok()) {
    return status;
  }
  if (device_takes_tiles(p)) {
    return retrieval_tiles_forward(p, context);
  }
  if (device_takes_lists(p)) {
    return retrieval_lists_forward(p, context);
  }
  const std::int64_t warps = warps_of(p);
  if (warps == 0) {
    return {};
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    return launch(warps_shape("retrieval_forward", warps), context, retrieval_forward_kernel<T>, p,
                  warps);
  });
}

std::int64_t retrieval_backward_workspace(const RetrievalBackward& p,
                                          const DeviceContext& context) {
  if (device_takes_tiles(p)) {
    return retrieval_tiles_backward_workspace(p, context);
  }
  if (device_takes_lists(p)) {
    return retrieval_lists_backward_workspace(p, context);
  }
  return p.dtype == DType::f64 ? BackwardMemory<double>(p).bytes : BackwardMemory<float>(p).bytes;
}

Status retrieval_backward(const RetrievalBackward& p, const DeviceContext& context) {
  if (const Status status = check(p); !status.ok()) {
    return status;
  }
  if (device_takes_tiles(p)) {
    return retrieval_tiles_backward(p, context);
  }
  if (device_takes_lists(p)) {
    return retrieval_lists_backward(p, context);
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const BackwardMemory<T> memory(p);
    Status status;
    if (memory.items > 0) {
      status = launch(warps_shape("retrieval_backward", memory.items), context,
                      retrieval_backward_kernel<T>, p, memory);
    }
    const std::int64_t elements = p.B * p.H * memory.copy;
    if (status.ok() && elements > 0) {
      status = launch(threads_shape("retrieval_backward_keys", elements), context,
                      retrieval_backward_keys_kernel<T>, p, memory);
    }
    if (status.ok() && p.H > 0) {
      status = launch(threads_shape("retrieval_backward_heads", p.H), context,
                      retrieval_backward_heads_kernel<T>, p, memory);
    }
    return status;
  });
}

std::int64_t retrieval_energy_workspace(const RetrievalEnergy& p, const DeviceContext&) {
  return scratch_bytes(p, 0);
}

Status retrieval_energy(const RetrievalEnergy& p, const DeviceContext& context) {
  if (const Status status = check_retrieval_rule(p); !status.ok()) {
    return status;
  }
  if (const Status status = check_retrieval_energy(p); !status.ok()) {
    return status;
  }
  const std::int64_t warps = warps_of(p);
  if (warps == 0) {
    return {};
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    return launch(warps_shape("retrieval_energy", warps), context, retrieval_energy_kernel<T>, p,
                  warps);
  });
}

}  // namespace basin::kernels
