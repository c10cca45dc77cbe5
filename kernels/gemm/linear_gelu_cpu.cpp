#include "kernels/gemm/linear_gelu.h"

#include <algorithm>

#include "kernels/common/dispatch.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/gemm/gemm_check.h"
#include "kernels/gemm/gemm_simd.h"
#include "kernels/gemm/linear_gelu_product.h"
#include "kernels/gemm/rounded_product.h"
#include "kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm/linear_gelu_cpu.cpp"
#include <hwy/foreach_target.h>
//
#include "kernels/simd/gelu-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

// Rows of one chunk, and of one partial sum of dbias.
constexpr std::int64_t kBiasRows = 64;

// One vector of dz, and the sum it belongs to.
template <bool kSums, class D, class T>
HWY_INLINE void slope_of(D d, hn::Vec<D> z, hn::Vec<D> dy, T* dz, T* sum) {
  const auto slope = hn::Mul(dy, gelu_derivative_vector(d, z));
  hn::StoreU(slope, d, dz);
  if constexpr (kSums) {
    hn::StoreU(hn::Add(hn::LoadU(d, sum), slope), d, sum);
  }
}

template <bool kSums, class T>
HWY_INLINE void slopes_of_row(const T* z, const T* dy, T* dz, T* sum, std::int64_t count) {
  const hn::ScalableTag<T> d;
  const std::int64_t end = whole(d, count);
  for (std::int64_t c = 0; c < end; c += static_cast<std::int64_t>(hn::Lanes(d))) {
    slope_of<kSums>(d, hn::LoadU(d, z + c), hn::LoadU(d, dy + c), dz + c, sum + c);
  }
  if (end < count) {
    const auto mask = rest(d, count, end);
    const auto slope = hn::Mul(hn::MaskedLoad(mask, d, dy + end),
                               gelu_derivative_vector(d, hn::MaskedLoad(mask, d, z + end)));
    hn::BlendedStore(slope, mask, d, dz + end);
    if constexpr (kSums) {
      hn::BlendedStore(hn::Add(hn::MaskedLoad(mask, d, sum + end), slope), mask, d, sum + end);
    }
  }
}

template <class T>
void add_bias_partials(const LinearGeluBackward& p, const T* partials, const CpuContext& context) {
  constexpr std::int64_t kColumns = 128;
  const std::int64_t pieces = (p.rows + kBiasRows - 1) / kBiasRows;
  for_ranges(context, p.out, kColumns, [&](std::int64_t begin, std::int64_t end) {
    double total[kColumns] = {};
    for (std::int64_t piece = 0; piece < pieces; ++piece) {
      for (std::int64_t c = begin; c < end; ++c) {
        total[c - begin] += static_cast<double>(partials[piece * p.out + c]);
      }
    }
    for (std::int64_t c = begin; c < end; ++c) {
      static_cast<T*>(p.dbias)[c] = static_cast<T>(total[c - begin]);
    }
  });
}

Status linear_gelu_backward_target(const LinearGeluBackward& p, const CpuContext& context) {
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    T* partials = reinterpret_cast<T*>(p.workspace);
    for_ranges(context, p.rows, kBiasRows, [&](std::int64_t begin, std::int64_t end) {
      T* sum = nullptr;
      if (p.dbias != nullptr) {
        sum = partials + begin / kBiasRows * p.out;
        std::fill(sum, sum + p.out, T(0));
      }
      for (std::int64_t r = begin; r < end; ++r) {
        const T* z = static_cast<const T*>(p.z) + r * p.out;
        const T* dy = static_cast<const T*>(p.dy) + r * p.out;
        T* dz = static_cast<T*>(p.dz) + r * p.out;
        if (sum != nullptr) {
          slopes_of_row<true>(z, dy, dz, sum, p.out);
        } else {
          slopes_of_row<false>(z, dy, dz, sum, p.out);
        }
      }
    });
    if (p.dbias != nullptr) {
      add_bias_partials<T>(p, partials, context);
    }
    return Status{};
  });
}

std::int64_t linear_gelu_backward_workspace_target(std::int64_t rows, std::int64_t out) {
  return (rows + kBiasRows - 1) / kBiasRows * out;
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace basin::kernels {

namespace {

// Whether the activation goes into our own product. It is no faster: GELU is bound by its
// arithmetic, and blocks of rows are a worse way through memory than one straight pass.
bool joined(const LinearGeluForward& p) {
  return p.variant == 2 && p.rows > 0 && p.in > 0 && p.out > 0;
}

}  // namespace

std::int64_t linear_gelu_workspace(const LinearGeluForward& p, const CpuContext& context) {
  const Gemm product = product_of(p);
  if (!joined(p)) {
    return gemm_workspace(product, context);
  }
  if (rounds_factors(product)) {
    const RoundedProduct rounded(product);
    return rounded.bytes() + gemm_simd_workspace(rounded.product(), context);
  }
  return gemm_simd_workspace(product, context);
}

Status linear_gelu_forward(const LinearGeluForward& p, const CpuContext& context) {
  if (p.rows < 0 || p.in < 0 || p.out < 0) {
    return Status::invalid("linear_gelu: negative extent");
  }
  if (p.variant < 0 || p.variant > 2) {
    return Status::invalid("linear_gelu: variants are 0 to 2");
  }
  const Gemm product = product_of(p);
  if (joined(p)) {
    if (p.workspace == nullptr) {
      return Status::invalid("linear_gelu: the workspace is missing");
    }
    if (const Status status = check_gemm(product); !status.ok()) {
      return status;
    }
    if (rounds_factors(product)) {
      const RoundedProduct rounded(product);
      const Status status = rounded.round(context);
      if (status.ok()) {
        gemm_simd_gelu(rounded.product(), p.y, context);
      }
      return status;
    }
    gemm_simd_gelu(product, p.y, context);
    return Status{};
  }
  const Status status = gemm(product, context);
  return status.ok() ? unary_forward({UnaryOp::gelu, p.z, p.y, p.rows * p.out, p.dtype}, context)
                     : status;
}

HWY_EXPORT(linear_gelu_backward_target);
HWY_EXPORT(linear_gelu_backward_workspace_target);

std::int64_t linear_gelu_backward_workspace(std::int64_t rows, std::int64_t out) {
  return HWY_DYNAMIC_DISPATCH(linear_gelu_backward_workspace_target)(rows, out);
}

Status linear_gelu_backward(const LinearGeluBackward& p, const CpuContext& context) {
  return HWY_DYNAMIC_DISPATCH(linear_gelu_backward_target)(p, context);
}

}  // namespace basin::kernels
#endif
