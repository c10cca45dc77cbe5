#include "tensor/device_graph.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "kernels/cuda/graph.h"
#include "kernels/cuda/runtime.h"
#include "kernels/simt/recording.h"
#include "tensor/error.h"

namespace basin {

namespace {

thread_local const Device* captured_device = nullptr;
thread_local DeviceGraph* working_graph = nullptr;

}  // namespace

// What both kinds of graphs share is small; each has its own.
struct DeviceGraph::Recorded {
  kernels::simt::Recording on_simt;
#ifdef BASIN_WITH_CUDA
  kernels::CudaGraph on_cuda;
#endif
};

// Memory of the graph, and whose before_replay() is meant, for a scope.
class DeviceGraph::Working {
 public:
  explicit Working(DeviceGraph& graph)
      : memory_(graph.memory_, graph.device_), previous_(std::exchange(working_graph, &graph)) {
    graph.actions_.clear();
  }
  ~Working() { working_graph = previous_; }
  Working(const Working&) = delete;
  Working& operator=(const Working&) = delete;

 private:
  ScopedAllocator memory_;
  DeviceGraph* previous_;
};

bool is_capturing(Device device) {
  return captured_device != nullptr && *captured_device == device;
}

void refuse_in_capture(Device device, const std::string& what) {
  if (is_capturing(device)) {
    fail(
        "[capture] {}: a graph cannot do this each time it runs. It has to happen before or after "
        "the work that is captured",
        what);
  }
}

DeviceGraph::DeviceGraph(Device device)
    : device_(device), memory_(std::make_shared<GraphMemory>(device)) {
  if (device == Device::cpu) {
    fail("the CPU has no graphs: its kernels run when they are called");
  }
  require(device);
  if constexpr (kernels::kCudaBuilt) {
    if (device == Device::cuda && kernels::cuda_waits_after_launch()) {
      fail("BASIN_CUDA_SYNC is 1: every launch waits for its kernel, which a graph cannot do");
    }
  }
}

DeviceGraph::~DeviceGraph() = default;

void DeviceGraph::rehearse(const std::function<void()>& work) {
  const Working working(*this);
  work();
}

void DeviceGraph::capture(const std::function<void()>& work) {
  recorded_.reset();
  auto recorded = std::make_unique<Recorded>();
  const Working working(*this);
  const struct Capturing {
    explicit Capturing(const Device& device) { captured_device = &device; }
    ~Capturing() { captured_device = nullptr; }
  } capturing(device_);
  if (device_ == Device::simt) {
    const kernels::simt::Recorder recorder(recorded->on_simt);
    work();
  }
#ifdef BASIN_WITH_CUDA
  if (device_ == Device::cuda) {
    const auto checked = [](const kernels::Status& status) {
      if (!status.ok()) {
        fail("{}", status.message);
      }
    };
    kernels::CudaGraph& graph = recorded->on_cuda;
    checked(graph.begin(cuda_context()));
    try {
      work();
    } catch (...) {
      (void)graph.end(cuda_context());  // or the stream would go on capturing
      throw;
    }
    checked(graph.end(cuda_context()));
  }
#endif
  recorded_ = std::move(recorded);
}

bool DeviceGraph::captured() const { return recorded_ != nullptr; }

void DeviceGraph::prepare() {
  for (const Action& action : actions_) {
    action.act();
  }
}

void DeviceGraph::replay() {
  if (!captured()) {
    fail("[replay] nothing was captured");
  }
  kernels::Status status;
  if (device_ == Device::simt) {
    status = recorded_->on_simt.replay(simt_context());
  }
#ifdef BASIN_WITH_CUDA
  if (device_ == Device::cuda) {
    status = recorded_->on_cuda.launch(cuda_context());
  }
#endif
  if (!status.ok()) {
    fail("[replay] {}", status.message);
  }
}

std::int64_t DeviceGraph::launches() const {
  if (!captured()) {
    return 0;
  }
#ifdef BASIN_WITH_CUDA
  if (device_ == Device::cuda) {
    return recorded_->on_cuda.kernels();
  }
#endif
  return recorded_->on_simt.launches();
}

std::int64_t DeviceGraph::copies() const {
  if (!captured()) {
    return 0;
  }
#ifdef BASIN_WITH_CUDA
  if (device_ == Device::cuda) {
    return recorded_->on_cuda.copies();
  }
#endif
  return recorded_->on_simt.copies();
}

void DeviceGraph::before_replay(const void* owner, std::uint64_t call,
                                std::function<void()> action) {
  if (working_graph == nullptr) {
    return;
  }
  for (const Action& known : working_graph->actions_) {
    if (known.owner != owner) {
      continue;
    }
    if (known.call == call) {
      return;
    }
    if (is_capturing(working_graph->device_)) {
      fail("[capture] a layer that draws new features is called twice in one step");
    }
  }
  working_graph->actions_.push_back({owner, call, std::move(action)});
}

struct GraphMemory::State {
  explicit State(Device device) : behind(allocator_of(device)) {}

  std::shared_ptr<Allocator> behind;
  mutable std::mutex mutex;
  MemoryStats stats;
  std::map<std::size_t, std::vector<void*>> free;  // by block_size()
};

GraphMemory::GraphMemory(Device device) : state_(std::make_unique<State>(device)) {}

GraphMemory::~GraphMemory() {
  for (const auto& [size, blocks] : state_->free) {
    for (void* const block : blocks) {
      state_->behind->release(block, size);
    }
  }
}

void* GraphMemory::allocate(std::size_t bytes) {
  const std::size_t size = block_size(bytes);
  const std::lock_guard<std::mutex> lock(state_->mutex);
  std::vector<void*>& free = state_->free[size];
  void* block = nullptr;
  if (free.empty()) {
    block = state_->behind->allocate(size);
  } else {
    block = free.back();
    free.pop_back();
    state_->stats.cached -= size;
  }
  state_->stats.active += size;
  state_->stats.peak = std::max(state_->stats.peak, state_->stats.active);
  return block;
}

void GraphMemory::release(void* block, std::size_t bytes) noexcept {
  const std::size_t size = block_size(bytes);
  const std::lock_guard<std::mutex> lock(state_->mutex);
  state_->stats.active -= size;
  try {
    state_->free[size].push_back(block);
    state_->stats.cached += size;
  } catch (...) {  // no memory for the list itself: lost, rather than given to somebody else
  }
}

MemoryStats GraphMemory::stats() const {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  return state_->stats;
}

void GraphMemory::reset_peak() {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  state_->stats.peak = state_->stats.active;
}

}  // namespace basin
