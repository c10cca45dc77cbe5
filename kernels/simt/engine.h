// What device code calls when it runs on the CPU. kernels/common/device.h gives these CUDA's names.
// Each is one call into the engine, which alone knows the other threads; values go in and come back
// by copy, so that ThreadSanitizer sees the memory of the kernel and nothing else.
#pragma once

#include <cstddef>
#include <cstdint>

namespace basin::kernels::simt {

/// A place in the sources: as a default argument, that of the call. (std::source_location would be
/// the same, but clang 14 and its clang-tidy do not have it.)
class Location {
 public:
  static constexpr Location current(const char* file = __builtin_FILE(),
                                    unsigned line = __builtin_LINE()) {
    Location here;
    here.file_ = file;
    here.line_ = line;
    return here;
  }
  constexpr const char* file_name() const { return file_; }
  constexpr unsigned line() const { return line_; }

 private:
  const char* file_ = "";
  unsigned line_ = 0;
};

struct Index3 {
  unsigned x, y, z;
};

// Set by the engine whenever another thread gets its turn. A block stays on one thread of the
// operating system.
extern constinit thread_local Index3 threadIdx;
extern constinit thread_local Index3 blockIdx;
extern constinit thread_local Index3 blockDim;
extern constinit thread_local Index3 gridDim;

/// Waits for every thread of the block.
void block_barrier(const Location& at);

/// Barrier `id`, 1 ... 15, opens when `threads` threads have come, those that wait and those that
/// only arrive.
void named_barrier(int id, int threads, bool wait, const Location& at);

enum class Collective : std::uint8_t {
  sync,
  shuffle,
  shuffle_up,
  shuffle_down,
  shuffle_xor,
  ballot,
  any,
  all,
  add,
  min_signed,
  max_signed,
  min_unsigned,
  max_unsigned,
  bit_and,
  bit_or,
  bit_xor,
  ldmatrix,
  mma_bf16,
  mma_f16,
  mma_tf32
};

/// Waits for the lanes of `mask` and gives this lane its result. `value`: the bits of the operand;
/// `argument`: lane, distance or lane mask of a shuffle; `width`: of a shuffle.
std::uint64_t warp_collective(Collective what, std::uint32_t mask, std::uint64_t value,
                              std::int64_t argument, int width, const Location& at);

/// Whether ldmatrix of `count` matrices reads the row of this lane; then it must lie in shared
/// memory.
bool has_matrix_row(const void* row, int count, const Location& at);

/// The rest of ldmatrix over the whole warp: `row` are the 8 elements that this lane has read, `to`
/// are its `count` registers.
void matrix_exchange(const std::uint16_t* row, int count, bool transposed, std::uint32_t* to,
                     const Location& at);

/// d += A B over the whole warp, which holds the matrices in registers: common/fragments.h. `what`:
/// one of the mma.
void matrix_multiply(Collective what, float* d, const std::uint32_t* a, const std::uint32_t* b,
                     const Location& at);

/// The array of this block that belongs to `key`, at a multiple of 16 bytes and of no more.
void* static_shared(const void* key, std::size_t bytes, const Location& at);
void* dynamic_shared();

/// Copies `valid` of `bytes` bytes and zeros the rest, at the wait; until then the target is NaN.
void async_copy(void* target, const void* source, int bytes, int valid, const Location& at);
void async_commit();
/// Waits for all but the last `pending` groups of this thread.
void async_wait(int pending);

/// Ends the kernel: an access of `bytes` bytes whose address is no multiple of them.
[[noreturn]] void misaligned_access(std::size_t bytes, const Location& at);

void memory_fence();

}  // namespace basin::kernels::simt
