// The launches of attention on tensor cores under a rule of visibility (prefix_walk.cuh,
// gathered_walk.cuh).
#pragma once

#include <algorithm>
#include <initializer_list>

#include "kernels/association/attention_launch.cuh"
#include "kernels/association/tensor_attention_backward.cuh"
#include "kernels/association/tensor_attention_forward.cuh"

namespace basin::kernels {

namespace {

/// Calls function.operator()<kWidth>(); a walk that gathers has no version for 32 of its own.
template <class Rule, class P, class F>
Status dispatch_tensor_width(const P& p, F&& function) {
  return dispatch_width<float, !Rule::kGathers>(std::max(p.D, p.Dv), function);
}

template <class Number>
bool all_copy_wide(std::initializer_list<const HeadView*> views) {
  return std::all_of(views.begin(), views.end(),
                     [](const HeadView* view) { return copies_wide(*view, sizeof(Number)); });
}

/// Of p.workspace. As many for every variant.
template <class Arithmetic, class Rule>
std::int64_t tensor_forward_bytes(const AttentionForward& p, const Rule& rule) {
  std::int64_t numbers = 0;
  dispatch_tensor_width<Rule>(p, [&]<int kWidth>() {
    const std::int64_t parts = split_of<TensorForwardTile<Arithmetic, kWidth, true>>(p, rule).parts;
    numbers = parts > 1 ? p.B * p.H * p.L * parts * partial_stride(p) : 0;
    return Status{};
  });
  return numbers * std::int64_t{sizeof(float)};
}

/// `name`, `combine`: of the launches. There are queries.
template <class Arithmetic, int kWidth, bool kPipelined, class Rule>
Status launch_tensor_forward(const char* name, const char* combine, const AttentionForward& p,
                             const Rule& rule, const DeviceContext& context) {
  using Number = typename Arithmetic::Number;
  using Tile = TensorForwardTile<Arithmetic, kWidth, kPipelined>;
  using Walk = typename Rule::template Walk<Side::queries, Tile::kQueries, Tile::kKeys, true>;
  const KeySplit split = split_of<Tile>(p, rule);
  const std::int64_t tiles = pieces_of(p.L, Tile::kQueries);
  const LaunchShape shape{name,
                          {static_cast<unsigned>(p.B * p.H * tiles * split.parts), 1, 1},
                          {kTileThreads, 1, 1},
                          Tile::kBytes + Walk::bytes(rule)};
  const Status status =
      launch(shape, context, tensor_attention_forward_kernel<Arithmetic, kWidth, kPipelined, Rule>,
             p, rule, split, tiles, all_copy_wide<Number>({&p.q, &p.k, &p.v}),
             all_copy_wide<Number>({&p.out}));
  if (!status.ok() || split.parts == 1) {
    return status;
  }
  constexpr unsigned kQueriesOfBlock = 4;
  const auto blocks = static_cast<unsigned>(pieces_of(p.B * p.H * p.L, kQueriesOfBlock));
  return launch({combine, {blocks, 1, 1}, {kWarpSize, kQueriesOfBlock, 1}}, context,
                attention_combine_kernel<float, Number, Rule>, p, rule, split);
}

/// lse of every query from what the forward pass kept of it.
template <class Rule>
BASIN_KERNEL void attention_lse_kernel(AttentionBackward p, Rule rule, float* lse) {
  const std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (at < p.B * p.H * p.L) {
    lse[at] = rule.template lse<float>(p, at);
  }
}

/// Where things lie in the workspace of a backward pass: parts of dbeta, delta, and, where there
/// are such, lse, dq in parts, dk and dv as sums.
template <class Arithmetic, int kWidth, class Rule>
struct TensorBackwardPlace {
  using Tile = TensorBackwardTile<Arithmetic, kWidth, Side::queries, Rule>;
  std::int64_t tiles;  ///< of queries, in each head
  KeySplit split;
  double* dbeta;
  float *delta, *lse, *dk_sums, *dv_sums;
  std::int64_t bytes = 0;

  TensorBackwardPlace(const AttentionBackward& p, const Rule& rule)
      : tiles(pieces_of(p.L, kTensorRows)),
        split(key_split(p.B * p.H * tiles, p.M, rule.keys_passed(p.M), Tile::kColumns, nullptr)),
        begin_(static_cast<char*>(p.workspace)) {
    const std::int64_t queries = p.B * p.H * p.L;
    const std::int64_t keys = rule.for_keys(kTensorRows, p.M).adds() ? p.B * p.H * p.M : 0;
    dbeta = take<double>(p.B * p.H * tiles * split.parts);
    delta = take<float>(queries);
    lse = take<float>(Rule::kGathers ? queries : 0);
    split.partial = take<float>(split.parts == 1 ? 0 : queries * split.parts * partial_stride(p));
    dk_sums = take<float>(keys * sums_stride(p.D));
    dv_sums = take<float>(keys * sums_stride(p.Dv));
  }

 private:
  template <class T>
  T* take(std::int64_t count) {
    constexpr std::int64_t kAlignment = 16;
    T* const place = reinterpret_cast<T*>(begin_ + bytes);
    bytes += pieces_of(count * std::int64_t{sizeof(T)}, kAlignment) * kAlignment;
    return place;
  }
  char* begin_;
};

template <class Arithmetic, class Rule>
std::int64_t tensor_backward_bytes(const AttentionBackward& p, const Rule& rule) {
  std::int64_t bytes = 0;
  dispatch_tensor_width<Rule>(p, [&]<int kWidth>() {
    bytes = TensorBackwardPlace<Arithmetic, kWidth, Rule>(p, rule).bytes;
    return Status{};
  });
  return bytes;
}

template <class Arithmetic, int kWidth, Side kSide, class Rule>
Status launch_tensor_gradient(const char* name, const AttentionBackward& p, const Rule& rule,
                              const DeviceContext& context, TensorGradients to) {
  using Tile = TensorBackwardTile<Arithmetic, kWidth, kSide, Rule>;
  using Walk = typename Rule::template Walk<kSide, kTensorRows, Tile::kColumns, true>;
  constexpr bool of_keys = kSide == Side::keys;
  to.tiles =
      pieces_of(of_keys ? p.M : p.L, of_keys ? rule.keys_of_block(kTensorRows) : kTensorRows);
  const std::int64_t blocks = p.B * p.H * to.tiles * (of_keys ? Tile::kParts : to.split.parts);
  if (blocks == 0) {
    return {};
  }
  const LaunchShape shape{name,
                          {static_cast<unsigned>(blocks), 1, 1},
                          {kTileThreads, 1, 1},
                          Tile::kBytes + Walk::bytes(rule)};
  return launch(shape, context, tensor_gradient_kernel<Arithmetic, kWidth, kSide, Rule>, p, rule,
                to);
}

/// p.workspace has tensor_backward_bytes(). The names: of the launches.
template <class Arithmetic, int kWidth, class Rule>
Status launch_tensor_backward(const BackwardNames& names, AttentionBackward p, const Rule& rule,
                              const DeviceContext& context) {
  using Number = typename Arithmetic::Number;
  const TensorBackwardPlace<Arithmetic, kWidth, Rule> place(p, rule);
  const std::int64_t heads = p.B * p.H;
  const TensorGradients to{place.split,
                           place.delta,
                           p.dbeta == nullptr ? nullptr : place.dbeta,
                           place.dk_sums,
                           place.dv_sums,
                           0,
                           all_copy_wide<Number>({&p.q, &p.k, &p.v, &p.dout}),
                           all_copy_wide<Number>({&p.dq, &p.dk, &p.dv})};
  Status status = launch_delta<Number, Arithmetic>(names.delta, p, context, place.delta);
  if constexpr (Rule::kGathers) {
    p.lse = place.lse;
    if (status.ok() && heads * p.L > 0) {
      constexpr unsigned kThreads = 256;
      const auto blocks = static_cast<unsigned>(pieces_of(heads * p.L, kThreads));
      status = launch({names.lse, {blocks, 1, 1}, {kThreads, 1, 1}}, context,
                      attention_lse_kernel<Rule>, p, rule, place.lse);
    }
  }
  if (status.ok()) {
    status = launch_tensor_gradient<Arithmetic, kWidth, Side::queries>(names.queries, p, rule,
                                                                       context, to);
  }
  if (status.ok() && place.split.parts > 1) {
    status = launch_sum_rows<float, Number>(
        names.sum, {place.split.partial, heads, p.L, p.D, place.split.parts, partial_stride(p)},
        p.dq, p.H, context);
  }
  const Rule of_keys = rule.for_keys(kTensorRows, p.M);
  if (status.ok()) {
    status =
        launch_tensor_gradient<Arithmetic, kWidth, Side::keys>(names.keys, p, of_keys, context, to);
  }
  if (status.ok() && of_keys.adds()) {
    status = launch_sum_rows<float, Number>(
        names.sum, {place.dk_sums, heads, p.M, p.D, 1, sums_stride(p.D)}, p.dk, p.H, context);
  }
  if (status.ok() && of_keys.adds()) {
    status = launch_sum_rows<float, Number>(
        names.sum, {place.dv_sums, heads, p.M, p.Dv, 1, sums_stride(p.Dv)}, p.dv, p.H, context);
  }
  if (status.ok() && p.dbeta != nullptr) {
    status = launch({names.dbeta, {static_cast<unsigned>(p.H), 1, 1}, {256, 1, 1}}, context,
                    attention_dbeta_kernel<float>, p, static_cast<const double*>(place.dbeta),
                    place.tiles * place.split.parts);
  }
  return status;
}

}  // namespace

}  // namespace basin::kernels
