#include "kernels/simt/shared_memory.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <new>

#include "kernels/common/launch_sizes.h"
#include "kernels/simt/context.h"
#include "kernels/simt/messages.h"
#include "kernels/simt/sanitizer.h"

namespace basin::kernels::simt {

namespace {
constexpr std::size_t kAlignment = 1024;  // of dynamic_shared() in common/device.h
constexpr std::size_t kRedZone = 256;
// Static arrays lie at a multiple of that in front of a red zone's border, never at one: a GPU
// promises no more.
constexpr std::size_t kPromised = 16;
constexpr int kNan = 0xFF;  // all ones are a NaN in every floating type

std::size_t round_up(std::size_t bytes, std::size_t to) { return (bytes + to - 1) / to * to; }
}  // namespace

// Room for the largest limit, for each array's gap and for rounding each one up to a red zone.
constexpr std::size_t kCapacity = kSharedBytesOfHopper + (32 + 2) * (2 * kRedZone + kPromised);

SharedMemory::SharedMemory()
    : memory_(static_cast<std::byte*>(::operator new (kCapacity, std::align_val_t{kAlignment}))),
      arrays_(std::make_unique<Array[]>(kMostArrays)) {
  touched_ = kCapacity;
}

SharedMemory::~SharedMemory() {
  unpoison(memory_, kCapacity);
  ::operator delete (memory_, std::align_val_t{kAlignment});
}

void SharedMemory::begin_block(std::size_t dynamic_bytes, std::size_t limit) {
  unpoison(memory_, kCapacity);
  std::memset(memory_, kNan, touched_);
  dynamic_bytes_ = dynamic_bytes;
  limit_ = limit;
  static_bytes_ = 0;
  used_ = dynamic_bytes;
  end_ = round_up(dynamic_bytes + kRedZone, kRedZone);
  touched_ = end_;
  count_ = 0;
  poison(memory_ + dynamic_bytes, kCapacity - dynamic_bytes);
}

bool SharedMemory::holds(const void* data, std::size_t bytes) const {
  const auto* const at = static_cast<const std::byte*>(data);
  return !std::less<>{}(at, memory_) && !std::less<>{}(memory_ + end_, at + bytes);
}

void* SharedMemory::array(const void* key, std::size_t bytes, const Location& at,
                          std::string& problem) {
  for (int i = 0; i < count_; ++i) {
    const Array& known = arrays_[static_cast<std::size_t>(i)];
    if (known.key == key) {
      if (!same_place(known.at, at)) {
        problem = "two places ask for the same shared array, " + place(known.at) + " and " +
                  place(at) + ": give one of them a tag of its own";
        return nullptr;
      }
      return known.data;
    }
  }
  // On a GPU the dynamic part lies behind the static one, from the next multiple of its alignment
  // on.
  const std::size_t in_front =
      dynamic_bytes_ > 0 ? round_up(static_bytes_ + bytes, kAlignment) : static_bytes_ + bytes;
  // A GPU has this much for kernels that launch() does not ask for.
  constexpr std::size_t kUnasked = 48 * 1024;
  const bool asked = dynamic_bytes_ > kSharedWithoutAsking;
  const std::size_t limit = asked || dynamic_bytes_ == 0 ? limit_ : std::min(limit_, kUnasked);
  if (in_front + dynamic_bytes_ > limit) {
    problem = "shared memory: " + std::to_string(bytes) + " bytes asked for at " + place(at) +
              " on top of " + std::to_string(used_) + " (" + std::to_string(dynamic_bytes_) +
              " of them dynamic), but a block has " + std::to_string(limit);
    return nullptr;
  }
  if (count_ == kMostArrays) {
    problem = "shared memory at " + place(at) + ": a block can have " +
              std::to_string(kMostArrays) + " static arrays";
    return nullptr;
  }
  std::byte* const data = memory_ + end_ + kPromised;
  unpoison(data, bytes);
  arrays_[static_cast<std::size_t>(count_++)] = {key, data, at};
  static_bytes_ += bytes;
  used_ = in_front + dynamic_bytes_;
  end_ = round_up(end_ + kPromised + bytes + kRedZone, kRedZone);
  touched_ = std::max(touched_, std::min(end_, kCapacity));
  return data;
}

}  // namespace basin::kernels::simt
