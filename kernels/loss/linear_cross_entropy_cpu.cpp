#include "kernels/loss/linear_cross_entropy.h"

#include <algorithm>
#include <cstdint>

#include "kernels/common/dispatch.h"
#include "kernels/loss/cross_entropy.h"
#include "kernels/loss/linear_cross_entropy_tiles.h"
#include "kernels/loss/linear_products.h"
#include "kernels/simd/isa.h"

namespace basin::kernels {

namespace {

// Tiles pay off once a row of logits is long; short rows have too few tiles for several threads.
constexpr std::int64_t kFewClasses = 1024;

int variant_of(const LinearCrossEntropy& p) {
  if (p.variant != 0) {
    return p.variant;
  }
  return p.classes <= kFewClasses || isa() == Isa::baseline ? 1 : 2;
}

std::int64_t rows_of_block(const LinearCrossEntropy& p) {
  const std::int64_t most =
      std::max<std::int64_t>(96, p.most_logits / std::max<std::int64_t>(1, p.classes));
  return std::min(most, std::max<std::int64_t>(1, p.rows));
}

template <class T>
void add_bias(T* logits, const T* bias, std::int64_t rows, std::int64_t classes,
              const CpuContext& context) {
  for_ranges(context, rows, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      for (std::int64_t c = 0; c < classes; ++c) {
        logits[r * classes + c] += bias[c];
      }
    }
  });
}

template <class T>
void sum_rows(const T* x, T* sum, std::int64_t rows, std::int64_t columns, bool adds,
              const CpuContext& context) {
  for_ranges(context, columns, 256, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t c = begin; c < end; ++c) {
      sum[c] = adds ? sum[c] : T(0);
    }
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t c = begin; c < end; ++c) {
        sum[c] += x[r * columns + c];
      }
    }
  });
}

template <class T>
Status stored_blocks(const LinearCrossEntropy& p, const CpuContext& context) {
  const std::int64_t block = rows_of_block(p);
  T* x = static_cast<T*>(p.workspace);
  T* dx = x + block * p.width;
  T* logits = dx + block * p.width;
  T* loss = logits + block * p.classes;
  T* lse = loss + block;
  auto* targets = reinterpret_cast<std::int64_t*>(
      (reinterpret_cast<std::uintptr_t>(lse + block) + 63) / 64 * 64);
  std::int64_t* numbers = targets + block;
  void* workspace = numbers + block;
  const T* source = static_cast<const T*>(p.x);
  T* row_loss = static_cast<T*>(p.row_loss);
  bool is_first = true;
  for (std::int64_t at = 0; at < p.rows;) {
    std::int64_t rows = 0;
    for (; at < p.rows && rows < block; ++at) {
      row_loss[at] = T(0);
      if (p.targets[at] == p.ignore_index) {
        if (p.dx != nullptr) {
          std::fill_n(static_cast<T*>(p.dx) + at * p.width, p.width, T(0));
        }
        continue;
      }
      std::copy_n(source + at * p.width, p.width, x + rows * p.width);
      targets[rows] = p.targets[at];
      numbers[rows++] = at;
    }
    if (rows == 0) {
      break;  // nothing but ignored rows was left
    }
    LinearProducts products(p, rows);
    products.logits.a = x;
    products.logits.b = p.weight;
    products.logits.c = logits;
    products.logits.workspace = workspace;
    if (const Status status = gemm(products.logits, context); !status.ok()) {
      return status;
    }
    if (p.bias != nullptr) {
      add_bias(logits, static_cast<const T*>(p.bias), rows, p.classes, context);
    }
    Status status = cross_entropy_forward(
        {logits, targets, loss, lse, rows, p.classes, -1, p.label_smoothing, p.dtype}, context);
    for (std::int64_t r = 0; r < rows; ++r) {
      row_loss[numbers[r]] = loss[r];
    }
    if (!status.ok()) {
      return status;
    }
    if (p.dx == nullptr) {
      continue;
    }
    status = cross_entropy_backward(
        {logits, targets, lse, logits, rows, p.classes, -1, p.label_smoothing, p.scale, p.dtype},
        context);
    products.dx.a = logits;
    products.dx.b = p.weight;
    products.dx.c = dx;
    products.dx.workspace = workspace;
    products.dweight.a = logits;
    products.dweight.b = x;
    products.dweight.c = p.dweight;
    products.dweight.beta = is_first ? 0.0 : 1.0;
    products.dweight.workspace = workspace;
    for (const Gemm* call : {&products.dx, &products.dweight}) {
      if (status.ok()) {
        status = gemm(*call, context);
      }
    }
    if (!status.ok()) {
      return status;
    }
    if (p.dbias != nullptr) {
      sum_rows(logits, static_cast<T*>(p.dbias), rows, p.classes, !is_first, context);
    }
    for (std::int64_t r = 0; r < rows; ++r) {
      std::copy_n(dx + r * p.width, p.width, static_cast<T*>(p.dx) + numbers[r] * p.width);
    }
    is_first = false;
  }
  return {};
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
  for (std::int64_t r = 0; r < p.rows; ++r) {
    if (p.targets[r] != p.ignore_index && (p.targets[r] < 0 || p.targets[r] >= p.classes)) {
      return Status::invalid("linear_cross_entropy: a target lies outside the classes", r);
    }
  }
  return {};
}

}  // namespace

std::int64_t linear_cross_entropy_workspace(const LinearCrossEntropy& p,
                                            const CpuContext& context) {
  if (variant_of(p) == 2) {
    return linear_cross_entropy_tiles_workspace(p, context);
  }
  const std::int64_t rows = rows_of_block(p);
  const auto size = static_cast<std::int64_t>(size_of(p.dtype));
  return rows * (2 * p.width + p.classes + 2) * size + 64 +
         2 * rows * static_cast<std::int64_t>(sizeof(std::int64_t)) +
         LinearProducts(p, rows).workspace(context);
}

Status linear_cross_entropy(const LinearCrossEntropy& p, const CpuContext& context) {
  if (const Status status = check(p); !status.ok()) {
    return status;
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const bool counts = std::any_of(p.targets, p.targets + p.rows,
                                    [&](std::int64_t target) { return target != p.ignore_index; });
    if (!counts && p.dx != nullptr) {
      std::fill_n(static_cast<T*>(p.dweight), p.classes * p.width, T(0));
      if (p.dbias != nullptr) {
        std::fill_n(static_cast<T*>(p.dbias), p.classes, T(0));
      }
    }
    if (!counts) {
      std::fill_n(static_cast<T*>(p.row_loss), p.rows, T(0));
      if (p.dx != nullptr) {
        std::fill_n(static_cast<T*>(p.dx), p.rows * p.width, T(0));
      }
      return Status{};
    }
    if (variant_of(p) == 2) {
      linear_cross_entropy_tiles(p, context);
      return Status{};
    }
    return stored_blocks<T>(p, context);
  });
}

}  // namespace basin::kernels
