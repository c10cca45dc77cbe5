// Gradient descent with momentum on a GPU; geometry as in adamw.cu.
#include <cmath>

#include "kernels/common/array_list.cuh"
#include "kernels/common/dispatch.h"
#include "kernels/common/launch.h"
#include "kernels/common/pack.cuh"
#include "kernels/optim/sgd.h"

namespace basin::kernels {

namespace {

constexpr unsigned kThreads = 256;
constexpr std::int64_t kPiece = 8192;
constexpr int kArrays = 64;  // 2.5 kB of the parameters

template <class T>
struct Rates {
  T scale, decay, rate, momentum;
  bool nesterov;
};

template <class T, int W>
BASIN_DEVICE void update_pack(const Rates<T>& by, T* parameter, const T* gradient, T* u,
                              std::int64_t at) {
  auto p = load_pack<W>(parameter + at);
  const auto slope = load_pack<W>(gradient + at);
  auto sum = load_pack<W>(u + at);
  for (int k = 0; k < W; ++k) {
    const T g = by.scale * slope.at[k] + by.decay * p.at[k];
    sum.at[k] = by.momentum * sum.at[k] + g;
    p.at[k] -= by.rate * (by.nesterov ? g + by.momentum * sum.at[k] : sum.at[k]);
  }
  store_pack<W>(parameter + at, p);
  store_pack<W>(u + at, sum);
}

template <class T>
BASIN_KERNEL void sgd_kernel(ArrayList<SgdArrays, kArrays> list, Sgd p, Rates<T> rates) {
  constexpr int kWidth = pack_width(sizeof(T));
  if (p.gradient_scale_pointer != nullptr) {
    const double factor = *p.gradient_scale_pointer;
    if (!std::isfinite(factor)) {
      return;
    }
    rates.scale = static_cast<T>(p.gradient_scale * factor);
  }
  if (p.lr_pointer != nullptr) {
    rates.rate = static_cast<T>(*p.lr_pointer);
  }
  const PieceOfArray here = piece_of_array(list, blockIdx.x, kPiece);
  const SgdArrays& arrays = list.arrays[here.array];
  T* const parameter = static_cast<T*>(arrays.parameter) + here.begin;
  const T* const gradient = static_cast<const T*>(arrays.gradient) + here.begin;
  T* const u = static_cast<T*>(arrays.u) + here.begin;
  const std::int64_t rest = arrays.count - here.begin;
  const std::int64_t count = rest < kPiece ? rest : kPiece;
  const std::int64_t packs = all_at_packs<kWidth>(parameter, gradient, u) ? count / kWidth : 0;
  for (std::int64_t pack = threadIdx.x; pack < packs; pack += blockDim.x) {
    update_pack<T, kWidth>(rates, parameter, gradient, u, pack * kWidth);
  }
  for (std::int64_t i = packs * kWidth + threadIdx.x; i < count; i += blockDim.x) {
    update_pack<T, 1>(rates, parameter, gradient, u, i);
  }
}

}  // namespace

Status sgd(const SgdList& p, const DeviceContext& context) {
  return dispatch_floating(p.by.dtype, [&]<class T>(T) {
    const Rates<T> rates{static_cast<T>(p.by.gradient_scale), static_cast<T>(p.by.weight_decay),
                         static_cast<T>(p.by.lr), static_cast<T>(p.by.momentum), p.by.nesterov};
    return for_array_lists<kArrays>(
        p.arrays, p.array_count, kPiece,
        [&](const ArrayList<SgdArrays, kArrays>& list, unsigned blocks) {
          return launch({"sgd", {blocks, 1, 1}, {kThreads, 1, 1}}, context, sgd_kernel<T>, list,
                        p.by, rates);
        });
  });
}

Status sgd(const Sgd& p, const DeviceContext& context) {
  const SgdArrays arrays{p.parameter, p.gradient, p.u, p.count};
  return sgd(SgdList{&arrays, 1, p}, context);
}

}  // namespace basin::kernels
