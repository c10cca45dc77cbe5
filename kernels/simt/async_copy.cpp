// cp.async: the target is NaN from the issue on and gets its bytes when the thread waits for them,
// which is the latest moment a GPU may take; a kernel that reads too early computes NaN.
#include <cstring>

#include "kernels/simt/block.h"
#include "kernels/simt/messages.h"
#include "kernels/simt/observer.h"

namespace basin::kernels::simt {

void Block::async_copy(const AsyncCopy& copy, const Location& at) {
  const auto misaligned = [&](const void* address) {
    return reinterpret_cast<std::uintptr_t>(address) % static_cast<std::uintptr_t>(copy.bytes) != 0;
  };
  const auto call = [&] { return "cp.async at " + place(at) + ": " + who(running_); };
  if (copy.bytes != 4 && copy.bytes != 8 && copy.bytes != 16) {
    error_ = call() + " copies " + std::to_string(copy.bytes) + " bytes; it must be 4, 8 or 16";
    stop();
  }
  if (copy.valid < 0 || copy.valid > copy.bytes) {
    error_ = call() + " reads " + std::to_string(copy.valid) + " of " + std::to_string(copy.bytes) +
             " bytes";
    stop();
  }
  if (misaligned(copy.target) || misaligned(copy.source)) {
    error_ = call() + ": source and target must be aligned to the " + std::to_string(copy.bytes) +
             " bytes that are copied";
    stop();
  }
  if (self().copies == nullptr) {
    self().copies = std::make_unique<CopyQueue>();
  }
  CopyQueue& queue = *self().copies;
  if (queue.count == kPendingCopies) {
    error_ = call() + " has more than " + std::to_string(kPendingCopies) + " copies under way";
    stop();
  }
  queue.copies[queue.count++] = copy;
  std::memset(copy.target, 0xFF, static_cast<std::size_t>(copy.bytes));
  ++counts_.async_copies;
  if (g_observer != nullptr) {
    g_observer->async_copy(copy.target, copy.source, copy.bytes, copy.valid, at);
  }
}

void Block::misaligned_access(std::size_t bytes, const Location& at) {
  error_ = "access at " + place(at) + ": " + who(running_) + " moves " + std::to_string(bytes) +
           " bytes at once from or to an address that is no multiple of that";
  stop();
}

void Block::async_commit() {
  if (self().copies == nullptr) {
    self().copies = std::make_unique<CopyQueue>();
  }
  CopyQueue& queue = *self().copies;
  if (queue.group_count == kPendingCopies) {
    error_ = "cp.async.commit_group: " + who(running_) + " has more than " +
             std::to_string(kPendingCopies) + " groups under way";
    stop();
  }
  queue.groups[queue.group_count++] = queue.count - queue.committed;
  queue.committed = queue.count;
}

void Block::async_wait(int pending) {
  if (self().copies == nullptr) {
    return;
  }
  CopyQueue& queue = *self().copies;
  int groups = 0;
  int copies = 0;
  while (queue.group_count - groups > pending) {
    copies += queue.groups[groups++];
  }
  for (int i = 0; i < copies; ++i) {
    const AsyncCopy& copy = queue.copies[i];
    const auto valid = static_cast<std::size_t>(copy.valid);
    std::memcpy(copy.target, copy.source, valid);
    std::memset(static_cast<std::byte*>(copy.target) + valid, 0,
                static_cast<std::size_t>(copy.bytes) - valid);
  }
  queue.count -= copies;
  queue.committed -= copies;
  queue.group_count -= groups;
  std::memmove(queue.copies, queue.copies + copies,
               static_cast<std::size_t>(queue.count) * sizeof(AsyncCopy));
  std::memmove(queue.groups, queue.groups + groups,
               static_cast<std::size_t>(queue.group_count) * sizeof(int));
}

}  // namespace basin::kernels::simt
