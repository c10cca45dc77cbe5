// A recurrent layer by cuDNN 9, which is opened at run time. Its headers are needed to build this;
// without them the functions say so.
#include "kernels/recurrent/recurrent_layer.h"

#if __has_include(<cudnn.h>)

#include <cuda_runtime_api.h>
#include <cudnn.h>

#include <array>
#include <map>
#include <memory>
#include <mutex>

#include "kernels/cuda/graph.h"
#include "kernels/cuda/libraries.h"
#include "kernels/cuda/runtime.h"

namespace basin::kernels {

namespace {

// The functions in use, by their types in cudnn.h.
struct Functions {
  decltype(&cudnnGetErrorString) error_string;
  decltype(&cudnnCreate) create;
  decltype(&cudnnSetStream) set_stream;
  decltype(&cudnnCreateTensorDescriptor) tensor_create;
  decltype(&cudnnSetTensorNdDescriptor) tensor_set;
  decltype(&cudnnGetTensorNdDescriptor) tensor_get;
  decltype(&cudnnCreateDropoutDescriptor) dropout_create;
  decltype(&cudnnSetDropoutDescriptor) dropout_set;
  decltype(&cudnnCreateRNNDescriptor) rnn_create;
  decltype(&cudnnSetRNNDescriptor_v8) rnn_set;
  decltype(&cudnnCreateRNNDataDescriptor) data_create;
  decltype(&cudnnSetRNNDataDescriptor) data_set;
  decltype(&cudnnGetRNNWeightSpaceSize) weight_bytes;
  decltype(&cudnnGetRNNWeightParams) weight_place;
  decltype(&cudnnGetRNNTempSpaceSizes) temporary_bytes;
  decltype(&cudnnRNNForward) forward;
  decltype(&cudnnRNNBackwardData_v8) backward_data;
  decltype(&cudnnRNNBackwardWeights_v8) backward_weights;
};

class Library {
 public:
  // Never destroyed, nor is what it made: a handle must not outlive the driver's own objects.
  static Library& instance() {
    static Library* const library = new Library;
    return *library;
  }

  Status status() const {
    return loaded_ ? Status{} : Status{Status::Code::not_built, cudnn().problem().c_str(), -1};
  }
  const Functions& call() const { return functions_; }

 private:
  Library() {
    Functions& f = functions_;
    loaded_ = get(f.error_string, "cudnnGetErrorString") && get(f.create, "cudnnCreate") &&
              get(f.set_stream, "cudnnSetStream") &&
              get(f.tensor_create, "cudnnCreateTensorDescriptor") &&
              get(f.tensor_set, "cudnnSetTensorNdDescriptor") &&
              get(f.tensor_get, "cudnnGetTensorNdDescriptor") &&
              get(f.dropout_create, "cudnnCreateDropoutDescriptor") &&
              get(f.dropout_set, "cudnnSetDropoutDescriptor") &&
              get(f.rnn_create, "cudnnCreateRNNDescriptor") &&
              get(f.rnn_set, "cudnnSetRNNDescriptor_v8") &&
              get(f.data_create, "cudnnCreateRNNDataDescriptor") &&
              get(f.data_set, "cudnnSetRNNDataDescriptor") &&
              get(f.weight_bytes, "cudnnGetRNNWeightSpaceSize") &&
              get(f.weight_place, "cudnnGetRNNWeightParams") &&
              get(f.temporary_bytes, "cudnnGetRNNTempSpaceSizes") &&
              get(f.forward, "cudnnRNNForward") &&
              get(f.backward_data, "cudnnRNNBackwardData_v8") &&
              get(f.backward_weights, "cudnnRNNBackwardWeights_v8");
  }

  // The part with recurrent layers depends on those with the other functions, so that looking in it
  // finds them all.
  template <class F>
  bool get(F& function, const char* name) {
    function = reinterpret_cast<F>(cudnn().find(name));
    return function != nullptr;
  }

  Functions functions_{};
  bool loaded_ = false;
};

// The first failure of several calls.
class Calls {
 public:
  template <class... Parameters, class... Arguments>
  Calls& operator()(cudnnStatus_t (*function)(Parameters...), Arguments... arguments) {
    if (status_.ok()) {
      const cudnnStatus_t answer = function(arguments...);
      if (answer != CUDNN_STATUS_SUCCESS) {
        status_ = {Status::Code::kernel_fault, Library::instance().call().error_string(answer), -1};
      }
    }
    return *this;
  }
  void fail(const char* message) {
    if (status_.ok()) {
      status_ = {Status::Code::kernel_fault, message, -1};
    }
  }
  const Status& status() const { return status_; }

 private:
  Status status_;
};

cudnnRNNMode_t mode_of(RecurrentCell cell) {
  switch (cell) {
    case RecurrentCell::tanh: return CUDNN_RNN_TANH;
    case RecurrentCell::relu: return CUDNN_RNN_RELU;
    case RecurrentCell::lstm: return CUDNN_LSTM;
    case RecurrentCell::gru: return CUDNN_GRU;
  }
  return CUDNN_RNN_TANH;
}

cudnnDataType_t type_of(DType dtype) {
  return dtype == DType::f64 ? CUDNN_DATA_DOUBLE : CUDNN_DATA_FLOAT;
}

// Where a piece lies in the weight space, in bytes.
struct Place {
  std::ptrdiff_t matrix, bias;
};

// What cuDNN has to know of one shape on one GPU.
struct Plan {
  cudnnHandle_t handle = nullptr;
  cudnnRNNDescriptor_t rnn = nullptr;
  cudnnRNNDataDescriptor_t x = nullptr, h = nullptr;
  cudnnTensorDescriptor_t state = nullptr;
  RecurrentLayerSizes sizes{};
  std::size_t weight_bytes = 0, workspace_bytes = 0, reserve_bytes = 0;
  std::vector<Place> places;  // of weight_pieces()
};

std::int64_t whole_doubles(std::size_t bytes) {
  return static_cast<std::int64_t>((bytes + 7) / 8 * 8);
}

Status describe(const RecurrentLayer& p, Plan& plan) {
  const Functions& f = Library::instance().call();
  const cudnnDataType_t type = type_of(p.dtype);
  const auto small = [](std::int64_t extent) { return static_cast<int>(extent); };
  Calls call;
  cudnnDropoutDescriptor_t dropout = nullptr;
  call(f.dropout_create, &dropout);
  call(f.dropout_set, dropout, plan.handle, 0.0f, static_cast<void*>(nullptr), std::size_t{0},
       0ULL);
  call(f.rnn_create, &plan.rnn);
  // FMA_MATH keeps tensor cores, and so tf32, out.
  const cudnnMathType_t math = p.precision == Precision::tf32 ? CUDNN_DEFAULT_MATH : CUDNN_FMA_MATH;
  call(f.rnn_set, plan.rnn, CUDNN_RNN_ALGO_STANDARD, mode_of(p.cell), CUDNN_RNN_DOUBLE_BIAS,
       CUDNN_UNIDIRECTIONAL, CUDNN_LINEAR_INPUT, type, type, math, small(p.in), small(p.width),
       small(p.width), 1, dropout, std::uint32_t{CUDNN_RNN_PADDED_IO_ENABLED});
  const std::vector<int> lengths(static_cast<std::size_t>(p.B), small(p.L));
  call(f.data_create, &plan.x);
  call(f.data_create, &plan.h);
  for (const auto& [data, width] : {std::pair(plan.x, p.in), std::pair(plan.h, p.width)}) {
    call(f.data_set, data, type, CUDNN_RNN_DATA_LAYOUT_BATCH_MAJOR_UNPACKED, small(p.L), small(p.B),
         small(width), lengths.data(), static_cast<void*>(nullptr));
  }
  const std::array<int, 3> extents = {1, small(p.B), small(p.width)};
  const std::array<int, 3> strides = {small(p.B * p.width), small(p.width), 1};
  call(f.tensor_create, &plan.state);
  call(f.tensor_set, plan.state, type, 3, extents.data(), strides.data());
  call(f.weight_bytes, plan.handle, plan.rnn, &plan.weight_bytes);
  call(f.temporary_bytes, plan.handle, plan.rnn, CUDNN_FWD_MODE_TRAINING, plan.x,
       &plan.workspace_bytes, &plan.reserve_bytes);
  plan.sizes = {whole_doubles(plan.weight_bytes), whole_doubles(plan.reserve_bytes),
                whole_doubles(plan.workspace_bytes)};
  return call.status();
}

// Asks where each piece lies in a weight space that begins at `weights`, and whether it has the
// shape that we think.
Status find_places(const RecurrentLayer& p, const void* weights, Plan& plan) {
  const Functions& f = Library::instance().call();
  Calls call;
  cudnnTensorDescriptor_t matrix = nullptr;
  cudnnTensorDescriptor_t bias = nullptr;
  call(f.tensor_create, &matrix);
  call(f.tensor_create, &bias);
  const auto elements = [&](cudnnTensorDescriptor_t of) {
    cudnnDataType_t type = CUDNN_DATA_FLOAT;
    int rank = 0;
    std::array<int, 3> extents{};
    std::array<int, 3> strides{};
    call(f.tensor_get, of, 3, &type, &rank, extents.data(), strides.data());
    std::int64_t count = 1;
    for (const int extent : extents) {
      count *= extent;
    }
    return count;
  };
  std::vector<Place> places;
  for (const WeightPiece& piece : weight_pieces(p)) {
    void* matrix_at = nullptr;
    void* bias_at = nullptr;
    call(f.weight_place, plan.handle, plan.rnn, 0, plan.weight_bytes, weights, piece.number, matrix,
         &matrix_at, bias, &bias_at);
    if (call.status().ok() &&
        (matrix_at == nullptr || bias_at == nullptr ||
         elements(matrix) != piece.rows * piece.columns || elements(bias) != piece.rows)) {
      call.fail("cuDNN has other weights in this layer than are known here");
    }
    const auto* const begin = static_cast<const std::byte*>(weights);
    places.push_back(
        {static_cast<std::byte*>(matrix_at) - begin, static_cast<std::byte*>(bias_at) - begin});
  }
  if (call.status().ok()) {
    plan.places = places;
  }
  return call.status();
}

// The plans made so far. One mutex for all calls: a handle serves one thread at a time.
class Plans {
 public:
  static Plans& instance() {
    static Plans* const plans = new Plans;
    return *plans;
  }

  // function(plan) with the plan of this layer, on this stream.
  template <class F>
  Status with(const RecurrentLayer& p, const CudaContext& context, F&& function) {
    if (const Status status = check_recurrent_layer(p); !status.ok()) {
      return status;
    }
    if (const Status status = Library::instance().status(); !status.ok()) {
      return status;
    }
    int device = 0;
    if (const cudaError_t error = cudaGetDevice(&device); error != cudaSuccess) {
      return cuda_status(error, "a recurrent layer of cuDNN");
    }
    const std::lock_guard lock(mutex_);
    const std::vector<std::int64_t> key = {device,
                                           static_cast<int>(p.cell),
                                           p.B,
                                           p.L,
                                           p.in,
                                           p.width,
                                           static_cast<int>(p.dtype),
                                           static_cast<int>(p.precision)};
    std::unique_ptr<Plan>& plan = plans_[key];
    Calls call;
    if (plan == nullptr) {
      cudnnHandle_t& handle = handles_[device];
      if (handle == nullptr) {
        call(Library::instance().call().create, &handle);
      }
      auto made = std::make_unique<Plan>();
      made->handle = handle;
      if (call.status().ok()) {
        if (const Status status = describe(p, *made); !status.ok()) {
          return status;
        }
        plan = std::move(made);
      }
    }
    if (call.status().ok()) {
      call(Library::instance().call().set_stream, plan->handle, context.stream);
    }
    return call.status().ok() ? function(*plan) : call.status();
  }

 private:
  std::mutex mutex_;
  std::map<int, cudnnHandle_t> handles_;
  std::map<std::vector<std::int64_t>, std::unique_ptr<Plan>> plans_;
};

// copy(place in the parameter, place in the weight space, bytes) for each piece and each bias;
// `ih` and `hh` are pairs of a matrix and a bias.
template <class T, class F>
Status for_all_pieces(const RecurrentLayer& p, const Plan& plan, std::array<T*, 2> ih,
                      std::array<T*, 2> hh, F&& copy) {
  const std::vector<WeightPiece> pieces = weight_pieces(p);
  const auto size = static_cast<std::int64_t>(size_of(p.dtype));
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const WeightPiece& piece = pieces[i];
    const std::array<T*, 2>& from = piece.recurrent ? hh : ih;
    const std::int64_t row = piece.columns * size;
    Status status = copy(from[0] + piece.first_row * row, plan.places[i].matrix, piece.rows * row);
    if (status.ok()) {
      status = copy(from[1] + piece.first_row * size, plan.places[i].bias, piece.rows * size);
    }
    if (!status.ok()) {
      return status;
    }
  }
  return {};
}

}  // namespace

Status recurrent_layer_library() { return Library::instance().status(); }

Status recurrent_layer_sizes(const RecurrentLayer& p, RecurrentLayerSizes& sizes,
                             const CudaContext& context) {
  return Plans::instance().with(p, context, [&](const Plan& plan) {
    sizes = plan.sizes;
    return Status{};
  });
}

Status recurrent_layer_forward(const RecurrentLayerForward& p, const CudaContext& context) {
  return Plans::instance().with(p.layer, context, [&](Plan& plan) {
    if (plan.places.empty()) {
      if (const Status status = find_places(p.layer, p.weights, plan); !status.ok()) {
        return status;
      }
    }
    using Bytes = const std::byte;
    const auto bytes = [](const void* data) { return static_cast<Bytes*>(data); };
    auto* const weights = static_cast<std::byte*>(p.weights);
    const Status packed = for_all_pieces<Bytes>(
        p.layer, plan, {bytes(p.weight_ih), bytes(p.bias_ih)},
        {bytes(p.weight_hh), bytes(p.bias_hh)},
        [&](Bytes* parameter, std::ptrdiff_t place, std::int64_t count) {
          return cuda_move(weights + place, parameter, static_cast<std::size_t>(count), context);
        });
    if (!packed.ok()) {
      return packed;
    }
    Calls call;
    count_cuda_launch();
    call(Library::instance().call().forward, plan.handle, plan.rnn, CUDNN_FWD_MODE_TRAINING,
         static_cast<const std::int32_t*>(nullptr), plan.x, p.x, plan.h, p.h, plan.state,
         static_cast<const void*>(nullptr), static_cast<void*>(nullptr), plan.state,
         static_cast<const void*>(nullptr), static_cast<void*>(nullptr), plan.weight_bytes,
         static_cast<const void*>(p.weights), plan.workspace_bytes, p.workspace, plan.reserve_bytes,
         p.reserve);
    return call.status();
  });
}

Status recurrent_layer_backward(const RecurrentLayerBackward& p, const CudaContext& context) {
  return Plans::instance().with(p.layer, context, [&](const Plan& plan) {
    if (plan.places.empty()) {
      return Status::invalid(
          "the backward pass of a recurrent layer comes behind its forward pass");
    }
    const void* const none = nullptr;
    void* const nowhere = nullptr;
    const std::int32_t* const lengths = nullptr;
    const Functions& f = Library::instance().call();
    Calls call;
    count_cuda_launch();
    call(f.backward_data, plan.handle, plan.rnn, lengths, plan.h, p.h, p.dh, plan.x, p.dx,
         plan.state, none, none, nowhere, plan.state, none, none, nowhere, plan.weight_bytes,
         p.weights, plan.workspace_bytes, p.workspace, plan.reserve_bytes, p.reserve);
    // cuDNN adds the gradients of weights to what is there.
    Status status = call.status();
    if (status.ok()) {
      status = cuda_status(cudaMemsetAsync(p.dweights, 0, plan.weight_bytes, context.stream),
                           "a recurrent layer of cuDNN");
    }
    if (!status.ok()) {
      return status;
    }
    count_cuda_launch();
    call(f.backward_weights, plan.handle, plan.rnn, CUDNN_WGRAD_MODE_ADD, lengths, plan.x, p.x,
         plan.state, none, plan.h, p.h, plan.weight_bytes, p.dweights, plan.workspace_bytes,
         p.workspace, plan.reserve_bytes, p.reserve);
    if (!call.status().ok()) {
      return call.status();
    }
    using Bytes = std::byte;
    const auto bytes = [](void* data) { return static_cast<Bytes*>(data); };
    const auto* const weights = static_cast<const Bytes*>(p.dweights);
    return for_all_pieces<Bytes>(p.layer, plan, {bytes(p.dweight_ih), bytes(p.dbias_ih)},
                                 {bytes(p.dweight_hh), bytes(p.dbias_hh)},
                                 [&](Bytes* parameter, std::ptrdiff_t place, std::int64_t count) {
                                   return cuda_move(parameter, weights + place,
                                                    static_cast<std::size_t>(count), context);
                                 });
  });
}

}  // namespace basin::kernels

#else

namespace basin::kernels {

namespace {

constexpr Status kMissing = {Status::Code::not_built,
                             "this build was made without cuDNN's headers (cudnn.h)", -1};

}  // namespace

Status recurrent_layer_library() { return kMissing; }
Status recurrent_layer_sizes(const RecurrentLayer&, RecurrentLayerSizes&, const CudaContext&) {
  return kMissing;
}
Status recurrent_layer_forward(const RecurrentLayerForward&, const CudaContext&) {
  return kMissing;
}
Status recurrent_layer_backward(const RecurrentLayerBackward&, const CudaContext&) {
  return kMissing;
}

}  // namespace basin::kernels

#endif
