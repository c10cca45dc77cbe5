// The Elman network on a GPU.
#include "kernels/recurrent/rnn.h"

#include "kernels/common/dispatch.h"
#include "kernels/recurrent/recurrence.cuh"

namespace basin::kernels {

namespace {

template <class T>
struct RnnForwardCell {
  static constexpr int kGates = 1;
  RnnForward p;

  BASIN_DEVICE void step(std::int64_t item, std::int64_t t, std::int64_t unit,
                         const T (&product)[1], T& h) const {
    const std::int64_t at = (item * p.L + t) * p.width + unit;
    const T a = static_cast<const T*>(p.x)[at] + product[0];
    h = p.nonlinearity == Nonlinearity::tanh ? tanh_of(a) : (a <= T(0) ? T(0) : a);  // NaN stays
    static_cast<T*>(p.h)[at] = h;
  }
};

template <class T>
struct RnnBackwardCell {
  static constexpr int kGates = 1;
  RnnBackward p;

  BASIN_DEVICE void step(std::int64_t item, std::int64_t t, std::int64_t unit, T later,
                         T& /*carried*/, T (&da)[1]) const {
    const std::int64_t at = (item * p.L + t) * p.width + unit;
    const T h = static_cast<const T*>(p.h)[at];
    const T slope = p.nonlinearity == Nonlinearity::tanh ? T(1) - h * h : (h > T(0) ? T(1) : T(0));
    da[0] = slope * (static_cast<const T*>(p.dh)[at] + later);
    static_cast<T*>(p.dx)[at] = da[0];
  }
};

}  // namespace

std::int64_t rnn_forward_workspace(const RnnForward& p, const DeviceContext&) {
  return transposed_bytes(p, 1);
}

Status rnn_forward(const RnnForward& p, const DeviceContext& context) {
  const Status status = check_on_device(p, rnn_forward_workspace(p, context));
  if (!status.ok() || p.B == 0 || p.L == 0) {
    return status;
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    return launch_forward<T>("rnn_forward", RnnForwardCell<T>{p}, p.B, p.L, p.width, p.weight,
                             p.workspace, context);
  });
}

std::int64_t rnn_backward_workspace(const RnnBackward&, const DeviceContext&) { return 0; }

Status rnn_backward(const RnnBackward& p, const DeviceContext& context) {
  const Status status = check_on_device(p, 0);
  if (!status.ok() || p.B == 0 || p.L == 0) {
    return status;
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    return launch_backward<T>("rnn_backward", RnnBackwardCell<T>{p}, p.B, p.L, p.width, p.weight,
                              context);
  });
}

}  // namespace basin::kernels
