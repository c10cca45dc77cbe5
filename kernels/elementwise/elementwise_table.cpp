// The table entries of the operations of unary_table.inc and binary_table.inc: a new line there is
// a new case here. The value in double is the definition (libm, no polynomials); derivatives are
// checked against differences of that value, which know nothing of the derivative column.
#include <array>
#include <cmath>

#include "kernels/elementwise/elementwise.h"
#include "kernels/elementwise/functors.h"
#include "kernels/table/case_arrays.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels::elementwise_table {

namespace {

using Role = CaseBuffer::Role;

// Odd, and above the 16384 elements of one chunk.
constexpr std::int64_t kCount = 20011;

double value_of(UnaryOp op, double x) {
  double y = 0;
  functors::dispatch(op, [&]<class Op>(Op) {
    y = Op::value(x);
    return Status{};
  });
  return y;
}

double value_of(BinaryOp op, double a, double b) {
  double y = 0;
  functors::dispatch(op, [&]<class Op>(Op) {
    y = Op::value(a, b);
    return Status{};
  });
  return y;
}

// f'(x) by the five-point formula, error h^4 f^(5) / 30: below 1e-10 relative on the test domains
// (the worst is 1/x at 0.2), with 1e-12 of rounding.
template <class F>
double slope(F&& f, double x) {
  constexpr double h = 2e-4;
  return (f(x - 2 * h) - 8 * f(x - h) + 8 * f(x + h) - f(x + 2 * h)) / (12 * h);
}

// How many values of exp, tanh, erf, sin or log one value takes, and one derivative beyond the
// value.
struct Exponentials {
  double value, derivative;
};
Exponentials exponentials(UnaryOp op) {
  switch (op) {
    case UnaryOp::exp:
    case UnaryOp::log:
    case UnaryOp::tanh:
    case UnaryOp::sigmoid:
    case UnaryOp::elu: return {1, 0};
    case UnaryOp::sin:
    case UnaryOp::cos:
    case UnaryOp::silu:
    case UnaryOp::gelu:
    case UnaryOp::gelu_tanh: return {1, 1};
    case UnaryOp::softplus: return {2, 1};
    default: return {0, 0};
  }
}

// How many of x and y the derivative reads.
int read_by_derivative(UnaryOp op) { return op == UnaryOp::neg ? 0 : (op == UnaryOp::elu ? 2 : 1); }

KernelCase unary_forward_case(UnaryOp op, std::int64_t count) {
  KernelCase result;
  result.name = info(op).name;
  result.buffers = {{"x", Role::input, {count}, info(op).low, info(op).high},
                    {"y", Role::output, {count}}};
  run_on_all_devices(result, [op, count](void* const* d, DType dtype, const auto& context) {
    return unary_forward({op, d[0], d[1], count, dtype}, context);
  });
  result.reference = [op, count](void* const* d) {
    for (std::int64_t i = 0; i < count; ++i) {
      doubles(d[1])[i] = value_of(op, doubles(d[0])[i]);
    }
  };
  const auto n = static_cast<double>(count);
  result.cost = {n, 2 * n, n * exponentials(op).value};
  return result;
}

KernelCase unary_backward_case(UnaryOp op, std::int64_t count) {
  KernelCase result;
  result.name = info(op).name;
  result.buffers = {{"x", Role::input, {count}, info(op).low, info(op).high},
                    {"y", Role::input, {count}},
                    {"dy", Role::input, {count}},
                    {"dx", Role::output, {count}}};
  result.prepare = [op, count](void* const* d, DType dtype, const CpuContext& context) {
    return unary_forward({op, d[0], d[1], count, dtype}, context);
  };
  run_on_all_devices(result, [op, count](void* const* d, DType dtype, const auto& context) {
    return unary_backward({op, d[0], d[1], d[2], d[3], count, dtype}, context);
  });
  result.reference = [op, count](void* const* d) {
    for (std::int64_t i = 0; i < count; ++i) {
      doubles(d[3])[i] =
          doubles(d[2])[i] * slope([op](double x) { return value_of(op, x); }, doubles(d[0])[i]);
    }
  };
  const auto n = static_cast<double>(count);
  result.cost = {2 * n, (2 + read_by_derivative(op)) * n, n * exponentials(op).derivative};
  return result;
}

// How the two operands of a binary operation lie in memory. The extents make more elements than one
// chunk, so that chunks begin inside rows.
struct Layout {
  const char* name;
  std::array<std::int64_t, 3> extents;
  std::array<std::int64_t, 3> a_strides;
  std::array<std::int64_t, 3> b_strides;
  std::int64_t a_count;
  std::int64_t b_count;

  std::int64_t count() const { return extents[0] * extents[1] * extents[2]; }
};

constexpr Layout kLayouts[] = {
    {"contiguous", {7, 61, 43}, {61 * 43, 43, 1}, {61 * 43, 43, 1}, 7 * 61 * 43, 7 * 61 * 43},
    {"row", {7, 61, 43}, {61 * 43, 43, 1}, {0, 0, 1}, 7 * 61 * 43, 43},
    {"column", {7, 61, 43}, {61 * 43, 43, 1}, {61, 1, 0}, 7 * 61 * 43, 7 * 61},
    {"middle", {7, 61, 43}, {43, 0, 1}, {61 * 43, 43, 1}, 7 * 43, 7 * 61 * 43},
    {"scalar", {7, 61, 43}, {0, 0, 0}, {61 * 43, 43, 1}, 1, 7 * 61 * 43},
    {"outer", {1, 131, 137}, {0, 1, 0}, {0, 0, 1}, 131, 137},
    {"transposed", {7, 61, 43}, {1, 7, 7 * 61}, {43, 7 * 43, 1}, 7 * 61 * 43, 7 * 61 * 43},
};

// Calls function(flat index of y, offset in a, offset in b).
template <class F>
void for_each_element(const Layout& layout, F&& function) {
  std::int64_t at = 0;
  for (std::int64_t i = 0; i < layout.extents[0]; ++i) {
    for (std::int64_t j = 0; j < layout.extents[1]; ++j) {
      for (std::int64_t k = 0; k < layout.extents[2]; ++k, ++at) {
        function(at, i * layout.a_strides[0] + j * layout.a_strides[1] + k * layout.a_strides[2],
                 i * layout.b_strides[0] + j * layout.b_strides[1] + k * layout.b_strides[2]);
      }
    }
  }
}

template <class P>
void set_layout(P& p, const Layout& layout) {
  p.rank = 3;
  for (std::size_t d = 0; d < 3; ++d) {
    p.extents[d] = layout.extents[d];
    p.a_strides[d] = layout.a_strides[d];
    p.b_strides[d] = layout.b_strides[d];
  }
}

// a on multiples of 1/64 and b between them: no pair comes near the kink a = b of max and min,
// where a difference is no derivative.
void separate(void* const* d, DType dtype, const Layout& layout) {
  const auto snap = [dtype](void* data, std::int64_t count, double offset) {
    for (std::int64_t i = 0; i < count; ++i) {
      set_element(data, dtype, i, (std::floor(element(data, dtype, i) * 64) + offset) / 64);
    }
  };
  snap(d[0], layout.a_count, 0.0);
  snap(d[1], layout.b_count, 0.5);
}

KernelCase binary_forward_case(BinaryOp op, const Layout& layout) {
  KernelCase result;
  result.name = std::string(info(op).name) + "_" + layout.name;
  result.buffers = {{"a", Role::input, {layout.a_count}, info(op).low, info(op).high},
                    {"b", Role::input, {layout.b_count}, info(op).low, info(op).high},
                    {"y", Role::output, {layout.count()}}};
  run_on_all_devices(result, [op, layout](void* const* d, DType dtype, const auto& context) {
    BinaryForward p{};
    set_layout(p, layout);
    p.op = op;
    p.a = d[0];
    p.b = d[1];
    p.y = d[2];
    p.dtype = dtype;
    return binary_forward(p, context);
  });
  result.reference = [op, layout](void* const* d) {
    for_each_element(layout, [&](std::int64_t y, std::int64_t a, std::int64_t b) {
      doubles(d[2])[y] = value_of(op, doubles(d[0])[a], doubles(d[1])[b]);
    });
  };
  const auto n = static_cast<double>(layout.count());
  result.cost = {n, n + static_cast<double>(layout.a_count + layout.b_count), 0};
  return result;
}

KernelCase binary_backward_case(BinaryOp op, const Layout& layout) {
  KernelCase result;
  result.name = std::string(info(op).name) + "_" + layout.name;
  result.buffers = {{"a", Role::input, {layout.a_count}, info(op).low, info(op).high},
                    {"b", Role::input, {layout.b_count}, info(op).low, info(op).high},
                    {"dy", Role::input, {layout.count()}},
                    {"da", Role::output, {layout.count()}},
                    {"db", Role::output, {layout.count()}}};
  result.prepare = [layout](void* const* d, DType dtype, const CpuContext&) {
    separate(d, dtype, layout);
    return Status{};
  };
  run_on_all_devices(result, [op, layout](void* const* d, DType dtype, const auto& context) {
    BinaryBackward p{};
    set_layout(p, layout);
    p.op = op;
    p.a = d[0];
    p.b = d[1];
    p.dy = d[2];
    p.da = d[3];
    p.db = d[4];
    p.dtype = dtype;
    return binary_backward(p, context);
  });
  result.reference = [op, layout](void* const* d) {
    for_each_element(layout, [&](std::int64_t y, std::int64_t at_a, std::int64_t at_b) {
      const double a = doubles(d[0])[at_a];
      const double b = doubles(d[1])[at_b];
      const double dy = doubles(d[2])[y];
      doubles(d[3])[y] = dy * slope([&](double u) { return value_of(op, u, b); }, a);
      doubles(d[4])[y] = dy * slope([&](double v) { return value_of(op, a, v); }, b);
    });
  };
  const auto n = static_cast<double>(layout.count());
  result.cost = {2 * n, 3 * n + static_cast<double>(layout.a_count + layout.b_count), 0};
  return result;
}

KernelCase affine_case(std::int64_t count) {
  KernelCase result;
  result.name = std::to_string(count);
  result.buffers = {{"x", Role::input, {count}}, {"y", Role::output, {count}}};
  run_on_all_devices(result, [count](void* const* d, DType dtype, const auto& context) {
    return affine({d[0], d[1], count, 1.7, -0.3, dtype}, context);
  });
  result.reference = [count](void* const* d) {
    for (std::int64_t i = 0; i < count; ++i) {
      doubles(d[1])[i] = 1.7 * doubles(d[0])[i] - 0.3;
    }
  };
  const auto n = static_cast<double>(count);
  result.cost = {2 * n, 2 * n, 0};
  return result;
}

std::vector<KernelCase> unary_cases(KernelCase (*make)(UnaryOp, std::int64_t)) {
  std::vector<KernelCase> all;
  for (int op = 0; op < static_cast<int>(UnaryOp::count); ++op) {
    all.push_back(make(static_cast<UnaryOp>(op), kCount));
  }
  return all;
}

std::vector<KernelCase> binary_cases(KernelCase (*make)(BinaryOp, const Layout&)) {
  std::vector<KernelCase> all;
  for (int op = 0; op < static_cast<int>(BinaryOp::count); ++op) {
    for (const Layout& layout : kLayouts) {
      all.push_back(make(static_cast<BinaryOp>(op), layout));
    }
  }
  return all;
}

// f32: a few roundings of values up to 20, plus 3e-7 absolute in erf, which gelu multiplies by x/2.
const RegisterKernel unary_forward_entry(
    {"unary_forward",
     "y = op(x), one case for each line of unary_table.inc",
     {{1, "loop", "one contiguous loop: the compiler's vectors, or ours (vector_forms-inl.h)"}},
     [](const CpuContext&) { return unary_cases(unary_forward_case); },
     2e-6,
     1e-15});

// f64: the error of the differences, not of the kernel.
const RegisterKernel unary_backward_entry(
    {"unary_backward",
     "dx = dy op'(x), one case for each line of unary_table.inc",
     {{1, "loop", "one contiguous loop: the compiler's vectors, or ours (vector_forms-inl.h)"}},
     [](const CpuContext&) { return unary_cases(unary_backward_case); },
     2e-6,
     1e-10});

const RegisterKernel binary_forward_entry(
    {"binary_forward",
     "y = op(a, b) with broadcasting, every line of binary_table.inc in every layout",
     {{1, "rows", "merged dimensions, loops of their own for stride 1 and 0"}},
     [](const CpuContext&) { return binary_cases(binary_forward_case); },
     5e-7,
     1e-15});

const RegisterKernel binary_backward_entry(
    {"binary_backward",
     "da = dy op_a(a, b) and db = dy op_b(a, b) before the sum over broadcast dimensions",
     {{1, "rows", "merged dimensions, loops of their own for stride 1 and 0"}},
     [](const CpuContext&) { return binary_cases(binary_backward_case); },
     1e-6,
     2e-11});

const RegisterKernel affine_entry({"affine",
                                   "y = scale x + shift",
                                   {{1, "loop", "one contiguous loop"}},
                                   [](const CpuContext&) {
                                     return std::vector{affine_case(kCount)};
                                   },
                                   5e-7,
                                   1e-15});

template <class Op>
std::vector<std::string> names() {
  std::vector<std::string> all;
  for (int op = 0; op < static_cast<int>(Op::count); ++op) {
    all.emplace_back(info(static_cast<Op>(op)).name);
  }
  return all;
}

template <KernelCase (*make)(UnaryOp, std::int64_t)>
KernelCase sized_unary(const Sizes& s, const CpuContext&) {
  return make(static_cast<UnaryOp>(s.at("op")), s.at("n"));
}

std::vector<SizeParameter> unary_sizes() {
  return {{"n", 1 << 23, "elements"},
          choice("op", "line of unary_table.inc", names<UnaryOp>(),
                 static_cast<std::int64_t>(UnaryOp::gelu))};
}

// b as large as a, one row of it, one column of it, or one number.
template <KernelCase (*make)(BinaryOp, const Layout&)>
KernelCase sized_binary(const Sizes& s, const CpuContext&) {
  const std::int64_t rows = s.at("rows");
  const std::int64_t cols = s.at("cols");
  const std::int64_t b = s.at("b");
  const std::int64_t row_stride = b == 0 ? cols : (b == 2 ? 1 : 0);
  const std::int64_t column_stride = b <= 1 ? 1 : 0;
  const std::int64_t counts[] = {rows * cols, cols, rows, 1};
  return make(static_cast<BinaryOp>(s.at("op")), {"",
                                                  {1, rows, cols},
                                                  {rows * cols, cols, 1},
                                                  {0, row_stride, column_stride},
                                                  rows * cols,
                                                  counts[b]});
}

std::vector<SizeParameter> binary_sizes() {
  return {{"rows", 8192, "rows"},
          {"cols", 1024, "columns"},
          choice("op", "line of binary_table.inc", names<BinaryOp>()),
          choice("b", "what the second operand has", {"all", "row", "column", "scalar"})};
}

const RegisterSizes unary_forward_sizes("unary_forward", unary_sizes(),
                                        sized_unary<unary_forward_case>);
const RegisterSizes unary_backward_sizes("unary_backward", unary_sizes(),
                                         sized_unary<unary_backward_case>);
const RegisterSizes binary_forward_sizes("binary_forward", binary_sizes(),
                                         sized_binary<binary_forward_case>);
const RegisterSizes binary_backward_sizes("binary_backward", binary_sizes(),
                                          sized_binary<binary_backward_case>);
const RegisterSizes affine_sizes("affine", {{"n", 1 << 23, "elements"}},
                                 [](const Sizes& s, const CpuContext&) {
                                   return affine_case(s.at("n"));
                                 });

}  // namespace

}  // namespace basin::kernels::elementwise_table
