#include <algorithm>
#include <cmath>

#include "kernels/common/dispatch.h"
#include "kernels/common/row_math.h"
#include "kernels/norm/layer_norm.h"

namespace basin::kernels {

namespace {
// Rows of one chunk, and of one partial sum of dweight and dbias.
constexpr std::int64_t kRows = 64;
}  // namespace

Status layer_norm_forward(const LayerNormForward& p, const CpuContext& context) {
  if (p.cols <= 0) {
    return Status::invalid("layer_norm: rows must have at least one element");
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const T* weight = static_cast<const T*>(p.weight);
    const T* bias = static_cast<const T*>(p.bias);
    for_ranges(context, p.rows, kRows, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        const T* x = static_cast<const T*>(p.x) + r * p.x_stride;
        T* y = static_cast<T*>(p.y) + r * p.y_stride;
        T lane[kLanes] = {};
        std::int64_t c = 0;
        for (; c + kLanes <= p.cols; c += kLanes) {
          for (int l = 0; l < kLanes; ++l) {
            lane[l] += x[c + l];
          }
        }
        for (; c < p.cols; ++c) {
          lane[0] += x[c];
        }
        const T mean = add_lanes(lane) / static_cast<T>(p.cols);
        // A second pass over the row: the one-pass formula E[x^2] - E[x]^2 cancels.
        T square[kLanes] = {};
        for (c = 0; c + kLanes <= p.cols; c += kLanes) {
          for (int l = 0; l < kLanes; ++l) {
            square[l] += (x[c + l] - mean) * (x[c + l] - mean);
          }
        }
        for (; c < p.cols; ++c) {
          square[0] += (x[c] - mean) * (x[c] - mean);
        }
        const T variance = add_lanes(square) / static_cast<T>(p.cols);
        const T rstd = T(1) / std::sqrt(variance + static_cast<T>(p.eps));
        static_cast<T*>(p.mean)[r] = mean;
        static_cast<T*>(p.rstd)[r] = rstd;
        if (weight != nullptr && bias != nullptr) {
          for (c = 0; c < p.cols; ++c) {
            y[c] = (x[c] - mean) * rstd * weight[c] + bias[c];
          }
        } else {
          for (c = 0; c < p.cols; ++c) {
            y[c] = (x[c] - mean) * rstd * (weight != nullptr ? weight[c] : T(1)) +
                   (bias != nullptr ? bias[c] : T(0));
          }
        }
      }
    });
    return Status{};
  });
}

std::int64_t layer_norm_backward_workspace(std::int64_t rows, std::int64_t cols) {
  return (rows + kRows - 1) / kRows * cols * 2;
}

Status layer_norm_backward(const LayerNormBackward& p, const CpuContext& context) {
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const T* weight = static_cast<const T*>(p.weight);
    for_ranges(context, p.rows, kRows, [&](std::int64_t begin, std::int64_t end) {
      double* partial_weight = nullptr;
      double* partial_bias = nullptr;
      if (p.dweight != nullptr) {
        partial_weight = p.workspace + begin / kRows * p.cols * 2;
        partial_bias = partial_weight + p.cols;
        std::fill(partial_weight, partial_bias + p.cols, 0.0);
      }
      for (std::int64_t r = begin; r < end; ++r) {
        const T* x = static_cast<const T*>(p.x) + r * p.cols;
        const T* dy = static_cast<const T*>(p.dy) + r * p.cols;
        const T mean = static_cast<const T*>(p.mean)[r];
        const T rstd = static_cast<const T*>(p.rstd)[r];
        if (p.dx != nullptr) {
          T* dx = static_cast<T*>(p.dx) + r * p.cols;
          T sum_g = 0;
          T sum_gx = 0;
          for (std::int64_t c = 0; c < p.cols; ++c) {
            const T g = weight != nullptr ? dy[c] * weight[c] : dy[c];
            sum_g += g;
            sum_gx += g * (x[c] - mean);
          }
          const T mean_g = sum_g / static_cast<T>(p.cols);
          const T slope = sum_gx * rstd * rstd / static_cast<T>(p.cols);
          for (std::int64_t c = 0; c < p.cols; ++c) {
            const T g = weight != nullptr ? dy[c] * weight[c] : dy[c];
            dx[c] = rstd * (g - mean_g - (x[c] - mean) * slope);
          }
        }
        if (p.dweight != nullptr) {
          for (std::int64_t c = 0; c < p.cols; ++c) {
            partial_weight[c] += static_cast<double>(dy[c] * (x[c] - mean) * rstd);
            partial_bias[c] += static_cast<double>(dy[c]);
          }
        }
      }
    });
    if (p.dweight != nullptr) {
      const std::int64_t pieces = (p.rows + kRows - 1) / kRows;
      for (std::int64_t c = 0; c < p.cols; ++c) {
        double total_weight = 0;
        double total_bias = 0;
        for (std::int64_t piece = 0; piece < pieces; ++piece) {
          total_weight += p.workspace[piece * p.cols * 2 + c];
          total_bias += p.workspace[piece * p.cols * 2 + p.cols + c];
        }
        static_cast<T*>(p.dweight)[c] = static_cast<T>(total_weight);
        static_cast<T*>(p.dbias)[c] = static_cast<T>(total_bias);
      }
    }
    return Status{};
  });
}

}  // namespace basin::kernels
