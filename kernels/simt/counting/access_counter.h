// What the kernels of a launch read and write, as a GPU would do it: warp by warp. Works in a
// program whose device code was compiled with hooks at every access (hooks.cpp); elsewhere it sees
// barriers and background copies only.
//
// Threads of the executor run one after the other, so which accesses belong to one instruction of a
// warp is worked out afterwards: the n-th access that each lane made at one place of the program
// since the warp was last in step is one instruction. For lanes that go through a loop equally
// often this is what a GPU does, and for those that do not it is as if they stayed together as long
// as possible.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "kernels/simt/observer.h"

namespace basin::kernels::simt {

/// Reads or writes of global memory. A sector is 32 bytes at a multiple of 32, the least that moves
/// between a multiprocessor and its cache.
struct GlobalTraffic {
  std::int64_t instructions = 0;  ///< of warps
  std::int64_t requested = 0;     ///< bytes, added up over threads
  std::int64_t distinct = 0;      ///< bytes, each once an instruction
  std::int64_t sectors = 0;

  /// The share of the moved bytes that somebody asked for; 1 if nothing moved.
  double efficiency() const {
    return sectors == 0 ? 1.0
                        : static_cast<double>(distinct) / (32.0 * static_cast<double>(sectors));
  }
};

/// Reads or writes of shared memory: 32 banks of 4 bytes. An instruction takes a pass for the whole
/// warp (up to 4 bytes a lane), for each half (8 bytes) or each quarter (16 bytes), and as many
/// more as the fullest bank has different words.
struct SharedTraffic {
  std::int64_t instructions = 0;
  std::int64_t bytes = 0;   ///< added up over threads
  std::int64_t passes = 0;  ///< that it took
  std::int64_t fewest = 0;  ///< that it would have taken without conflicts

  /// Passes for each one that is needed: 1 without conflicts.
  double ways() const {
    return fewest == 0 ? 1.0 : static_cast<double>(passes) / static_cast<double>(fewest);
  }
};

/// What all launches of one kernel did.
struct KernelAccesses {
  std::int64_t launches = 0;
  std::int64_t blocks = 0;
  std::int64_t threads = 0;
  GlobalTraffic reads, writes;
  SharedTraffic shared_reads, shared_writes;
  std::int64_t atomics = 0;   ///< of threads, on global or shared memory
  std::int64_t barriers = 0;  ///< of blocks
  std::int64_t warp_collectives = 0;
  std::int64_t async_bytes = 0;  ///< read by cp.async; part of `reads`
  /// Sectors read and written of each watched array, in the order of watch().
  std::vector<std::array<std::int64_t, 2>> of_arrays;
};

/// From construction to destruction the one observer of the executor.
class AccessCounter final : public Observer {
 public:
  AccessCounter();
  ~AccessCounter() override;

  /// Global memory is what is watched; other accesses outside shared memory are those of registers,
  /// parameters and constants.
  void watch(const void* data, std::size_t bytes);

  /// By the name of the launch.
  const std::map<std::string, KernelAccesses>& kernels() const { return kernels_; }

  void begin_launch(const Grid& grid) override;
  void block_in_step() override;
  void end_block() override;
  void warp_in_step(int warp, std::uint32_t mask) override;
  void async_copy(const void* target, const void* source, int bytes, int valid,
                  const Location& at) override;

  /// Called by the hooks. `place`: what tells instructions of the program apart.
  void access(const void* data, std::size_t bytes, bool writes, const void* place);
  void atomic(const void* data);

 private:
  struct Array {
    std::uintptr_t begin, end;
    std::size_t number;
  };
  struct Instruction {
    std::int32_t bytes;
    std::int32_t array;  // -1: shared memory
    bool writes;
    std::uint32_t lanes = 0;
    std::uintptr_t address[32];
  };
  struct Key {
    const void* place;
    std::int64_t turn;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const {
      return std::hash<const void*>()(key.place) * 31 + static_cast<std::size_t>(key.turn);
    }
  };
  struct Warp {
    std::unordered_map<Key, Instruction, KeyHash> instructions;
    std::unordered_map<const void*, std::int64_t> turns[32];  // of each lane
  };

  void record(const void* data, std::size_t bytes, bool writes, const void* place);
  int array_of(std::uintptr_t address) const;
  void finish_all();
  void finish(Warp& warp);
  void finish_global(const Instruction& instruction);
  void finish_shared(const Instruction& instruction);

  std::vector<Array> arrays_;  // by address
  std::map<std::string, KernelAccesses> kernels_;
  KernelAccesses* current_ = nullptr;
  std::vector<Warp> warps_;
};

/// Whether this program has the hooks.
bool counts_accesses();

}  // namespace basin::kernels::simt
