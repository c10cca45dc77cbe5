// The long short-term memory on a GPU.
#include "kernels/recurrent/lstm.h"

#include "kernels/common/dispatch.h"
#include "kernels/recurrent/recurrence.cuh"

namespace basin::kernels {

namespace {

template <class T>
struct LstmForwardCell {
  static constexpr int kGates = 4;
  LstmForward p;

  BASIN_DEVICE void step(std::int64_t item, std::int64_t t, std::int64_t unit,
                         const T (&product)[4], T& h) const {
    const std::int64_t W = p.width;
    const std::int64_t row = item * p.L + t;
    const T* const x = static_cast<const T*>(p.x) + 4 * row * W + unit;
    const T i = sigmoid_of(x[0] + product[0]);
    const T f = sigmoid_of(x[W] + product[1]);
    const T g = tanh_of(x[2 * W] + product[2]);
    const T o = sigmoid_of(x[3 * W] + product[3]);
    T* const c = static_cast<T*>(p.c) + row * W + unit;
    const T now = (t > 0 ? f * c[-W] : T(0)) + i * g;
    *c = now;
    h = o * tanh_of(now);
    static_cast<T*>(p.h)[row * W + unit] = h;
    T* const gates = static_cast<T*>(p.gates) + 4 * row * W + unit;
    gates[0] = i;
    gates[W] = f;
    gates[2 * W] = g;
    gates[3 * W] = o;
  }
};

template <class T>
struct LstmBackwardCell {
  static constexpr int kGates = 4;
  LstmBackward p;

  // carried: the gradient by c_t that comes through c_(t+1).
  BASIN_DEVICE void step(std::int64_t item, std::int64_t t, std::int64_t unit, T later, T& carried,
                         T (&da)[4]) const {
    const std::int64_t W = p.width;
    const std::int64_t row = item * p.L + t;
    const T* const gates = static_cast<const T*>(p.gates) + 4 * row * W + unit;
    const T i = gates[0];
    const T f = gates[W];
    const T g = gates[2 * W];
    const T o = gates[3 * W];
    const T* const c = static_cast<const T*>(p.c) + row * W + unit;
    const T total = static_cast<const T*>(p.dh)[row * W + unit] + later;
    const T tanh_c = tanh_of(c[0]);
    const T dc = carried + total * o * (T(1) - tanh_c * tanh_c);
    const T before = t > 0 ? c[-W] : T(0);
    da[0] = dc * g * i * (T(1) - i);
    da[1] = dc * before * f * (T(1) - f);
    da[2] = dc * i * (T(1) - g * g);
    da[3] = total * tanh_c * o * (T(1) - o);
    carried = dc * f;
    T* const dx = static_cast<T*>(p.dx) + 4 * row * W + unit;
    BASIN_UNROLL
    for (int gate = 0; gate < 4; ++gate) {
      dx[gate * W] = da[gate];
    }
  }
};

}  // namespace

std::int64_t lstm_forward_workspace(const LstmForward& p, const DeviceContext&) {
  return transposed_bytes(p, 4);
}

Status lstm_forward(const LstmForward& p, const DeviceContext& context) {
  const Status status = check_on_device(p, lstm_forward_workspace(p, context));
  if (!status.ok() || p.B == 0 || p.L == 0) {
    return status;
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    return launch_forward<T>("lstm_forward", LstmForwardCell<T>{p}, p.B, p.L, p.width, p.weight,
                             p.workspace, context);
  });
}

std::int64_t lstm_backward_workspace(const LstmBackward&, const DeviceContext&) { return 0; }

Status lstm_backward(const LstmBackward& p, const DeviceContext& context) {
  const Status status = check_on_device(p, 0);
  if (!status.ok() || p.B == 0 || p.L == 0) {
    return status;
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    return launch_backward<T>("lstm_backward", LstmBackwardCell<T>{p}, p.B, p.L, p.width, p.weight,
                              context);
  });
}

}  // namespace basin::kernels
