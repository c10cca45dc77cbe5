// A recurrent layer as a whole, its input product included, as cuDNN computes it: beside the
// recurrences of this folder, which leave that product to the caller. cuDNN adds the input to the
// recurrent product gate by gate inside of one call and has no interface for the recurrence alone
// (its mode without an input product gives all gates the same input).
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/common/context.h"
#include "kernels/common/dtype.h"
#include "kernels/common/precision.h"
#include "kernels/common/status.h"

namespace basin::kernels {

enum class RecurrentCell : std::uint8_t { tanh, relu, lstm, gru };

/// x (B, L, in) to h (B, L, width), with states that start at 0. The formulas are those of rnn.h,
/// lstm.h (gates i, f, g, o) and gru.h (r, z, n; the reset gate acts on the recurrent product and
/// its bias), which are cuDNN's. f32, with products in f32 or tf32, or f64.
struct RecurrentLayer {
  RecurrentCell cell;
  std::int64_t B, L, in, width;
  DType dtype;
  Precision precision = Precision::f32;
};

/// 1, 4 or 3.
std::int64_t gates_of(RecurrentCell cell);

/// Refuses extents that are not positive or do not fit cuDNN's 32 bits, more than 65535 steps (its
/// limit), other dtypes, and a precision that has no meaning for them. bf16 has none: cuDNN would
/// have to hold the states in it, too.
Status check_recurrent_layer(const RecurrentLayer&);

/// Rows of a parameter that are one matrix (with its bias) to cuDNN, which keeps all of them in one
/// array, the weight space, and tells by `number` where each is.
struct WeightPiece {
  int number;      ///< linLayerID of cudnnGetRNNWeightParams()
  bool recurrent;  ///< of weight_hh and bias_hh, else of weight_ih and bias_ih
  std::int64_t first_row, rows, columns;
};

/// All of them: the gates of weight_ih (gates width, in), then those of weight_hh (gates width,
/// width). Both have two biases (gates width).
std::vector<WeightPiece> weight_pieces(const RecurrentLayer&);

/// Numbers of all parameters: the least that a weight space has.
std::int64_t parameters_of(const RecurrentLayer&);

/// Bytes that the calls below need; all are multiples of 8.
struct RecurrentLayerSizes {
  std::int64_t weights;    ///< the weight space
  std::int64_t reserve;    ///< what the forward pass leaves for the backward pass
  std::int64_t workspace;  ///< scratch
};

struct RecurrentLayerForward {
  RecurrentLayer layer;
  const void *x, *weight_ih, *weight_hh, *bias_ih, *bias_hh;  ///< contiguous
  void* h;
  void* weights;  ///< the parameters are copied to it, and kept for the backward pass
  void* reserve;
  void* workspace;
};

struct RecurrentLayerBackward {
  RecurrentLayer layer;
  const void *x, *h, *dh, *weights;
  void* reserve;   ///< is changed: one backward pass for a forward pass
  void* dweights;  ///< scratch, as large as the weight space
  void* dx;
  void *dweight_ih, *dweight_hh, *dbias_ih, *dbias_hh;
  void* workspace;
};

// These exist only where kCudaBuilt is true. not_built: there is no cuDNN, and the message says
// where it was looked for. What cuDNN has to prepare for a shape it prepares at the first call,
// which must not be captured into a graph; later ones may be.
Status recurrent_layer_sizes(const RecurrentLayer&, RecurrentLayerSizes&, const CudaContext&);
Status recurrent_layer_forward(const RecurrentLayerForward&, const CudaContext&);
Status recurrent_layer_backward(const RecurrentLayerBackward&, const CudaContext&);

/// ok, or why recurrent_layer_*() cannot be called: cuDNN or one of its functions is missing. Needs
/// no GPU.
Status recurrent_layer_library();

}  // namespace basin::kernels
