// The problems on which the association kernels are tested and timed, and how they are laid out.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "kernels/association/heads.h"
#include "kernels/common/precision.h"
#include "kernels/table/case_arrays.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels {

struct AssociationProblem {
  std::string name;
  std::int64_t B, H, L, M, D, Dv;
  bool causal = false;
  std::vector<std::int64_t> key_lengths{};  ///< empty: no padding
  bool interleaved = false;  ///< (B, rows, H, width) in memory, not (B, H, rows, width)
  double eps = 1e-6;         ///< linear attention only

  /// Whether query i of batch item b sees key j, straight from the definition.
  bool sees(std::int64_t b, std::int64_t i, std::int64_t j) const {
    const bool real = key_lengths.empty() || j < key_lengths[static_cast<std::size_t>(b)];
    return real && (!causal || j - (i + M - L) <= 0);
  }
  const std::int64_t* lengths() const { return key_lengths.empty() ? nullptr : key_lengths.data(); }

  std::vector<std::int64_t> extents(std::int64_t rows, std::int64_t width) const {
    return interleaved ? std::vector{B, rows, H, width} : std::vector{B, H, rows, width};
  }
  HeadView view(void* data, std::int64_t rows, std::int64_t width) const {
    return interleaved ? HeadView{data, rows * H * width, width, H * width}
                       : HeadView{data, H * rows * width, rows * width, width};
  }

  /// Pairs of query and visible key, over all batch items and heads.
  double pairs() const {
    std::int64_t count = 0;
    for (std::int64_t b = 0; b < B; ++b) {
      for (std::int64_t i = 0; i < L; ++i) {
        count += visible_keys(lengths(), b, causal, i, L, M);
      }
    }
    return static_cast<double>(count * H);
  }
  double elements(std::int64_t rows, std::int64_t width) const {
    return static_cast<double>(B * H * rows * width);
  }
};

/// Widths 1 to 256, both directions of L != M, padding that empties a batch item, causal problems
/// whose first queries see nothing, lengths around the tile of 32 queries.
inline std::vector<AssociationProblem> association_problems() {
  return {
      {.name = "one", .B = 1, .H = 1, .L = 1, .M = 1, .D = 1, .Dv = 1},
      {.name = "wide_values", .B = 2, .H = 3, .L = 5, .M = 7, .D = 4, .Dv = 9},
      {.name = "narrow_values", .B = 1, .H = 2, .L = 33, .M = 65, .D = 17, .Dv = 1},
      {.name = "tiles", .B = 2, .H = 2, .L = 96, .M = 64, .D = 64, .Dv = 64},
      {.name = "causal", .B = 2, .H = 2, .L = 71, .M = 71, .D = 8, .Dv = 8, .causal = true},
      {.name = "causal_longer_keys",
       .B = 1,
       .H = 2,
       .L = 35,
       .M = 90,
       .D = 5,
       .Dv = 3,
       .causal = true},
      {.name = "causal_shorter_keys",
       .B = 2,
       .H = 1,
       .L = 90,
       .M = 35,
       .D = 3,
       .Dv = 5,
       .causal = true},
      {.name = "padded",
       .B = 4,
       .H = 2,
       .L = 37,
       .M = 41,
       .D = 16,
       .Dv = 7,
       .key_lengths = {41, 0, 1, 23}},
      {.name = "padded_causal",
       .B = 3,
       .H = 2,
       .L = 67,
       .M = 67,
       .D = 7,
       .Dv = 16,
       .causal = true,
       .key_lengths = {67, 33, 5}},
      // Several blocks of keys and tiles of queries, none of them whole.
      {.name = "blocks", .B = 1, .H = 2, .L = 131, .M = 301, .D = 33, .Dv = 37},
      {.name = "causal_blocks",
       .B = 2,
       .H = 1,
       .L = 290,
       .M = 290,
       .D = 12,
       .Dv = 20,
       .causal = true,
       .key_lengths = {290, 139}},
      // So many queries that a head is cut into parts.
      {.name = "parts", .B = 1, .H = 1, .L = 1201, .M = 140, .D = 8, .Dv = 5},
      {.name = "causal_parts", .B = 1, .H = 1, .L = 790, .M = 300, .D = 4, .Dv = 4, .causal = true},
      {.name = "interleaved",
       .B = 2,
       .H = 4,
       .L = 40,
       .M = 50,
       .D = 12,
       .Dv = 20,
       .interleaved = true},
      {.name = "interleaved_padded_causal",
       .B = 3,
       .H = 3,
       .L = 50,
       .M = 44,
       .D = 32,
       .Dv = 32,
       .causal = true,
       .key_lengths = {44, 19, 0},
       .interleaved = true},
      // The wider heads that kernels for a GPU are compiled for.
      {.name = "width_128", .B = 1, .H = 1, .L = 70, .M = 45, .D = 128, .Dv = 97, .causal = true},
      {.name = "width_256",
       .B = 1,
       .H = 1,
       .L = 11,
       .M = 37,
       .D = 132,
       .Dv = 256,
       .key_lengths = {30}},
      {.name = "no_keys", .B = 1, .H = 2, .L = 3, .M = 0, .D = 4, .Dv = 4},
  };
}

/// Problems of any size, for timing.
inline std::vector<SizeParameter> association_sizes() {
  return {{"B", 1, "batch items"},
          {"H", 4, "heads"},
          {"L", 1024, "queries"},
          {"M", 0, "keys; 0: as many as queries", 0},
          kept_size("D", 64, "width of queries and keys"),
          kept_size("Dv", 0, "width of values; 0: that of keys", 0),
          choice("causal", "queries see no later keys", {"0", "1"})};
}
inline AssociationProblem association_problem(const Sizes& s) {
  return {.name = "",
          .B = s.at("B"),
          .H = s.at("H"),
          .L = s.at("L"),
          .M = s.at("M") == 0 ? s.at("L") : s.at("M"),
          .D = s.at("D"),
          .Dv = s.at("Dv") == 0 ? s.at("D") : s.at("Dv"),
          .causal = s.at("causal") == 1};
}

struct RandomFeatureProblem {
  AssociationProblem shape;
  std::int64_t features;
  bool relu;
};

/// How a case on tensor cores multiplies: arrays in bf16; arrays in f32, rounded to tf32; the same
/// in two parts of tf32.
enum class TensorProducts : std::uint8_t { bf16, tf32, split };

/// The cases of the table entries of the same name, for anybody's arrays: buffers by name,
/// run(data, dtype, variant, context).
KernelCase attention_forward_case(const AssociationProblem&, const CpuContext&);
KernelCase attention_backward_case(const AssociationProblem&, const CpuContext&);
KernelCase attention_forward_case_in(Precision, const AssociationProblem&, const CpuContext&);
KernelCase attention_backward_case_in(Precision, const AssociationProblem&, const CpuContext&);
KernelCase tensor_attention_forward_case(const AssociationProblem&, const CpuContext&);
KernelCase tensor_attention_backward_case(const AssociationProblem&, const CpuContext&);
KernelCase linear_attention_forward_case(const AssociationProblem&, const CpuContext&);
KernelCase linear_attention_backward_case(const AssociationProblem&, const CpuContext&);
KernelCase tensor_linear_attention_forward_case(const AssociationProblem&, const CpuContext&);
KernelCase tensor_linear_attention_backward_case(const AssociationProblem&, const CpuContext&);
KernelCase random_feature_forward_case(const RandomFeatureProblem&, const CpuContext&);
KernelCase random_feature_backward_case(const RandomFeatureProblem&, const CpuContext&);

/// Sets element c < width of row j of every head of batch item b.
inline void set_row(const AssociationProblem& s, void* data, DType dtype, std::int64_t rows,
                    std::int64_t width, std::int64_t b, std::int64_t j, double value) {
  const HeadView view = s.view(data, rows, width);
  for (std::int64_t h = 0; h < s.H; ++h) {
    const std::int64_t row = b * view.batch_stride + h * view.head_stride + j * view.row_stride;
    for (std::int64_t c = 0; c < width; ++c) {
      set_element(data, dtype, row + c, value);
    }
  }
}

/// Fills the rows of k or v that no query sees with `value`.
inline void fill_hidden(const AssociationProblem& s, void* data, DType dtype, std::int64_t width,
                        double value) {
  for (std::int64_t b = 0; b < s.B; ++b) {
    for (std::int64_t j = 0; j < s.M; ++j) {
      bool seen = false;
      // Later queries see more.
      for (std::int64_t i = s.L; i-- > 0 && !seen;) {
        seen = s.sees(b, i, j);
      }
      if (!seen) {
        set_row(s, data, dtype, s.M, width, b, j, value);
      }
    }
  }
}

/// Kernels read key_lengths from a buffer, which must be the last one: it lies where the other
/// arrays lie. There is none without padding.
inline void add_lengths(const AssociationProblem& s, std::vector<CaseBuffer>& buffers) {
  if (!s.key_lengths.empty()) {
    buffers.push_back(integer_buffer("key_lengths", CaseBuffer::Role::input, {s.B}, 0, 0));
  }
}
/// `at`: its number, which is beyond the last one if there is none.
inline std::int64_t* lengths_in(const AssociationProblem& s, void* const* data, std::size_t at) {
  return s.key_lengths.empty() ? nullptr : integers(data[at]);
}
inline void fill_lengths(const AssociationProblem& s, void* const* data, std::size_t at) {
  std::copy(s.key_lengths.begin(), s.key_lengths.end(), lengths_in(s, data, at));
}

/// One head of f64 arrays: rows(i)[c].
struct HeadRows {
  double* first;
  std::int64_t row_stride;
  double* operator[](std::int64_t row) const { return first + row * row_stride; }

  void clear(std::int64_t rows, std::int64_t width) const {
    for (std::int64_t i = 0; i < rows; ++i) {
      std::fill_n((*this)[i], width, 0.0);
    }
  }
};

inline HeadRows head_rows(const HeadView& view, std::int64_t b, std::int64_t h) {
  return {view.head<double>(b, h), view.row_stride};
}

inline double inner_product(const double* x, const double* y, std::int64_t count) {
  double sum = 0;
  for (std::int64_t c = 0; c < count; ++c) {
    sum += x[c] * y[c];
  }
  return sum;
}

}  // namespace basin::kernels
