// Work on a GPU that is written down first and started later as a whole: CUDA's graphs. And numbers
// that come back while the GPU goes on. No header of CUDA is needed to include this; what is here
// exists only where kCudaBuilt is true.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/common/context.h"
#include "kernels/common/status.h"

namespace basin::kernels {

/// What is queued between begin() and end() is written down instead of being run. CUDA refuses,
/// with a status of the call in question or of end(), whatever waits for the GPU or takes memory
/// from it meanwhile. The stream must not be CUDA's default stream.
class CudaGraph {
 public:
  CudaGraph() = default;
  ~CudaGraph();
  CudaGraph(const CudaGraph&) = delete;
  CudaGraph& operator=(const CudaGraph&) = delete;

  Status begin(const CudaContext&);
  /// Ends what begin() began, also after a failure in between, and makes the graph ready to start.
  Status end(const CudaContext&);

  /// Queues everything once more, as one launch.
  Status launch(const CudaContext&) const;
  /// Kernels of one launch, and copies.
  std::int64_t kernels() const { return kernels_; }
  std::int64_t copies() const { return copies_; }

 private:
  void* graph_ = nullptr;       // cudaGraph_t
  void* executable_ = nullptr;  // cudaGraphExec_t
  std::int64_t kernels_ = 0, copies_ = 0;
};

/// Bytes on their way from the GPU to pinned memory.
class CudaReadback {
 public:
  CudaReadback() = default;
  ~CudaReadback();
  CudaReadback(const CudaReadback&) = delete;
  CudaReadback& operator=(const CudaReadback&) = delete;

  /// Queues copies of `parts` pieces, one behind the other; returns at once. Whatever an earlier
  /// start() brought is forgotten.
  Status start(const void* const* pieces, const std::size_t* bytes, std::size_t parts,
               const CudaContext&);
  /// Whether all bytes are there.
  bool arrived() const;
  /// Waits for them, not for what was queued later. Tells of a kernel that failed before.
  Status wait() const;
  const void* data() const { return memory_; }

 private:
  void* memory_ = nullptr;
  void* done_ = nullptr;  // cudaEvent_t
  std::size_t capacity_ = 0;
};

/// A stream of its own for all work of this program; CUDA's default stream cannot be captured. Work
/// in the default stream is still ordered with it.
Status cuda_make_stream(CudaContext& context);

/// "what: CUDA says '...'" for a cudaError_t; ok for cudaSuccess. The message is this thread's
/// last.
Status cuda_status(int error, const char* what);

/// Kernels that launch() and the libraries were asked to start since the program began, whether
/// they were run or written down, and graphs that were launched.
std::int64_t cuda_launches();
void count_cuda_launch();

}  // namespace basin::kernels
