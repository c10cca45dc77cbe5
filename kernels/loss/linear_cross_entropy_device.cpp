// linear_cross_entropy on a GPU: blocks of rows, whose logits gemm() makes, one kernel turns into
// losses and slopes, and gemm() uses. The host knows no target, so rows that are ignored take part
// in the products, as zeros.
#include <algorithm>

#include "kernels/loss/linear_products.h"
#include "kernels/loss/linear_rows.h"

namespace basin::kernels {

namespace {

constexpr std::int64_t kAlignment = 256;

// Blocks of nearly equal height: a low last one would use a GPU badly.
std::int64_t rows_of_block(const LinearCrossEntropy& p) {
  const std::int64_t most =
      std::max<std::int64_t>(96, p.most_logits / std::max<std::int64_t>(1, p.classes));
  const std::int64_t rows = std::max<std::int64_t>(1, p.rows);
  const std::int64_t blocks = (rows + most - 1) / most;
  return (rows + blocks - 1) / blocks;
}

std::int64_t aligned(std::int64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// Bytes of the two arrays in front of the workspace of the products.
struct Sizes {
  std::int64_t x, logits;

  explicit Sizes(const LinearCrossEntropy& p) {
    const std::int64_t size = rows_of_block(p) * static_cast<std::int64_t>(size_of(p.dtype));
    x = aligned(size * p.width);
    logits = aligned(size * p.classes);
  }
};

template <class Context>
std::int64_t workspace(const LinearCrossEntropy& p, const Context& context) {
  const Sizes sizes(p);
  const std::int64_t rows = rows_of_block(p);
  // The last block has fewer rows, and a product of another shape may need more room.
  const std::int64_t last = p.rows - (p.rows - 1) / rows * rows;
  std::int64_t products = 0;
  for (const std::int64_t height : {rows, std::clamp<std::int64_t>(last, 1, rows)}) {
    products = std::max(products, LinearProducts(p, height).workspace(context));
  }
  return sizes.x + sizes.logits + products;
}

const void* plus(const void* data, std::int64_t elements, DType dtype) {
  return static_cast<const char*>(data) + elements * static_cast<std::int64_t>(size_of(dtype));
}
void* plus(void* data, std::int64_t elements, DType dtype) {
  return static_cast<char*>(data) + elements * static_cast<std::int64_t>(size_of(dtype));
}

Status check(const LinearCrossEntropy& p) {
  if (p.rows < 0 || p.width <= 0 || p.classes <= 0) {
    return Status::invalid("linear_cross_entropy: negative rows, or no width or classes");
  }
  if (p.variant < 0 || p.variant > 2) {
    return Status::invalid("linear_cross_entropy: variants are 0, 1 and 2");
  }
  if ((p.dx == nullptr) != (p.dweight == nullptr) || (p.dx == nullptr && p.dbias != nullptr)) {
    return Status::invalid("linear_cross_entropy: all gradients or none");
  }
  if (p.precision != Precision::f32 && p.dtype != DType::f32) {
    return Status::unsupported("linear_cross_entropy: factors in tf32 or bf16 come from f32");
  }
  if (p.dtype != DType::f32 && p.dtype != DType::f64) {
    return Status::unsupported("arithmetic needs f32 or f64");
  }
  return {};
}

// Rows begin ... begin + rows - 1.
template <class Context>
Status run_block(const LinearCrossEntropy& p, std::int64_t begin, std::int64_t rows,
                 const Context& context) {
  const Sizes sizes(p);
  char* const x = static_cast<char*>(p.workspace);
  char* const logits = x + sizes.x;
  char* const scratch = logits + sizes.logits;
  const std::int64_t* const targets = p.targets + begin;
  const bool slopes = p.dx != nullptr;
  Status status =
      linear_counted_rows(LinearCountedRows{plus(p.x, begin * p.width, p.dtype), x, targets, rows,
                                            p.width, p.ignore_index, p.dtype},
                          context);
  LinearProducts products(p, rows);
  products.logits.a = x;
  products.logits.b = p.weight;
  products.logits.c = logits;
  products.logits.bias = p.bias;
  products.logits.workspace = scratch;
  if (status.ok()) {
    status = gemm(products.logits, context);
  }
  if (status.ok()) {
    status = linear_judged_rows(LinearJudgedRows{logits, targets, plus(p.row_loss, begin, p.dtype),
                                                 rows, p.classes, p.ignore_index, p.label_smoothing,
                                                 p.scale, slopes, p.dtype, p.scale_pointer},
                                context);
  }
  if (!status.ok() || !slopes) {
    return status;
  }
  products.dx.a = logits;
  products.dx.b = p.weight;
  products.dx.c = plus(p.dx, begin * p.width, p.dtype);
  products.dweight.a = logits;
  products.dweight.b = x;
  products.dweight.c = p.dweight;
  products.dweight.beta = begin == 0 ? 0.0 : 1.0;
  products.dx.workspace = products.dweight.workspace = scratch;
  status = gemm(products.dx, context);
  if (status.ok()) {
    status = gemm(products.dweight, context);
  }
  if (status.ok() && p.dbias != nullptr) {
    status = linear_column_sums(
        LinearColumnSums{logits, p.dbias, rows, p.classes, begin > 0, p.dtype}, context);
  }
  return status;
}

template <class Context>
Status run(const LinearCrossEntropy& p, const Context& context) {
  Status status = check(p);
  if (!status.ok()) {
    return status;
  }
  if (p.rows == 0 && p.dx != nullptr) {
    LinearProducts nothing(p, 0);
    nothing.dweight.c = p.dweight;
    nothing.dweight.workspace = p.workspace;
    status = gemm(nothing.dweight, context);
    if (status.ok() && p.dbias != nullptr) {
      status = linear_column_sums(LinearColumnSums{nullptr, p.dbias, 0, p.classes, false, p.dtype},
                                  context);
    }
  }
  const std::int64_t block = rows_of_block(p);
  for (std::int64_t begin = 0; status.ok() && begin < p.rows; begin += block) {
    status = run_block(p, begin, std::min(block, p.rows - begin), context);
  }
  return status;
}

}  // namespace

std::int64_t linear_cross_entropy_workspace(const LinearCrossEntropy& p,
                                            const SimtContext& context) {
  return workspace(p, context);
}
Status linear_cross_entropy(const LinearCrossEntropy& p, const SimtContext& context) {
  return run(p, context);
}

#ifdef BASIN_WITH_CUDA
std::int64_t linear_cross_entropy_workspace(const LinearCrossEntropy& p,
                                            const CudaContext& context) {
  return workspace(p, context);
}
Status linear_cross_entropy(const LinearCrossEntropy& p, const CudaContext& context) {
  return run(p, context);
}
#endif

}  // namespace basin::kernels
