#include "tensor/functions/matmul.h"

#include <algorithm>

#include "kernels/gemm/gemm.h"
#include "tensor/check.h"
#include "tensor/workspace.h"

namespace basin {

namespace {

// A (batch, rows, cols) operand as the kernel wants it: one of its two matrix strides is 1.
struct Operand {
  Tensor tensor;
  bool transposed = false;
  std::int64_t leading = 0;
  std::int64_t batch_stride = 0;

  explicit Operand(const Tensor& source) : tensor(source) {
    if (!read_strides()) {
      tensor = source.contiguous();
      read_strides();
    }
  }

 private:
  bool read_strides() {
    const std::int64_t rows = tensor.size(-2);
    const std::int64_t cols = tensor.size(-1);
    const std::int64_t row_stride = rows == 1 ? cols : tensor.strides()[1];
    const std::int64_t col_stride = cols == 1 ? 1 : tensor.strides()[2];
    batch_stride = tensor.size(0) == 1 ? 0 : tensor.strides()[0];
    if (col_stride == 1 && row_stride >= std::max<std::int64_t>(1, cols)) {
      transposed = false;
      leading = row_stride;
      return true;
    }
    const std::int64_t single_column = cols == 1 ? rows : tensor.strides()[2];
    if ((rows == 1 || tensor.strides()[1] == 1) &&
        single_column >= std::max<std::int64_t>(1, rows)) {
      transposed = true;
      leading = single_column;
      return true;
    }
    return false;
  }
};

// bias (n) contiguous, or undefined.
void multiply(const Tensor& a3, const Tensor& b3, const Tensor& bias, Tensor& c,
              Precision precision, const char* where) {
  check_precision(where, precision, a3);
  const Operand a(a3);
  const Operand b(b3);
  kernels::Gemm p{};
  p.a = a.tensor.raw();
  p.b = b.tensor.raw();
  p.c = c.mutable_raw();
  p.m = a3.size(1);
  p.k = a3.size(2);
  p.n = b3.size(2);
  p.lda = std::max<std::int64_t>(1, a.leading);
  p.ldb = std::max<std::int64_t>(1, b.leading);
  p.ldc = std::max<std::int64_t>(1, p.n);
  p.transpose_a = a.transposed;
  p.transpose_b = b.transposed;
  p.bias = bias.defined() ? bias.raw() : nullptr;
  p.batch = a3.size(0);
  p.a_batch_stride = a.batch_stride;
  p.b_batch_stride = b.batch_stride;
  p.c_batch_stride = p.m * p.n;
  p.dtype = a3.dtype();
  p.precision = precision;
  const Device device = a3.device();
  Workspace workspace(
      on_device(device, [&](const auto& at) { return kernels::gemm_workspace(p, at); }), device);
  p.workspace = workspace.data();
  check(on_device(device, [&](const auto& at) { return kernels::gemm(p, at); }), where, a3, b3);
}

}  // namespace

Tensor fold_leading(const Tensor& x, int kept) {
  Shape shape = {1};
  for (int d = 0; d < x.rank(); ++d) {
    if (d < x.rank() - kept) {
      shape[0] *= x.shape()[d];
    } else {
      shape.push_back(x.shape()[d]);
    }
  }
  return x.reshape(shape);
}

Tensor matmul(const Tensor& a, const Tensor& b, Precision precision) {
  check_same_floating("matmul", a, b);
  if (a.rank() < 2 || b.rank() < 2 || a.size(-1) != b.size(-2)) {
    fail(
        "[matmul] the last dimension of the first operand must be the last but one of the second; "
        "got {} and {}",
        describe(a), describe(b));
  }
  Shape shape = a.shape();
  shape[shape.rank() - 1] = b.size(-1);
  Tensor c = Tensor::empty(shape, a.dtype(), a.device());
  if (b.rank() == 2) {
    // One tall product: the leading dimensions of a are just more rows, unless that needs a copy of
    // a transposed a.
    const Tensor rows = a.rank() == 2 ? a : fold_leading(a, 1);
    multiply(rows.unsqueeze(0), b.unsqueeze(0), {}, c, precision, "matmul");
    return c;
  }
  if (!std::equal(a.shape().begin(), a.shape().end() - 2, b.shape().begin(), b.shape().end() - 2)) {
    fail("[matmul] the leading dimensions differ: {} and {}", describe(a), describe(b));
  }
  multiply(fold_leading(a, 2), fold_leading(b, 2), {}, c, precision, "matmul");
  return c;
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, Precision precision) {
  check_same_floating("linear", x, weight);
  if (x.rank() < 1 || weight.rank() != 2 || x.size(-1) != weight.size(1)) {
    fail("[linear] x (..., in) and weight (out, in) do not fit: {} and {}", describe(x),
         describe(weight));
  }
  Shape shape = x.shape();
  shape[shape.rank() - 1] = weight.size(0);
  Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  if (bias.defined()) {
    check_same_floating("linear", x, bias);
    if (!(bias.shape() == Shape{weight.size(0)})) {
      fail("[linear] bias must be ({}), got {}", weight.size(0), describe(bias));
    }
  }
  multiply(fold_leading(x, 1).unsqueeze(0), weight.transpose(0, 1).unsqueeze(0),
           bias.defined() ? bias.contiguous() : Tensor(), y, precision, "linear");
  return y;
}

}  // namespace basin
