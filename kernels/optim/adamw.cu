// AdamW on a GPU: 64 parameters in a launch, a block for 8192 elements of one of them. A thread
// moves 16 bytes of each array at a time; 7 arrays move once each, which is what the time goes
// into.
#include <cmath>

#include "kernels/common/array_list.cuh"
#include "kernels/common/dispatch.h"
#include "kernels/common/launch.h"
#include "kernels/common/pack.cuh"
#include "kernels/optim/adamw_rates.h"

namespace basin::kernels {

namespace {

constexpr unsigned kThreads = 256;
constexpr std::int64_t kPiece = 8192;
constexpr int kArrays = 64;  // 3 kB of the parameters

template <class T, int W>
BASIN_DEVICE void update_pack(const AdamWRates<T>& by, T* parameter, const T* gradient, T* m, T* v,
                              std::int64_t at) {
  auto p = load_pack<W>(parameter + at);
  const auto g = load_pack<W>(gradient + at);
  auto first = load_pack<W>(m + at);
  auto second = load_pack<W>(v + at);
  for (int k = 0; k < W; ++k) {
    by.update(p.at[k], g.at[k], first.at[k], second.at[k]);
  }
  store_pack<W>(parameter + at, p);
  store_pack<W>(m + at, first);
  store_pack<W>(v + at, second);
}

template <class T>
BASIN_KERNEL void adamw_kernel(ArrayList<AdamWArrays, kArrays> list, AdamW p, AdamWRates<T> rates) {
  constexpr int kWidth = pack_width(sizeof(T));
  if (p.gradient_scale_pointer != nullptr) {
    const double factor = *p.gradient_scale_pointer;
    if (!std::isfinite(factor)) {
      return;  // every thread of every block
    }
    rates.scale = static_cast<T>(p.gradient_scale * factor);
  }
  if (p.step_pointer != nullptr || p.lr_pointer != nullptr) {
    // Two powers in double: one thread of a block makes them.
    T* const of_step = shared<T, 3>();
    if (threadIdx.x == 0) {
      rates.set_step(p, p.step_pointer != nullptr ? *p.step_pointer : p.step,
                     p.lr_pointer != nullptr ? *p.lr_pointer : p.lr);
      of_step[0] = rates.rate;
      of_step[1] = rates.root;
      of_step[2] = rates.decay;
    }
    __syncthreads();
    rates.rate = of_step[0];
    rates.root = of_step[1];
    rates.decay = of_step[2];
  }
  const PieceOfArray here = piece_of_array(list, blockIdx.x, kPiece);
  const AdamWArrays& arrays = list.arrays[here.array];
  T* const parameter = static_cast<T*>(arrays.parameter) + here.begin;
  const T* const gradient = static_cast<const T*>(arrays.gradient) + here.begin;
  T* const m = static_cast<T*>(arrays.m) + here.begin;
  T* const v = static_cast<T*>(arrays.v) + here.begin;
  const std::int64_t rest = arrays.count - here.begin;
  const std::int64_t count = rest < kPiece ? rest : kPiece;
  const std::int64_t packs = all_at_packs<kWidth>(parameter, gradient, m, v) ? count / kWidth : 0;
  for (std::int64_t pack = threadIdx.x; pack < packs; pack += blockDim.x) {
    update_pack<T, kWidth>(rates, parameter, gradient, m, v, pack * kWidth);
  }
  for (std::int64_t i = packs * kWidth + threadIdx.x; i < count; i += blockDim.x) {
    update_pack<T, 1>(rates, parameter, gradient, m, v, i);
  }
}

}  // namespace

Status adamw(const AdamWList& p, const DeviceContext& context) {
  if (p.by.step_pointer == nullptr && p.by.step < 1) {
    return Status::invalid("adamw: steps count from 1");
  }
  return dispatch_floating(p.by.dtype, [&]<class T>(T) {
    const AdamWRates<T> rates(p.by);
    return for_array_lists<kArrays>(
        p.arrays, p.array_count, kPiece,
        [&](const ArrayList<AdamWArrays, kArrays>& list, unsigned blocks) {
          return launch({"adamw", {blocks, 1, 1}, {kThreads, 1, 1}}, context, adamw_kernel<T>, list,
                        p.by, rates);
        });
  });
}

Status adamw(const AdamW& p, const DeviceContext& context) {
  const AdamWArrays arrays{p.parameter, p.gradient, p.m, p.v, p.count};
  return adamw(AdamWList{&arrays, 1, p}, context);
}

}  // namespace basin::kernels
