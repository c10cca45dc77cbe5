#include "kernels/cuda/graph.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <vector>

namespace basin::kernels {

namespace {

std::atomic<std::int64_t> launched{0};

cudaGraph_t graph_of(void* graph) { return static_cast<cudaGraph_t>(graph); }
cudaGraphExec_t executable_of(void* executable) { return static_cast<cudaGraphExec_t>(executable); }
cudaEvent_t event_of(void* event) { return static_cast<cudaEvent_t>(event); }

}  // namespace

CudaGraph::~CudaGraph() {
  if (executable_ != nullptr) {
    (void)cudaGraphExecDestroy(executable_of(executable_));
  }
  if (graph_ != nullptr) {
    (void)cudaGraphDestroy(graph_of(graph_));
  }
}

Status CudaGraph::begin(const CudaContext& context) {
  // Of this thread only: what other threads do with the GPU is no business of the graph.
  return cuda_status(cudaStreamBeginCapture(context.stream, cudaStreamCaptureModeThreadLocal),
                     "beginning to capture");
}

Status CudaGraph::end(const CudaContext& context) {
  cudaGraph_t graph = nullptr;
  cudaError_t error = cudaStreamEndCapture(context.stream, &graph);
  graph_ = graph;
  if (error == cudaSuccess && graph == nullptr) {
    error = cudaErrorStreamCaptureInvalidated;
  }
  if (error == cudaSuccess) {
    cudaGraphExec_t executable = nullptr;
    error = cudaGraphInstantiate(&executable, graph, 0);
    executable_ = executable;
  }
  if (error != cudaSuccess) {
    return cuda_status(error, "capturing a graph");
  }
  std::size_t count = 0;
  error = cudaGraphGetNodes(graph, nullptr, &count);
  std::vector<cudaGraphNode_t> nodes(count);
  if (error == cudaSuccess && count > 0) {
    error = cudaGraphGetNodes(graph, nodes.data(), &count);
  }
  for (const cudaGraphNode_t node : nodes) {
    cudaGraphNodeType type{};
    if (error == cudaSuccess) {
      error = cudaGraphNodeGetType(node, &type);
    }
    kernels_ += type == cudaGraphNodeTypeKernel ? 1 : 0;
    copies_ += type == cudaGraphNodeTypeMemcpy || type == cudaGraphNodeTypeMemset ? 1 : 0;
  }
  return cuda_status(error, "asking for the nodes of a graph");
}

Status CudaGraph::launch(const CudaContext& context) const {
  count_cuda_launch();
  return cuda_status(cudaGraphLaunch(executable_of(executable_), context.stream),
                     "starting a graph");
}

CudaReadback::~CudaReadback() {
  if (done_ != nullptr) {
    (void)cudaEventSynchronize(event_of(done_));  // bytes may still be on their way
    (void)cudaEventDestroy(event_of(done_));
  }
  if (memory_ != nullptr) {
    (void)cudaFreeHost(memory_);
  }
}

Status CudaReadback::start(const void* const* pieces, const std::size_t* bytes, std::size_t parts,
                           const CudaContext& context) {
  std::size_t total = 0;
  for (std::size_t n = 0; n < parts; ++n) {
    total += bytes[n];
  }
  cudaError_t error = cudaSuccess;
  if (done_ == nullptr) {
    cudaEvent_t event = nullptr;
    error = cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
    done_ = event;
  } else {
    error = cudaEventSynchronize(event_of(done_));
  }
  if (error == cudaSuccess && capacity_ < total) {
    if (memory_ != nullptr) {
      (void)cudaFreeHost(memory_);
    }
    memory_ = nullptr;
    capacity_ = 0;
    error = cudaMallocHost(&memory_, std::max<std::size_t>(total, 256));
    capacity_ = error == cudaSuccess ? std::max<std::size_t>(total, 256) : 0;
  }
  std::size_t at = 0;
  for (std::size_t n = 0; error == cudaSuccess && n < parts; ++n) {
    error = cudaMemcpyAsync(static_cast<char*>(memory_) + at, pieces[n], bytes[n],
                            cudaMemcpyDeviceToHost, context.stream);
    at += bytes[n];
  }
  if (error == cudaSuccess) {
    error = cudaEventRecord(event_of(done_), context.stream);
  }
  return cuda_status(error, "copying numbers from the GPU");
}

bool CudaReadback::arrived() const {
  return done_ == nullptr || cudaEventQuery(event_of(done_)) != cudaErrorNotReady;
}

Status CudaReadback::wait() const {
  return done_ == nullptr ? Status{}
                          : cuda_status(cudaEventSynchronize(event_of(done_)),
                                        "waiting for numbers from the GPU");
}

Status cuda_make_stream(CudaContext& context) {
  return cuda_status(cudaStreamCreate(&context.stream), "making a stream");
}

Status cuda_status(int error, const char* what) {
  if (error == cudaSuccess) {
    return {};
  }
  (void)cudaGetLastError();  // or the next call would report it once more
  const auto code = static_cast<cudaError_t>(error);
  thread_local char text[512];
  std::snprintf(text, sizeof text, "%s: CUDA says '%s' (%s)", what, cudaGetErrorString(code),
                cudaGetErrorName(code));
  return {Status::Code::kernel_fault, text, -1};
}

std::int64_t cuda_launches() { return launched.load(std::memory_order_relaxed); }
void count_cuda_launch() { launched.fetch_add(1, std::memory_order_relaxed); }

}  // namespace basin::kernels
