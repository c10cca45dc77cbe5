// Work on a device that is written down once and then done again and again as a whole.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tensor/allocator.h"
#include "tensor/device.h"

namespace basin {

/// The memory of the work that a graph does: blocks that come from the allocator of the device and
/// go back to it only when this allocator is gone. A released block is handed out again, but to
/// nobody outside, so that repeating the work never touches what belongs to others.
class GraphMemory final : public Allocator {
 public:
  explicit GraphMemory(Device device);
  ~GraphMemory() override;
  void* allocate(std::size_t bytes) override;
  void release(void* block, std::size_t bytes) noexcept override;
  /// Of the blocks of the graph; what is kept for reuse here is in use for the allocator behind.
  MemoryStats stats() const override;
  void reset_peak() override;
  /// Nothing: the graph needs its blocks.
  void release_cache() override {}

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// On cuda a graph of CUDA, on simt the executor's record of launches. Usage: rehearse() the work,
/// so that its memory is at hand and every library has started; capture() it, which computes
/// nothing; then replay() it any number of times. Kernels have the arguments of the capture in
/// every repetition: whatever changes between two repetitions lies in device memory and is changed
/// in between. What the work does on the host (shapes, counters, random streams) is not repeated;
/// see before_replay().
///
/// While a capture is going on, on this thread, what cannot be part of a graph throws Error that
/// names it: waiting for the device, copies between it and the host, and memory that the allocator
/// of the device would have to get from the system.
class DeviceGraph {
 public:
  /// Throws Error for cpu, and if the device cannot be used or waits after every launch.
  explicit DeviceGraph(Device device);
  ~DeviceGraph();
  DeviceGraph(const DeviceGraph&) = delete;
  DeviceGraph& operator=(const DeviceGraph&) = delete;

  /// Does the work as usual, in the memory of the graph.
  void rehearse(const std::function<void()>& work);
  /// Writes the work down. Throws what it throws; the graph is empty then.
  void capture(const std::function<void()>& work);
  bool captured() const;

  /// Queues the work once more. Throws Error for a kernel that fails (on cuda later, by whoever
  /// waits).
  void replay();

  /// What has to be done on the host before every repetition, in the order of the calls of
  /// before_replay() in rehearse() or capture(), whichever came last. Before capture() as well.
  void prepare();

  /// Kernels of one repetition, and copies inside the device.
  std::int64_t launches() const;
  std::int64_t copies() const;

  /// From work that is being rehearsed or captured on this thread: `action` becomes a part of
  /// prepare(); elsewhere nothing is kept. `call` tells calls of one `owner` apart: the same one
  /// again (recompute) adds nothing; another one throws Error inside capture(), because both would
  /// find what the later one prepared.
  static void before_replay(const void* owner, std::uint64_t call, std::function<void()> action);

 private:
  struct Recorded;
  class Working;
  struct Action {
    const void* owner;
    std::uint64_t call;
    std::function<void()> act;
  };
  Device device_;
  std::shared_ptr<GraphMemory> memory_;
  std::unique_ptr<Recorded> recorded_;
  std::vector<Action> actions_;
};

/// Whether a capture on this device is going on on this thread.
bool is_capturing(Device device);

/// Throws Error "[capture] ..." that names `what`, such as "reading 8 bytes from simt", if so.
void refuse_in_capture(Device device, const std::string& what);

}  // namespace basin
