#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/elementwise/elementwise.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels::copy_table {

namespace {

using Role = CaseBuffer::Role;

// More elements than one chunk of a strided loop.
constexpr std::array<std::int64_t, 3> kExtents = {37, 53, 11};
constexpr std::int64_t kCount = 37 * 53 * 11;
constexpr std::array<std::int64_t, 3> kContiguous = {53 * 11, 11, 1};

Copy copy_of(const void* x, DType x_dtype, const std::array<std::int64_t, 3>& x_strides, void* y,
             DType y_dtype, const std::array<std::int64_t, 3>& y_strides) {
  Copy p{};
  p.x = x;
  p.y = y;
  p.rank = 3;
  for (std::size_t d = 0; d < 3; ++d) {
    p.extents[d] = kExtents[d];
    p.x_strides[d] = x_strides[d];
    p.y_strides[d] = y_strides[d];
  }
  p.x_dtype = x_dtype;
  p.y_dtype = y_dtype;
  return p;
}

// x in one order of dimensions, y in another.
KernelCase strided_case(const char* name, std::array<std::int64_t, 3> x_strides,
                        std::array<std::int64_t, 3> y_strides) {
  KernelCase result;
  result.name = name;
  result.buffers = {{"x", Role::input, {kCount}}, {"y", Role::output, {kCount}}};
  run_on_all_devices(
      result, [x_strides, y_strides](void* const* d, DType dtype, const auto& context) {
        return copy(copy_of(d[0], dtype, x_strides, d[1], dtype, y_strides), context);
      });
  result.reference = [x_strides, y_strides](void* const* d) {
    for (std::int64_t i = 0; i < kExtents[0]; ++i) {
      for (std::int64_t j = 0; j < kExtents[1]; ++j) {
        for (std::int64_t k = 0; k < kExtents[2]; ++k) {
          doubles(d[1])[i * y_strides[0] + j * y_strides[1] + k * y_strides[2]] =
              doubles(d[0])[i * x_strides[0] + j * x_strides[1] + k * x_strides[2]];
        }
      }
    }
  };
  result.cost = {0, 2 * kCount, 0};
  return result;
}

// x to `via` and back: what is left is what `via` can hold.
KernelCase conversion_case(const char* name, DType via, double (*rounded)(double)) {
  KernelCase result;
  result.name = name;
  result.buffers = {{"x", Role::input, {kCount}, -40, 40},
                    {"y", Role::output, {kCount}},
                    workspace_bytes("converted", kCount * 8)};
  if (via == DType::u8 || via == DType::boolean) {
    result.buffers[0].low = 0;  // a negative number has no unsigned value
  }
  run_on_all_devices(result, [via](void* const* d, DType dtype, const auto& context) {
    const Status status = copy(copy_of(d[0], dtype, kContiguous, d[2], via, kContiguous), context);
    return status.ok() ? copy(copy_of(d[2], via, kContiguous, d[1], dtype, kContiguous), context)
                       : status;
  });
  result.reference = [rounded](void* const* d) {
    for (std::int64_t i = 0; i < kCount; ++i) {
      doubles(d[1])[i] = rounded(doubles(d[0])[i]);
    }
  };
  result.cost = {0, 3 * kCount, 0};
  return result;
}

// The nearest number, ties to even, of a binary format with `digits` significant bits whose
// smallest normal number is 2^lowest. The inputs stay far from its largest.
double nearest(double x, int digits, int lowest) {
  if (x == 0) {
    return 0;
  }
  int exponent = 0;
  std::frexp(x, &exponent);  // |x| in [2^(exponent - 1), 2^exponent)
  const int last = std::max(exponent - 1, lowest) - (digits - 1);
  return std::ldexp(std::nearbyint(std::ldexp(x, -last)), last);
}

KernelCase fill_case(std::int64_t count) {
  KernelCase result;
  result.name = std::to_string(count);
  result.buffers = {{"y", Role::output, {count}}};
  run_on_all_devices(result, [count](void* const* d, DType dtype, const auto& context) {
    return fill({d[0], count, -0.375, dtype}, context);
  });
  result.reference = [count](void* const* d) { std::fill_n(doubles(d[0]), count, -0.375); };
  result.cost = {0, static_cast<double>(count), 0};
  return result;
}

std::vector<KernelCase> copy_cases(const CpuContext&) {
  return {
      strided_case("contiguous", kContiguous, kContiguous),
      strided_case("transposed", {1, 37, 37 * 53}, kContiguous),
      strided_case("heads", {53 * 11, 11, 1}, {11, 37 * 11, 1}),
      strided_case("broadcast", {11, 0, 1}, kContiguous),
      conversion_case("bf16", DType::bf16, [](double x) { return nearest(x, 8, -126); }),
      conversion_case("f16", DType::f16, [](double x) { return nearest(x, 11, -14); }),
      conversion_case("f32", DType::f32, [](double x) { return nearest(x, 24, -126); }),
      conversion_case("f64", DType::f64, [](double x) { return x; }),
      conversion_case("i32", DType::i32, [](double x) { return std::trunc(x); }),
      conversion_case("i64", DType::i64, [](double x) { return std::trunc(x); }),
      conversion_case("u8", DType::u8, [](double x) { return std::trunc(x); }),
      conversion_case("bool", DType::boolean, [](double x) { return x != 0 ? 1.0 : 0.0; }),
  };
}

// Copies and conversions are exact or rounded once: no tolerance.
const RegisterKernel copy_entry({"copy",
                                 "strided copy with conversion between any two dtypes",
                                 {{1, "rows", "merged dimensions, memcpy for contiguous rows"}},
                                 copy_cases,
                                 0.0,
                                 0.0});

const RegisterKernel fill_entry({"fill",
                                 "y = a constant",
                                 {{1, "loop", "one contiguous loop"}},
                                 [](const CpuContext&) { return std::vector{fill_case(70001)}; },
                                 0.0,
                                 0.0});

// A matrix, row by row or column by column, into rows.
KernelCase matrix_case(std::int64_t rows, std::int64_t cols, bool transposed) {
  KernelCase result;
  result.buffers = {{"x", Role::input, {rows, cols}}, {"y", Role::output, {rows, cols}}};
  run_on_all_devices(result, [=](void* const* d, DType dtype, const auto& context) {
    Copy p{};
    p.x = d[0];
    p.y = d[1];
    p.rank = 2;
    p.extents[0] = rows;
    p.extents[1] = cols;
    p.x_strides[0] = transposed ? 1 : cols;
    p.x_strides[1] = transposed ? rows : 1;
    p.y_strides[0] = cols;
    p.y_strides[1] = 1;
    p.x_dtype = dtype;
    p.y_dtype = dtype;
    return copy(p, context);
  });
  result.reference = [=](void* const* d) {
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t j = 0; j < cols; ++j) {
        doubles(d[1])[i * cols + j] = doubles(d[0])[transposed ? j * rows + i : i * cols + j];
      }
    }
  };
  result.cost = {0, 2 * static_cast<double>(rows * cols), 0};
  return result;
}

const RegisterSizes copy_sizes("copy",
                               {{"rows", 8192, "rows"},
                                {"cols", 1024, "columns"},
                                choice("order", "of the source", {"rows", "transposed"})},
                               [](const Sizes& s, const CpuContext&) {
                                 return matrix_case(s.at("rows"), s.at("cols"), s.at("order") == 1);
                               });
const RegisterSizes fill_sizes("fill", {{"n", 1 << 24, "elements"}},
                               [](const Sizes& s, const CpuContext&) {
                                 return fill_case(s.at("n"));
                               });

}  // namespace

}  // namespace basin::kernels::copy_table
