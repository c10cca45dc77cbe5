// The gated recurrent unit on a GPU.
#include "kernels/recurrent/gru.h"

#include "kernels/common/dispatch.h"
#include "kernels/recurrent/recurrence.cuh"

namespace basin::kernels {

namespace {

template <class T>
struct GruForwardCell {
  static constexpr int kGates = 3;
  GruForward p;

  BASIN_DEVICE void step(std::int64_t item, std::int64_t t, std::int64_t unit,
                         const T (&product)[3], T& h) const {
    const std::int64_t W = p.width;
    const std::int64_t row = item * p.L + t;
    const T* const x = static_cast<const T*>(p.x) + 3 * row * W + unit;
    const T* const bias = static_cast<const T*>(p.bias) + unit;
    const T r = sigmoid_of(x[0] + (bias[0] + product[0]));
    const T z = sigmoid_of(x[W] + (bias[W] + product[1]));
    const T a_n = bias[2 * W] + product[2];
    const T n = tanh_of(x[2 * W] + r * a_n);
    h = (T(1) - z) * n + (t > 0 ? z * h : T(0));
    static_cast<T*>(p.h)[row * W + unit] = h;
    T* const saved = static_cast<T*>(p.saved) + 4 * row * W + unit;
    saved[0] = r;
    saved[W] = z;
    saved[2 * W] = n;
    saved[3 * W] = a_n;
  }
};

template <class T>
struct GruBackwardCell {
  static constexpr int kGates = 3;
  GruBackward p;

  // carried: the gradient by h_t that comes through z_(t+1) directly.
  BASIN_DEVICE void step(std::int64_t item, std::int64_t t, std::int64_t unit, T later, T& carried,
                         T (&da)[3]) const {
    const std::int64_t W = p.width;
    const std::int64_t row = item * p.L + t;
    const T* const saved = static_cast<const T*>(p.saved) + 4 * row * W + unit;
    const T r = saved[0];
    const T z = saved[W];
    const T n = saved[2 * W];
    const T a_n = saved[3 * W];
    const T before = t > 0 ? static_cast<const T*>(p.h)[(row - 1) * W + unit] : T(0);
    const T total = static_cast<const T*>(p.dh)[row * W + unit] + carried + later;
    const T dn = total * (T(1) - z) * (T(1) - n * n);
    da[0] = dn * a_n * r * (T(1) - r);
    da[1] = total * (before - n) * z * (T(1) - z);
    da[2] = dn * r;
    carried = total * z;
    T* const dx = static_cast<T*>(p.dx) + 3 * row * W + unit;
    T* const da_row = static_cast<T*>(p.da) + 3 * row * W + unit;
    dx[0] = da_row[0] = da[0];
    dx[W] = da_row[W] = da[1];
    dx[2 * W] = dn;
    da_row[2 * W] = da[2];
  }
};

}  // namespace

std::int64_t gru_forward_workspace(const GruForward& p, const DeviceContext&) {
  return transposed_bytes(p, 3);
}

Status gru_forward(const GruForward& p, const DeviceContext& context) {
  const Status status = check_on_device(p, gru_forward_workspace(p, context));
  if (!status.ok() || p.B == 0 || p.L == 0) {
    return status;
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    return launch_forward<T>("gru_forward", GruForwardCell<T>{p}, p.B, p.L, p.width, p.weight,
                             p.workspace, context);
  });
}

std::int64_t gru_backward_workspace(const GruBackward&, const DeviceContext&) { return 0; }

Status gru_backward(const GruBackward& p, const DeviceContext& context) {
  const Status status = check_on_device(p, 0);
  if (!status.ok() || p.B == 0 || p.L == 0) {
    return status;
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    return launch_backward<T>("gru_backward", GruBackwardCell<T>{p}, p.B, p.L, p.width, p.weight,
                              context);
  });
}

}  // namespace basin::kernels
