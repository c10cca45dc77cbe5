#include "kernels/simt/fiber.h"

#include <sys/mman.h>

#include <boost/context/detail/fcontext.hpp>

#include "kernels/simt/sanitizer.h"

namespace basin::kernels::simt {

namespace context = boost::context::detail;

namespace {
constexpr std::size_t kPage = 4096;
// AddressSanitizer makes frames several times as large. Only pages that are touched exist.
constexpr std::size_t kStack = 64 * 1024;
constexpr std::size_t kStackUnderSanitizer = 256 * 1024;
constexpr unsigned kNoSync = 1;  // __tsan_switch_to_fiber_no_sync
}  // namespace

struct Fiber::Jump {
  Fiber* from;
  Fiber* to;
};

// Where a new stack begins.
struct FiberEntry {
  static void enter(context::transfer_t transfer) {
    const Fiber::Jump jump = *static_cast<Fiber::Jump*>(transfer.data);
    jump.to->take_place_of(jump, transfer.fctx);
    jump.to->entry_(jump.to->argument_);
  }
};

Fiber::~Fiber() {
  if (own_tsan_) {
    __tsan_destroy_fiber(tsan_);
  }
  if (mapped_ != nullptr) {
    unpoison(bottom_, bytes_);
    munmap(mapped_, bytes_ + kPage);
  }
}

bool Fiber::map_stack(unsigned colour) {
  bytes_ = __sanitizer_start_switch_fiber != nullptr ? kStackUnderSanitizer : kStack;
  void* const memory = mmap(nullptr, bytes_ + kPage, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    return false;
  }
  mprotect(memory, kPage, PROT_NONE);
  mapped_ = memory;
  bottom_ = static_cast<char*>(memory) + kPage;
  unused_ = colour * 256;
  return true;
}

void Fiber::start(Entry entry, void* argument) {
  entry_ = entry;
  argument_ = argument;
  if (abandoned_) {
    // The frames that were left behind still have their red zones and their calls on record.
    unpoison(bottom_, bytes_);
    if (own_tsan_) {
      __tsan_destroy_fiber(tsan_);
      own_tsan_ = false;
    }
  }
  abandoned_ = true;
  if (!own_tsan_ && __tsan_create_fiber != nullptr) {
    tsan_ = __tsan_create_fiber(0);
    own_tsan_ = true;
  }
  fake_stack_ = nullptr;
  void* const top = static_cast<char*>(mapped_) + kPage + bytes_ - unused_;
  context_ = context::make_fcontext(top, bytes_ - unused_, FiberEntry::enter);
}

// Runs on the new stack: notes where the old one goes on.
void Fiber::take_place_of(const Jump& jump, void* from_context) {
  jump.from->context_ = from_context;
  if (__sanitizer_finish_switch_fiber != nullptr) {
    // Of the first stack of a thread, only the sanitizer knows where it lies.
    const void* bottom = nullptr;
    std::size_t bytes = 0;
    __sanitizer_finish_switch_fiber(fake_stack_, &bottom, &bytes);
    if (jump.from->mapped_ == nullptr) {
      jump.from->bottom_ = bottom;
      jump.from->bytes_ = bytes;
    }
  }
}

void Fiber::go(Fiber& from, Fiber& to, bool for_good) {
  if (__sanitizer_start_switch_fiber != nullptr) {
    __sanitizer_start_switch_fiber(for_good ? nullptr : &from.fake_stack_, to.bottom_, to.bytes_);
  }
  if (__tsan_switch_to_fiber != nullptr) {
    if (from.tsan_ == nullptr) {
      from.tsan_ = __tsan_get_current_fiber();
    }
    __tsan_switch_to_fiber(to.tsan_, kNoSync);
  }
  Jump jump{&from, &to};
  const context::transfer_t transfer = context::jump_fcontext(to.context_, &jump);
  from.take_place_of(*static_cast<Jump*>(transfer.data), transfer.fctx);
}

void Fiber::change(Fiber& from, Fiber& to) { go(from, to, false); }

void Fiber::leave(Fiber& from, Fiber& to) {
  from.abandoned_ = false;
  go(from, to, true);
  __builtin_unreachable();
}

}  // namespace basin::kernels::simt
