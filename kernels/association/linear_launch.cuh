// What the launches of a pass of linear attention (linear_pass.cuh) share.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/association/linear_attention.h"
#include "kernels/association/linear_pass.cuh"
#include "kernels/common/launch.h"
#include "kernels/common/launch_sizes.h"

namespace basin::kernels {

namespace {

/// Segments of at least two tiles, so that a state is read and written for many rows, and so many
/// that a head's segments together with the other heads fill a large card. `rows`: of a tile;
/// `slice`: columns of w.
inline LinearCut cut_of(const LinearPass& p, std::int64_t rows, std::int64_t slice) {
  constexpr std::int64_t kBlocks = 264;
  constexpr std::int64_t kFewest = 2;
  LinearCut cut{};
  cut.start = p.causal ? std::min<std::int64_t>(0, p.M - p.L) : 0;
  cut.slices = pieces_of(p.width, slice);
  const std::int64_t line = p.causal ? p.M - cut.start : p.columns();
  const std::int64_t tiles = pieces_of(line, rows);
  const std::int64_t wanted =
      std::max<std::int64_t>(1, kBlocks / std::max<std::int64_t>(1, p.B * p.H * cut.slices));
  cut.tiles = std::max(kFewest, pieces_of(tiles, wanted));
  cut.segments = pieces_of(tiles, cut.tiles);
  cut.row_segments = p.causal ? cut.segments : pieces_of(p.rows(), cut.tiles * rows);
  return cut;
}

/// Numbers of the states of a pass, `size` in each.
inline std::int64_t numbers_of_states(const LinearPass& p, const LinearCut& cut,
                                      std::int64_t size) {
  return p.B * p.H * cut.slices * (cut.segments + 1) * size;
}

template <class T>
Status launch_prefix(const LinearPass& p, const LinearCut& cut, std::int64_t size,
                     const DeviceContext& context, T* states) {
  constexpr unsigned kThreads = 256;
  const std::int64_t parts = p.B * p.H * cut.slices;
  const auto blocks = static_cast<unsigned>(pieces_of(parts * size, kThreads));
  return launch({"linear_attention_prefix", {blocks, 1, 1}, {kThreads, 1, 1}}, context,
                linear_prefix_kernel<T>, states, cut.segments, size, parts, p.rows_are_keys);
}

/// What the passes of one call share.
template <class P>
LinearPass pass_of(const P& p, bool rows_are_keys, std::int64_t inner, std::int64_t width) {
  LinearPass pass{};
  pass.key_lengths = p.key_lengths;
  pass.B = p.B;
  pass.H = p.H;
  pass.L = p.L;
  pass.M = p.M;
  pass.inner = inner;
  pass.width = width;
  pass.rows_are_keys = rows_are_keys;
  pass.causal = p.causal;
  pass.eps = p.eps;
  return pass;
}

inline LinearPass forward_pass(const LinearAttentionForward& p) {
  LinearPass pass = pass_of(p, false, p.D, p.Dv);
  pass.a = p.q;
  pass.take_a = Take::features;
  pass.b = p.k;
  pass.take_b = Take::features;
  pass.w = p.v;
  pass.take_w = Take::as_it_is;
  pass.y = p.out;
  pass.written_n = p.normaliser;
  return pass;
}

struct BackwardPasses {
  LinearPass dq, dk, dv;
};

}  // namespace

}  // namespace basin::kernels
