#include "kernels/simt/engine.h"

#include <atomic>

#include "kernels/simt/block.h"

namespace basin::kernels::simt {

void block_barrier(const Location& at) { Block::of_this_thread().barrier(at); }

void named_barrier(int id, int threads, bool wait, const Location& at) {
  Block::of_this_thread().named_barrier(id, threads, wait, at);
}

std::uint64_t warp_collective(Collective what, std::uint32_t mask, std::uint64_t value,
                              std::int64_t argument, int width, const Location& at) {
  return Block::collective(what, mask, value, argument, width, at);
}

bool has_matrix_row(const void* row, int count, const Location& at) {
  return Block::of_this_thread().has_matrix_row(row, count, at);
}

void matrix_exchange(const std::uint16_t* row, int count, bool transposed, std::uint32_t* to,
                     const Location& at) {
  Block::of_this_thread().matrix_exchange(row, count, transposed, to, at);
}

void matrix_multiply(Collective what, float* d, const std::uint32_t* a, const std::uint32_t* b,
                     const Location& at) {
  Block::of_this_thread().matrix_multiply(what, d, a, b, at);
}

void* static_shared(const void* key, std::size_t bytes, const Location& at) {
  return Block::of_this_thread().static_shared(key, bytes, at);
}

void* dynamic_shared() { return Block::of_this_thread().dynamic_shared(); }

void async_copy(void* target, const void* source, int bytes, int valid, const Location& at) {
  Block::of_this_thread().async_copy({target, source, bytes, valid}, at);
}

void async_commit() { Block::of_this_thread().async_commit(); }

void async_wait(int pending) { Block::of_this_thread().async_wait(pending); }

void misaligned_access(std::size_t bytes, const Location& at) {
  Block::of_this_thread().misaligned_access(bytes, at);
}

void memory_fence() { std::atomic_thread_fence(std::memory_order_seq_cst); }

}  // namespace basin::kernels::simt
