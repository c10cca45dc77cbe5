// Attention through random features on a GPU, as passes of random_scan.cuh.
#include "kernels/association/random_feature_attention.h"

#include <algorithm>

#include "kernels/association/delta.cuh"
#include "kernels/association/random_feature_check.h"
#include "kernels/association/random_gradients.cuh"
#include "kernels/association/random_outputs.cuh"
#include "kernels/common/dispatch.h"
#include "kernels/common/launch.h"
#include "kernels/common/launch_sizes.h"

namespace basin::kernels {

namespace {

// Segments of at least eight tiles, so that a state is read and written for 128 positions or more,
// and so many that those of all heads fill a large card. So states do not grow with the length.
RandomCut cut_of(const RandomPass& p) {
  constexpr std::int64_t kBlocks = 264;
  constexpr std::int64_t kFewest = 8;
  RandomCut cut{};
  cut.start = p.causal ? std::min<std::int64_t>(0, p.M - p.L) : 0;
  cut.slices = pieces_of(p.Dv, kScanSlice);
  cut.feature_tiles = pieces_of(p.features, kScanFeatures);
  const std::int64_t line = p.causal ? p.M - cut.start : p.columns();
  const std::int64_t tiles = pieces_of(line, kScanRows);
  const std::int64_t wanted =
      std::max<std::int64_t>(1, kBlocks / std::max<std::int64_t>(1, p.B * p.H));
  cut.tiles = std::max(kFewest, pieces_of(tiles, wanted));
  cut.segments = pieces_of(tiles, cut.tiles);
  cut.row_segments = p.causal ? cut.segments : pieces_of(p.rows(), cut.tiles * kScanRows);
  return cut;
}

std::int64_t state_elements(const RandomPass& p) {
  const RandomCut cut = cut_of(p);
  return p.B * p.H * cut.slices * (cut.segments + 1) * cut.features() * kStateRow;
}

// The first two kernels: what the rows read.
template <class T>
Status launch_states(const RandomPass& p, const RandomCut& cut, const DeviceContext& context,
                     T* states) {
  constexpr unsigned kNumbers = 96;  // kStateRow in whole warps
  static_assert(kNumbers >= kStateRow);
  const std::int64_t parts = p.B * p.H * cut.slices;
  Status status;
  if (cut.segments > 0) {
    status = launch({"random_feature_states",
                     {static_cast<unsigned>(parts * cut.segments * cut.feature_tiles), 1, 1},
                     {kScanThreads, 1, 1},
                     sizeof(ScanShared<T>)},
                    context, random_states_kernel<T>, p, cut, states);
  }
  if (status.ok()) {
    status = launch({"random_feature_prefix",
                     {static_cast<unsigned>(parts * cut.features()), 1, 1},
                     {kNumbers, 1, 1}},
                    context, random_prefix_kernel<T>, states, cut, p.rows_are_keys);
  }
  return status;
}

template <class T>
Status launch_gradients(const RandomPass& p, const DeviceContext& context, T* states,
                        double* parts) {
  const RandomCut cut = cut_of(p);
  if (p.B * p.H == 0 || cut.row_segments == 0) {
    return {};
  }
  Status status = launch_states(p, cut, context, states);
  if (status.ok()) {
    status =
        launch({p.rows_are_keys ? "random_feature_key_gradients" : "random_feature_query_gradients",
                {static_cast<unsigned>(p.B * p.H * cut.row_segments), 1, 1},
                {kScanThreads, 1, 1},
                sizeof(ScanShared<T>)},
               context, random_gradients_kernel<T>, p, cut, states, parts);
  }
  return status;
}

// What all readings of one call share.
template <class P>
RandomPass pass_of(const P& p, bool rows_are_keys) {
  RandomPass pass{};
  pass.projection = p.projection;
  pass.beta = p.beta;
  pass.key_lengths = p.key_lengths;
  pass.B = p.B;
  pass.H = p.H;
  pass.L = p.L;
  pass.M = p.M;
  pass.D = p.D;
  pass.Dv = p.Dv;
  pass.features = p.features;
  pass.rows_are_keys = rows_are_keys;
  pass.causal = p.causal;
  pass.map = p.map;
  pass.row_x = rows_are_keys ? p.k : p.q;
  pass.column_x = rows_are_keys ? p.q : p.k;
  pass.column_w = p.v;
  return pass;
}

RandomPass forward_pass(const RandomFeatureForward& p) {
  RandomPass pass = pass_of(p, false);
  pass.out = p.out;
  pass.log_normaliser = p.log_normaliser;
  return pass;
}

RandomPass backward_pass(const RandomFeatureBackward& p, bool rows_are_keys, const void* delta) {
  RandomPass pass = pass_of(p, rows_are_keys);
  pass.column_w = rows_are_keys ? p.dout : p.v;
  pass.row_y = rows_are_keys ? p.v : p.dout;
  pass.dx = rows_are_keys ? p.dk : p.dq;
  pass.dw = rows_are_keys ? p.dv : HeadView{};
  pass.log_normaliser = const_cast<void*>(p.log_normaliser);  // read only
  pass.delta = delta;
  return pass;
}

}  // namespace

std::int64_t random_feature_forward_workspace(const RandomFeatureForward& p, const DeviceContext&) {
  return state_elements(forward_pass(p)) * static_cast<std::int64_t>(size_of(p.dtype));
}

Status random_feature_forward(const RandomFeatureForward& p, const DeviceContext& context) {
  if (const Status status = check_random_features(p, 0); !status.ok()) {
    return status;
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const RandomPass pass = forward_pass(p);
    const RandomCut cut = cut_of(pass);
    if (p.B * p.H == 0 || cut.row_segments == 0) {
      return Status{};
    }
    T* const states = static_cast<T*>(p.workspace);
    Status status = launch_states(pass, cut, context, states);
    if (status.ok()) {
      status = launch({"random_feature_outputs",
                       {static_cast<unsigned>(p.B * p.H * cut.slices * cut.row_segments), 1, 1},
                       {kScanThreads, 1, 1},
                       sizeof(ScanShared<T>)},
                      context, random_outputs_kernel<T>, pass, cut, states);
    }
    return status;
  });
}

// The parts of dbeta as f64, then delta, then the states of one side after the other.
std::int64_t random_feature_backward_workspace(const RandomFeatureBackward& p,
                                               const DeviceContext&) {
  const RandomPass queries = backward_pass(p, false, nullptr);
  const RandomPass keys = backward_pass(p, true, nullptr);
  const std::int64_t parts = p.B * p.H * (cut_of(queries).row_segments + cut_of(keys).row_segments);
  return parts * static_cast<std::int64_t>(sizeof(double)) +
         (p.B * p.H * p.L + std::max(state_elements(queries), state_elements(keys))) *
             static_cast<std::int64_t>(size_of(p.dtype));
}

Status random_feature_backward(const RandomFeatureBackward& p, const DeviceContext& context) {
  if (const Status status = check_random_features(p, 0); !status.ok()) {
    return status;
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const std::int64_t query_parts = cut_of(backward_pass(p, false, nullptr)).row_segments;
    const std::int64_t key_parts = cut_of(backward_pass(p, true, nullptr)).row_segments;
    double* const of_queries = static_cast<double*>(p.workspace);
    double* const of_keys = of_queries + p.B * p.H * query_parts;
    T* const delta = reinterpret_cast<T*>(of_keys + p.B * p.H * key_parts);
    T* const states = delta + p.B * p.H * p.L;
    Status status = launch_delta<T>("random_feature_delta", p, context, delta);
    if (status.ok()) {
      status = launch_gradients(backward_pass(p, false, delta), context, states, of_queries);
    }
    if (status.ok()) {
      status = launch_gradients(backward_pass(p, true, delta), context, states, of_keys);
    }
    if (status.ok() && p.dbeta != nullptr && p.H > 0) {
      status = launch({"random_feature_dbeta", {static_cast<unsigned>(p.H), 1, 1}, {256, 1, 1}},
                      context, random_dbeta_kernel<T>, p, static_cast<const double*>(of_queries),
                      query_parts, static_cast<const double*>(of_keys), key_parts);
    }
    return status;
  });
}

}  // namespace basin::kernels
