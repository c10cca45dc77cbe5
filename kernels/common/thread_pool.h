// One pool for the whole process. Work is cut into chunks whose borders depend on the problem
// alone, never on the number of threads: any thread may take any chunk, so a result has the same
// bits for 1, 2 or 64 threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <type_traits>

namespace basin::kernels {

/// A borrowed callable `void(int64_t chunk)`. It must outlive the call it is passed to.
class ChunkFunction {
 public:
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, ChunkFunction>)
      // NOLINTNEXTLINE(google-explicit-constructor): reads as the callable itself
      ChunkFunction(F&& function)
      : object_(const_cast<void*>(static_cast<const void*>(&function))),
        call_([](void* object, std::int64_t chunk) {
          (*static_cast<std::remove_reference_t<F>*>(object))(chunk);
        }) {}

  void operator()(std::int64_t chunk) const { call_(object_, chunk); }

 private:
  void* object_;
  void (*call_)(void*, std::int64_t);
};

class ThreadPool {
 public:
  /// `threads` >= 1 counts the caller; threads - 1 workers are started.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;

  /// 0 for the thread that called run(), 1 ... threads() - 1 for the workers: picks a slice of a
  /// workspace that chunks on the same thread may share.
  static int thread_index();

  /// Calls `function(0) ... function(chunks - 1)`, each once, and returns when all have returned.
  /// A call from inside a chunk runs its chunks one after the other on the same thread.
  void run(std::int64_t chunks, ChunkFunction function);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Where a CPU kernel runs.
struct CpuContext {
  ThreadPool* pool;
};

/// Cuts [0, count) into pieces of `grain` and calls `function(begin, end)` on each.
template <class F>
void for_ranges(const CpuContext& context, std::int64_t count, std::int64_t grain, F&& function) {
  if (count <= 0) {
    return;
  }
  const std::int64_t chunks = (count + grain - 1) / grain;
  if (chunks == 1) {
    function(std::int64_t{0}, count);
    return;
  }
  context.pool->run(chunks, [&](std::int64_t chunk) {
    const std::int64_t begin = chunk * grain;
    function(begin, std::min(begin + grain, count));
  });
}

}  // namespace basin::kernels
