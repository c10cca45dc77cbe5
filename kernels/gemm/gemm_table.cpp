#include <algorithm>

#include "kernels/gemm/gemm.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels::gemm_table {

namespace {

using Role = CaseBuffer::Role;

struct Problem {
  std::int64_t m, n, k;
  bool transpose_a = false;
  bool transpose_b = false;
  std::int64_t batch = 1;
  std::int64_t gap = 0;  ///< elements between the end of a row and the start of the next
  double alpha = 1;
  double beta = 0;
  bool shared_b = false;  ///< one B for all batch items
  bool bias = false;
  Precision precision = Precision::f32;

  std::int64_t a_rows() const { return transpose_a ? k : m; }
  std::int64_t lda() const { return std::max<std::int64_t>(1, transpose_a ? m : k) + gap; }
  std::int64_t b_rows() const { return transpose_b ? n : k; }
  std::int64_t ldb() const { return std::max<std::int64_t>(1, transpose_b ? k : n) + gap; }
  std::int64_t ldc() const { return n + gap; }

  std::string name() const {
    std::string text = extents_name({m, n, k});
    text += transpose_a ? "_ta" : "";
    text += transpose_b ? "_tb" : "";
    if (batch != 1) {
      text.append("_batch").append(std::to_string(batch));
    }
    text += shared_b ? "_shared_b" : "";
    if (gap != 0) {
      text.append("_gap").append(std::to_string(gap));
    }
    text += alpha != 1 ? "_alpha" : "";
    text += beta != 0 ? "_beta" : "";
    text += precision_name(precision);
    return text;
  }
};

// Some have more than 2^20 multiplications, so that variant 2 cuts C into tiles.
constexpr Problem kProblems[] = {
    {.m = 1, .n = 1, .k = 1},
    {.m = 1, .n = 37, .k = 19},
    {.m = 37, .n = 1, .k = 19},
    {.m = 17, .n = 23, .k = 0},
    {.m = 17, .n = 23, .k = 0, .gap = 2, .beta = -0.5},
    {.m = 13, .n = 29, .k = 31, .transpose_a = true},
    {.m = 13, .n = 29, .k = 31, .transpose_b = true},
    {.m = 13, .n = 29, .k = 31, .transpose_a = true, .transpose_b = true, .gap = 3},
    {.m = 33, .n = 65, .k = 17, .gap = 5, .alpha = -1.5, .beta = 0.75},
    {.m = 33, .n = 65, .k = 17, .alpha = 0.5, .beta = 1},
    {.m = 9, .n = 11, .k = 7, .batch = 5},
    {.m = 9, .n = 11, .k = 7, .transpose_b = true, .batch = 5, .gap = 2, .beta = 1},
    {.m = 9, .n = 11, .k = 7, .batch = 4, .shared_b = true},
    {.m = 257, .n = 301, .k = 129},
    {.m = 14, .n = 35, .k = 260, .bias = true},
    {.m = 33, .n = 300, .k = 7, .transpose_b = true, .alpha = 2, .beta = -1, .bias = true},
    // A long sum over a small C, which is cut into parts.
    {.m = 35, .n = 33, .k = 2085, .transpose_a = true, .gap = 1, .beta = 1, .bias = true},
    {.m = 301, .n = 97, .k = 257, .transpose_a = true, .gap = 1, .alpha = 2, .beta = -1},
    {.m = 99, .n = 299, .k = 300, .transpose_b = true},
    {.m = 131, .n = 133, .k = 135, .transpose_a = true, .transpose_b = true, .batch = 3},
};

// In each precision with fewer bits than f32.
constexpr Problem kRoundedProblems[] = {
    {.m = 5, .n = 3, .k = 0, .gap = 1, .beta = 2},
    {.m = 13, .n = 29, .k = 31, .bias = true},
    {.m = 33, .n = 65, .k = 17, .transpose_a = true, .gap = 5, .alpha = -1.5, .beta = 0.75},
    {.m = 9, .n = 11, .k = 7, .transpose_b = true, .batch = 5, .gap = 2, .beta = 1},
    {.m = 9, .n = 11, .k = 7, .batch = 4, .shared_b = true},
    {.m = 131, .n = 133, .k = 135, .transpose_a = true, .transpose_b = true, .batch = 3},
    {.m = 35, .n = 33, .k = 2085, .transpose_a = true, .gap = 1, .beta = 1, .bias = true},
};

Gemm gemm_of(const Problem& s, DType dtype, int variant) {
  Gemm p{};
  p.m = s.m;
  p.n = s.n;
  p.k = s.k;
  p.lda = s.lda();
  p.ldb = s.ldb();
  p.ldc = s.ldc();
  p.transpose_a = s.transpose_a;
  p.transpose_b = s.transpose_b;
  p.alpha = s.alpha;
  p.beta = s.beta;
  p.batch = s.batch;
  p.a_batch_stride = s.a_rows() * s.lda();
  p.b_batch_stride = s.shared_b ? 0 : s.b_rows() * s.ldb();
  p.c_batch_stride = s.m * s.ldc();
  p.dtype = dtype;
  p.variant = variant;
  p.precision = s.precision;
  return p;
}

std::int64_t workspace_of(const Problem& s, const CpuContext& context) {
  return most_bytes_anywhere(3, context, [&](DType dtype, int variant, const auto& where) {
    return gemm_workspace(gemm_of(s, dtype, variant), where);
  });
}

// The definition; A and B are multiplied as `factor` sees them.
template <class Factor>
void multiply(const Problem& s, void* const* d, Factor factor) {
  for (std::int64_t g = 0; g < s.batch; ++g) {
    const double* a = doubles(d[0]) + g * s.a_rows() * s.lda();
    const double* b = doubles(d[1]) + (s.shared_b ? 0 : g * s.b_rows() * s.ldb());
    double* c = doubles(d[2]) + g * s.m * s.ldc();
    for (std::int64_t i = 0; i < s.m; ++i) {
      for (std::int64_t j = 0; j < s.n; ++j) {
        double sum = 0;
        for (std::int64_t l = 0; l < s.k; ++l) {
          sum += factor(s.transpose_a ? a[l * s.lda() + i] : a[i * s.lda() + l]) *
                 factor(s.transpose_b ? b[j * s.ldb() + l] : b[l * s.ldb() + j]);
        }
        double& to = c[i * s.ldc() + j];
        to = s.alpha * sum + (s.beta == 0 ? 0 : s.beta * to) + (s.bias ? doubles(d[4])[j] : 0);
      }
    }
  }
}

KernelCase gemm_case(const Problem& s, const CpuContext& context) {
  KernelCase result;
  result.name = s.name();
  // Where C is read, or has gaps that must stay as they are, it starts with numbers; otherwise with
  // NaN, which beta = 0 must not let through.
  const bool keeps_old = s.beta != 0 || s.gap != 0;
  const std::int64_t b_batch = s.shared_b ? 1 : s.batch;
  result.buffers = {{"a", Role::input, {s.batch, s.a_rows(), s.lda()}},
                    {"b", Role::input, {b_batch, s.b_rows(), s.ldb()}},
                    {"c", keeps_old ? Role::in_out : Role::output, {s.batch, s.m, s.ldc()}},
                    workspace_bytes("workspace", workspace_of(s, context)),
                    {"bias", Role::input, {s.bias ? s.n : 0}}};
  const auto run = [s](void* const* d, DType dtype, int variant, const auto& where) {
    Gemm p = gemm_of(s, dtype, variant);
    p.a = d[0];
    p.b = d[1];
    p.c = d[2];
    p.workspace = d[3];
    p.bias = s.bias ? d[4] : nullptr;
    return gemm(p, where);
  };
  result.run = run;
  set_device_runs(result, run);
  result.reference = [s](void* const* d) { multiply(s, d, [](double x) { return x; }); };
  if (s.precision != Precision::f32) {
    result.dtypes = {DType::f32};
    result.naive = [s](void* const* d) {
      multiply(s, d, [&](double x) { return naive_factor(x, s.precision); });
    };
  }
  const auto size = [](std::int64_t rows, std::int64_t columns) {
    return static_cast<double>(rows * columns);
  };
  const auto batch = static_cast<double>(s.batch);
  result.cost = {2 * batch * size(s.m, s.n) * static_cast<double>(s.k),
                 batch * (size(s.m, s.k) + size(s.m, s.n) * (s.beta == 0 ? 1 : 2)) +
                     static_cast<double>(b_batch) * size(s.k, s.n),
                 0, s.precision != Precision::f32};
  return result;
}

// Up to 2085 products of numbers below 1, in parts of 522 or fewer: partial sums are near 10, and
// their roundings (2^-24 or 2^-53 each, times alpha = 2) add up to 2e-5 where the whole is near 0.
const RegisterKernel entry(
    {"gemm",
     "C = alpha op(A) op(B) + beta C, batched",
     {{1, "loops", "the definition, one element of C at a time"},
      {2, "tiles", "OpenBLAS on tiles of C fixed by the shape"},
      {3, "panels", "B packed into panels, C in vector registers"}},
     [](const CpuContext& context) {
       std::vector<KernelCase> all;
       for (const Problem& s : kProblems) {
         all.push_back(gemm_case(s, context));
       }
       for (Problem s : kRoundedProblems) {
         for (const Precision precision : {Precision::tf32, Precision::bf16}) {
           s.precision = precision;
           all.push_back(gemm_case(s, context));
         }
       }
       return all;
     },
     4e-5,
     1e-13,
     {},
     {{1, "one element", "a thread for each element of C"},
      {2, "shared tiles", "a fetched number takes part in 16 products"},
      {3, "register tiles", "in 64 to 128; the next tile is copied behind the products"}}});

const RegisterSizes sizes("gemm",
                          {{"m", 1024, "rows of C"},
                           {"n", 1024, "columns of C"},
                           {"k", 1024, "products in a sum"},
                           {"batch", 1, "products"},
                           choice("ta", "A is stored transposed", {"0", "1"}),
                           choice("tb", "B is stored transposed", {"0", "1"}),
                           precision_choice()},
                          [](const Sizes& s, const CpuContext& context) {
                            return gemm_case(
                                {.m = s.at("m"),
                                 .n = s.at("n"),
                                 .k = s.at("k"),
                                 .transpose_a = s.at("ta") == 1,
                                 .transpose_b = s.at("tb") == 1,
                                 .batch = s.at("batch"),
                                 .precision = static_cast<Precision>(s.at("precision"))},
                                context);
                          });

}  // namespace

}  // namespace basin::kernels::gemm_table
