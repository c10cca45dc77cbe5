// How threads share the backward pass of a head. dk and dv collect from all queries, so a head that
// is too much work for one chunk is cut into parts of its queries, each with a dk and dv of its
// own; these are added in the order of the parts. How many there are depends on the shape alone:
// every number of threads gives the same bits.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/association/heads.h"
#include "kernels/common/thread_pool.h"

namespace basin::kernels {

/// The parts of B H heads of L queries each; borders are multiples of `unit` queries.
struct HeadParts {
  static constexpr std::int64_t kMost = 4;            // of a head
  static constexpr std::int64_t kLeastQueries = 384;  // of a part
  static constexpr std::int64_t kChunks = 16;         // what is aimed at

  std::int64_t B, H, L, M, D, Dv, count, queries;

  template <class P>
  HeadParts(const P& p, std::int64_t unit)
      : B(p.B), H(p.H), L(p.visibility.L), M(p.visibility.M), D(p.D), Dv(p.Dv) {
    const std::int64_t heads = std::max<std::int64_t>(1, B * H);
    const std::int64_t wanted = std::min((kChunks + heads - 1) / heads, L / kLeastQueries);
    count = std::clamp<std::int64_t>(wanted, 1, kMost);
    const std::int64_t units = (L + unit - 1) / unit;
    queries = (units + count - 1) / count * unit;
  }

  std::int64_t chunks() const { return B * H * count; }
  std::int64_t head(std::int64_t chunk) const { return chunk / count; }
  std::int64_t begin(std::int64_t chunk) const { return std::min(L, chunk % count * queries); }
  std::int64_t end(std::int64_t chunk) const { return std::min(L, begin(chunk) + queries); }

  /// What the parts need in a workspace: nothing where a head is one part.
  std::int64_t elements() const { return count == 1 ? 0 : chunks() * part_size(); }
  std::int64_t part_size() const { return M * (D + Dv); }
};

/// Where a part collects dk and dv.
template <class T>
struct CollectedRows {
  T* dk;
  std::int64_t dk_row;
  T* dv;
  std::int64_t dv_row;
};

/// Of one chunk, and set to 0; `memory` has parts.elements().
template <class T, class P>
CollectedRows<T> start_rows(const P& p, const HeadParts& parts, std::int64_t chunk, T* memory) {
  const std::int64_t b = parts.head(chunk) / parts.H;
  const std::int64_t h = parts.head(chunk) % parts.H;
  CollectedRows<T> rows{p.dk.template head<T>(b, h), p.dk.row_stride, p.dv.template head<T>(b, h),
                        p.dv.row_stride};
  if (parts.count > 1) {
    T* own = memory + chunk * parts.part_size();
    rows = {own, parts.D, own + parts.M * parts.D, parts.Dv};
  }
  for (std::int64_t j = 0; j < parts.M; ++j) {
    std::fill_n(rows.dk + j * rows.dk_row, parts.D, T(0));
    std::fill_n(rows.dv + j * rows.dv_row, parts.Dv, T(0));
  }
  return rows;
}

template <class T>
void add_parts_of_row(const T* from, std::int64_t distance, std::int64_t parts, std::int64_t width,
                      T* to) {
  for (std::int64_t c = 0; c < width; ++c) {
    T sum = from[c];
    for (std::int64_t part = 1; part < parts; ++part) {
      sum += from[part * distance + c];
    }
    to[c] = sum;
  }
}

/// dk and dv of all heads from their parts; nothing to do where a head is one part.
template <class T, class P>
void add_parts_of_heads(const P& p, const HeadParts& parts, const T* memory,
                        const CpuContext& context) {
  if (parts.count == 1) {
    return;
  }
  for_ranges(context, parts.B * parts.H * parts.M, 256, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t head = row / parts.M;
      const std::int64_t j = row % parts.M;
      const std::int64_t b = head / parts.H;
      const std::int64_t h = head % parts.H;
      const T* first = memory + head * parts.count * parts.part_size();
      add_parts_of_row(first + j * parts.D, parts.part_size(), parts.count, parts.D,
                       p.dk.template head<T>(b, h) + j * p.dk.row_stride);
      add_parts_of_row(first + parts.M * parts.D + j * parts.Dv, parts.part_size(), parts.count,
                       parts.Dv, p.dv.template head<T>(b, h) + j * p.dv.row_stride);
    }
  });
}

/// to[h] = the sum over items and parts of from[chunk], in order; nothing if `to` is null.
template <class T>
void sum_over_parts(const HeadParts& parts, const double* from, void* to) {
  for (std::int64_t h = 0; to != nullptr && h < parts.H; ++h) {
    double total = 0;
    for (std::int64_t b = 0; b < parts.B; ++b) {
      for (std::int64_t part = 0; part < parts.count; ++part) {
        total += from[(b * parts.H + h) * parts.count + part];
      }
    }
    static_cast<T*>(to)[h] = static_cast<T>(total);
  }
}

}  // namespace basin::kernels
