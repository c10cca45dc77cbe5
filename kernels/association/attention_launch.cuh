// The launches of softmax attention under a rule of visibility (prefix_walk.cuh,
// gathered_walk.cuh).
#pragma once

#include <algorithm>

#include "kernels/association/delta.cuh"
#include "kernels/association/device_width.h"
#include "kernels/association/key_split.h"
#include "kernels/association/softmax_attention_backward.cuh"
#include "kernels/association/softmax_attention_forward.cuh"
#include "kernels/common/dispatch.h"
#include "kernels/common/launch.h"
#include "kernels/common/launch_sizes.h"

namespace basin::kernels {

namespace {

/// Calls function.operator()<T, kWidth, kFew>() for the version of the forward kernel that fits.
template <class F>
Status dispatch_forward(const AttentionForward& p, F&& function) {
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    return dispatch_width<T>(std::max(p.D, p.Dv), [&]<int kWidth>() {
      return p.L <= kDown ? function.template operator()<T, kWidth, true>()
                          : function.template operator()<T, kWidth, false>();
    });
  });
}

template <class Tile, class Rule>
KeySplit split_of(const AttentionForward& p, const Rule& rule) {
  return key_split(p.B * p.H * pieces_of(p.L, Tile::kQueries), p.M, rule.keys_passed(p.M),
                   Tile::kKeys, p.workspace);
}

/// Of p.workspace; p.dtype is f32 or f64.
template <class Rule>
std::int64_t attention_forward_bytes(const AttentionForward& p, const Rule& rule) {
  std::int64_t numbers = 0;
  dispatch_forward(p, [&]<class T, int kWidth, bool kFew>() {
    const std::int64_t parts = split_of<ForwardTile<T, kWidth, kFew>>(p, rule).parts;
    numbers = parts > 1 ? p.B * p.H * p.L * parts * partial_stride(p) : 0;
    return Status{};
  });
  return numbers * static_cast<std::int64_t>(size_of(p.dtype));
}

/// `name`, `combine`: of the launches. p.dtype is f32 or f64, and there are queries.
template <class Rule>
Status launch_attention_forward(const char* name, const char* combine, const AttentionForward& p,
                                const Rule& rule, const DeviceContext& context) {
  return dispatch_forward(p, [&]<class T, int kWidth, bool kFew>() {
    using Tile = ForwardTile<T, kWidth, kFew>;
    using Walk = typename Rule::template Walk<Side::queries, Tile::kQueries, Tile::kKeys>;
    const bool wide =
        copies_wide(p.q, sizeof(T)) && copies_wide(p.k, sizeof(T)) && copies_wide(p.v, sizeof(T));
    const KeySplit split = split_of<Tile>(p, rule);
    const std::int64_t tiles = pieces_of(p.L, Tile::kQueries);
    const LaunchShape shape{name,
                            {static_cast<unsigned>(p.B * p.H * tiles * split.parts), 1, 1},
                            {kTileThreads, 1, 1},
                            Tile::kBytes + Walk::bytes(rule)};
    const Status status = launch(shape, context, attention_forward_kernel<T, kWidth, kFew, Rule>, p,
                                 rule, split, tiles, wide);
    if (!status.ok() || split.parts == 1) {
      return status;
    }
    constexpr unsigned kQueriesOfBlock = 4;
    const auto blocks = static_cast<unsigned>(pieces_of(p.B * p.H * p.L, kQueriesOfBlock));
    return launch({combine, {blocks, 1, 1}, {kWarpSize, kQueriesOfBlock, 1}}, context,
                  attention_combine_kernel<T, T, Rule>, p, rule, split);
  });
}

template <class T, class Out>
Status launch_sum_rows(const char* name, const RowParts& from, const HeadView& to, std::int64_t H,
                       const DeviceContext& context) {
  constexpr unsigned kThreads = 256;
  const std::int64_t elements = from.heads * from.rows * from.width;
  if (elements == 0) {
    return {};
  }
  return launch(
      {name, {static_cast<unsigned>(pieces_of(elements, kThreads)), 1, 1}, {kThreads, 1, 1}},
      context, attention_sum_rows_kernel<T, Out>, from, to, H);
}

/// Names of the launches of a backward pass.
struct BackwardNames {
  const char *delta, *queries, *sum, *keys, *dbeta;
  const char* lse = nullptr;  ///< where it is made of other statistics
};

/// Where things lie in the workspace of a backward pass: a number of dbeta for each block of the
/// side of the queries, delta, and dq in parts.
template <class T, int kWidth, class Rule>
struct BackwardPlace {
  using Tile = BackwardTile<T, kWidth, Side::queries, Rule>;
  std::int64_t tiles;  ///< of queries, in each head
  KeySplit split;
  double* dbeta;
  T* delta;
  std::int64_t bytes;

  BackwardPlace(const AttentionBackward& p, const Rule& rule)
      : tiles(pieces_of(p.L, Tile::kRows)),
        split(key_split(p.B * p.H * tiles, p.M, rule.keys_passed(p.M), Tile::kColumns, nullptr)),
        dbeta(static_cast<double*>(p.workspace)) {
    constexpr std::int64_t kAlignment = 16;
    const std::int64_t of_dbeta =
        pieces_of(p.B * p.H * tiles * split.parts * std::int64_t{sizeof(double)}, kAlignment) *
        kAlignment;
    const std::int64_t of_delta =
        pieces_of(p.B * p.H * p.L * std::int64_t{sizeof(T)}, kAlignment) * kAlignment;
    const std::int64_t of_parts =
        split.parts == 1
            ? 0
            : p.B * p.H * p.L * split.parts * partial_stride(p) * std::int64_t{sizeof(T)};
    char* const begin = static_cast<char*>(p.workspace);
    delta = reinterpret_cast<T*>(begin + of_dbeta);
    split.partial = begin + of_dbeta + of_delta;
    bytes = of_dbeta + of_delta + of_parts;
  }
};

template <class T, int kWidth, Side kSide, class Rule>
Status launch_gradient(const char* name, const AttentionBackward& p, const Rule& rule,
                       const DeviceContext& context, const KeySplit& split, const T* delta,
                       double* parts, bool wide) {
  using Tile = BackwardTile<T, kWidth, kSide, Rule>;
  using Walk = typename Rule::template Walk<kSide, Tile::kRows, Tile::kColumns>;
  constexpr bool of_keys = kSide == Side::keys;
  const std::int64_t tiles =
      pieces_of(of_keys ? p.M : p.L, of_keys ? rule.keys_of_block(Tile::kRows) : Tile::kRows);
  const std::int64_t blocks = p.B * p.H * tiles * (of_keys ? 1 : split.parts);
  if (blocks == 0) {
    return {};
  }
  const LaunchShape shape{name,
                          {static_cast<unsigned>(blocks), 1, 1},
                          {kTileThreads, 1, 1},
                          Tile::kBytes + Walk::bytes(rule)};
  return launch(shape, context, attention_gradient_kernel<T, kWidth, kSide, Rule>, p, rule, split,
                delta, parts, tiles, wide);
}

template <class T, int kWidth, class Rule>
Status launch_gradients(const BackwardNames& names, const AttentionBackward& p, const Rule& rule,
                        const DeviceContext& context) {
  const BackwardPlace<T, kWidth, Rule> place(p, rule);
  const KeySplit& split = place.split;
  bool wide = true;
  for (const HeadView* view : {&p.q, &p.k, &p.v, &p.dout}) {
    wide = wide && copies_wide(*view, sizeof(T));
  }
  Status status = launch_delta<T>(names.delta, p, context, place.delta);
  if (status.ok()) {
    status = launch_gradient<T, kWidth, Side::queries, Rule>(
        names.queries, p, rule, context, split, place.delta,
        p.dbeta == nullptr ? nullptr : place.dbeta, wide);
  }
  if (status.ok() && split.parts > 1) {
    status = launch_sum_rows<T, T>(
        names.sum, {split.partial, p.B * p.H, p.L, p.D, split.parts, partial_stride(p)}, p.dq, p.H,
        context);
  }
  if (status.ok()) {
    const Rule of_keys = rule.for_keys(BackwardTile<T, kWidth, Side::keys, Rule>::kRows, p.M);
    status = launch_gradient<T, kWidth, Side::keys, Rule>(names.keys, p, of_keys, context, split,
                                                          place.delta, nullptr, wide);
  }
  if (status.ok() && p.dbeta != nullptr) {
    status = launch({names.dbeta, {static_cast<unsigned>(p.H), 1, 1}, {256, 1, 1}}, context,
                    attention_dbeta_kernel<T>, p, static_cast<const double*>(place.dbeta),
                    place.tiles * split.parts);
  }
  return status;
}

/// Of p.workspace; p.dtype is f32 or f64.
template <class Rule>
std::int64_t attention_backward_bytes(const AttentionBackward& p, const Rule& rule) {
  std::int64_t bytes = 0;
  dispatch_floating(p.dtype, [&]<class T>(T) {
    return dispatch_width<T>(std::max(p.D, p.Dv), [&]<int kWidth>() {
      bytes = BackwardPlace<T, kWidth, Rule>(p, rule).bytes;
      return Status{};
    });
  });
  return bytes;
}

/// p.dtype is f32 or f64, p.workspace attention_backward_bytes().
template <class Rule>
Status launch_attention_backward(const BackwardNames& names, const AttentionBackward& p,
                                 const Rule& rule, const DeviceContext& context) {
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    return dispatch_width<T>(std::max(p.D, p.Dv), [&]<int kWidth>() {
      return launch_gradients<T, kWidth>(names, p, rule, context);
    });
  });
}

}  // namespace

}  // namespace basin::kernels
