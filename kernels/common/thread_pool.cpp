#include "kernels/common/thread_pool.h"

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "kernels/simd/isa.h"

namespace basin::kernels {

namespace {
// A chunk that starts another parallel loop must not wait for the pool it is running on.
thread_local bool inside_chunk = false;
thread_local int index_in_pool = 0;
}  // namespace

struct ThreadPool::State {
  std::mutex submit;  // one parallel loop at a time, whichever thread starts it
  std::mutex mutex;
  std::condition_variable work;
  std::condition_variable done;
  const ChunkFunction* function = nullptr;
  std::int64_t next = 0;
  std::int64_t chunks = 0;
  std::int64_t unfinished = 0;
  bool stop = false;
  std::vector<std::thread> workers;

  // Takes chunks until none is left. Called with the lock held, returns with it held.
  void drain(std::unique_lock<std::mutex>& lock) {
    while (next < chunks) {
      const std::int64_t chunk = next++;
      const ChunkFunction& current = *function;
      lock.unlock();
      inside_chunk = true;
      current(chunk);
      inside_chunk = false;
      lock.lock();
      if (--unfinished == 0) {
        done.notify_all();
      }
    }
  }

  void worker() {
    std::unique_lock<std::mutex> lock(mutex);
    while (true) {
      work.wait(lock, [this] { return stop || next < chunks; });
      if (stop) {
        return;
      }
      drain(lock);
    }
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  isa();  // decides, before any kernel can run
  for (int i = 1; i < threads; ++i) {
    state_->workers.emplace_back([state = state_.get(), i] {
      index_in_pool = i;
      state->worker();
    });
  }
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard<std::mutex> lock(state_->mutex);
    state_->stop = true;
  }
  state_->work.notify_all();
  for (std::thread& worker : state_->workers) {
    worker.join();
  }
}

int ThreadPool::thread_index() { return index_in_pool; }

int ThreadPool::threads() const { return static_cast<int>(state_->workers.size()) + 1; }

void ThreadPool::run(std::int64_t chunks, ChunkFunction function) {
  if (chunks <= 0) {
    return;
  }
  if (inside_chunk || chunks == 1 || state_->workers.empty()) {
    for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
      function(chunk);
    }
    return;
  }
  const std::lock_guard<std::mutex> one_loop(state_->submit);
  std::unique_lock<std::mutex> lock(state_->mutex);
  state_->function = &function;
  state_->next = 0;
  state_->chunks = chunks;
  state_->unfinished = chunks;
  state_->work.notify_all();
  state_->drain(lock);
  state_->done.wait(lock, [this] { return state_->unfinished == 0; });
  state_->function = nullptr;
  state_->chunks = 0;
}

}  // namespace basin::kernels
