#include "tensor/readback.h"

#include <cstring>

#include "kernels/cuda/graph.h"
#include "tensor/check.h"
#include "tensor/device_graph.h"
#include "tensor/error.h"

namespace basin {

struct Readback::State {
  std::vector<Tensor> values;  // here; of a GPU filled when they are asked for
#ifdef BASIN_WITH_CUDA
  bool on_gpu = false;
  kernels::CudaReadback from_gpu;
#endif
};

Readback::Readback() : state_(std::make_unique<State>()) {}
Readback::~Readback() = default;
Readback::Readback(Readback&&) noexcept = default;
Readback& Readback::operator=(Readback&&) noexcept = default;

void Readback::start(const std::vector<Tensor>& tensors) {
  state_->values.clear();
  for (const Tensor& tensor : tensors) {
    check_same_device("Readback", tensors.front(), tensor);
    refuse_in_capture(tensor.device(), "reading numbers back");
  }
#ifdef BASIN_WITH_CUDA
  state_->on_gpu = !tensors.empty() && tensors.front().device() == Device::cuda;
  if (state_->on_gpu) {
    std::vector<Tensor> sources;
    std::vector<const void*> pieces;
    std::vector<std::size_t> bytes;
    for (const Tensor& tensor : tensors) {
      sources.push_back(tensor.contiguous());
      pieces.push_back(sources.back().raw());
      bytes.push_back(static_cast<std::size_t>(tensor.numel()) * size_of(tensor.dtype()));
      state_->values.push_back(Tensor::empty(tensor.shape(), tensor.dtype()));
    }
    check(state_->from_gpu.start(pieces.data(), bytes.data(), pieces.size(), cuda_context()),
          "Readback", tensors.front());
    return;
  }
#endif
  for (const Tensor& tensor : tensors) {
    state_->values.push_back(tensor.device() == Device::cpu ? tensor.clone()
                                                            : tensor.to(Device::cpu));
  }
}

bool Readback::arrived() const {
#ifdef BASIN_WITH_CUDA
  if (state_->on_gpu) {
    return state_->from_gpu.arrived();
  }
#endif
  return true;
}

std::vector<Tensor> Readback::values() const {
#ifdef BASIN_WITH_CUDA
  if (state_->on_gpu) {
    check(state_->from_gpu.wait(), "Readback");
    const char* from = static_cast<const char*>(state_->from_gpu.data());
    for (Tensor& value : state_->values) {
      const std::size_t bytes = static_cast<std::size_t>(value.numel()) * size_of(value.dtype());
      std::memcpy(value.mutable_raw(), from, bytes);
      from += bytes;
    }
  }
#endif
  return state_->values;
}

}  // namespace basin
