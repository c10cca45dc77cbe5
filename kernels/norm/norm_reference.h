// The definition of layer normalisation in plain loops, for the references of the kernel table.
#pragma once

#include <cmath>
#include <cstdint>

namespace basin::kernels {

inline constexpr double kNormEps = 1e-5;

/// For one row: mean and 1 / sqrt(biased variance + eps).
inline void reference_statistics(const double* x, std::int64_t cols, double& mean, double& rstd) {
  mean = 0;
  for (std::int64_t c = 0; c < cols; ++c) {
    mean += x[c] / static_cast<double>(cols);
  }
  double variance = 0;
  for (std::int64_t c = 0; c < cols; ++c) {
    variance += (x[c] - mean) * (x[c] - mean) / static_cast<double>(cols);
  }
  rstd = 1 / std::sqrt(variance + kNormEps);
}

inline void reference_layer_norm(const double* x, const double* weight, const double* bias,
                                 double* y, double* mean, double* rstd, std::int64_t rows,
                                 std::int64_t cols) {
  for (std::int64_t r = 0; r < rows; ++r) {
    reference_statistics(x + r * cols, cols, mean[r], rstd[r]);
    for (std::int64_t c = 0; c < cols; ++c) {
      const std::int64_t at = r * cols + c;
      y[at] = (x[at] - mean[r]) * rstd[r] * weight[c] + bias[c];
    }
  }
}

/// dx, dweight and dbias from x, weight and dy.
inline void reference_layer_norm_backward(const double* x, const double* weight, const double* dy,
                                          double* dx, double* dweight, double* dbias,
                                          std::int64_t rows, std::int64_t cols) {
  for (std::int64_t c = 0; c < cols; ++c) {
    dweight[c] = dbias[c] = 0;
  }
  for (std::int64_t r = 0; r < rows; ++r) {
    double mean = 0;
    double rstd = 0;
    reference_statistics(x + r * cols, cols, mean, rstd);
    double mean_g = 0;
    double mean_gx = 0;
    for (std::int64_t c = 0; c < cols; ++c) {
      const std::int64_t at = r * cols + c;
      const double normal = (x[at] - mean) * rstd;
      mean_g += dy[at] * weight[c] / static_cast<double>(cols);
      mean_gx += dy[at] * weight[c] * normal / static_cast<double>(cols);
      dweight[c] += dy[at] * normal;
      dbias[c] += dy[at];
    }
    for (std::int64_t c = 0; c < cols; ++c) {
      const std::int64_t at = r * cols + c;
      const double normal = (x[at] - mean) * rstd;
      dx[at] = rstd * (dy[at] * weight[c] - mean_g - normal * mean_gx);
    }
  }
}

}  // namespace basin::kernels
