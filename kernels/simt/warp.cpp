// Collectives of a warp: lanes meet, the last one to come works out everybody's result.
#include <algorithm>
#include <bit>
#include <string>

#include "kernels/simt/block.h"
#include "kernels/simt/messages.h"
#include "kernels/simt/observer.h"

namespace basin::kernels::simt {

namespace {

bool is_shuffle(Collective what) {
  return what == Collective::shuffle || what == Collective::shuffle_up ||
         what == Collective::shuffle_down || what == Collective::shuffle_xor;
}

// The lane whose value a shuffle gives to `lane`, as the PTX manual defines it: inside a segment of
// `width` lanes; itself where the source would lie outside.
int source_lane(Collective what, int lane, std::int64_t argument, int width) {
  const int start = lane & ~(width - 1);
  const int end = start + width;
  switch (what) {
    case Collective::shuffle:
      return start + static_cast<int>(argument & static_cast<std::int64_t>(width - 1));
    case Collective::shuffle_up:
      return lane - argument >= start ? lane - static_cast<int>(argument) : lane;
    case Collective::shuffle_down:
      return lane + argument < end ? lane + static_cast<int>(argument) : lane;
    default: {  // xor: lanes of a lower segment can be read, of a higher one not
      const std::int64_t other = lane ^ argument;
      return other < end ? static_cast<int>(other) : lane;
    }
  }
}

}  // namespace

std::uint32_t Block::lanes_of(int warp) const {
  const int here = std::min(count_ - warp * kWarp, kWarp);
  return ~std::uint32_t{0} >> (kWarp - here);
}

void Block::check_meeting(Warp& warp, Collective what, std::uint32_t mask, const Location& at) {
  const int number = running_ / kWarp;
  const std::uint32_t lane = std::uint32_t{1} << (running_ % kWarp);
  const auto call = [&] { return std::string(name_of(what)) + " at " + place(at) + ": "; };
  if ((mask & lane) == 0) {
    error_ = call() + "the mask " + mask_text(mask) + " leaves out lane " +
             std::to_string(running_ % kWarp) + ", which calls it, " + who(running_);
    stop();
  }
  const std::uint32_t missing = mask & ~lanes_of(number);
  if (missing != 0) {
    error_ = call() + who(running_) + " names lane " + std::to_string(std::countr_zero(missing)) +
             " in mask " + mask_text(mask) + ", but its warp has only " +
             std::to_string(std::popcount(lanes_of(number))) + " threads";
    stop();
  }
  if ((mask & warp.exited) != 0) {
    const int gone = std::countr_zero(mask & warp.exited);
    error_ = call() + who(running_) + " waits for lane " + std::to_string(gone) + " of mask " +
             mask_text(mask) + ", but " + who(number * kWarp + gone) + " has exited";
    stop();
  }
  for (int i = 0; i < warp.meeting_count; ++i) {
    const Meeting& other = warp.meetings[i];
    const std::uint32_t both = other.arrived & mask;
    if (both != 0 && (other.mask & lane) != 0) {
      const int first = number * kWarp + std::countr_zero(both);
      error_ = call() + who(running_) + " with mask " + mask_text(mask) + " waits for " +
               who(first) + ", which waits for it at " + name_of(other.what) + " " +
               place(thread(first).location) + " with mask " + mask_text(other.mask);
      stop();
    }
  }
}

void Block::refuse_shuffle(Collective what, std::int64_t argument, int width, const Location& at) {
  error_ = std::string(name_of(what)) + " at " + place(at) + ": ";
  if (width < 1 || width > kWarp || !std::has_single_bit(static_cast<unsigned>(width))) {
    error_ += "width " + std::to_string(width) + " in " + who(running_) +
              "; it must be 1, 2, 4, 8, 16 or 32";
  } else {
    error_ += "distance " + std::to_string(argument) + " in " + who(running_) + " is negative";
  }
  stop();
}

inline std::uint64_t Block::meet(Collective what, std::uint32_t mask, std::uint64_t value,
                                 std::int64_t argument, int width, const Location& at) {
  const int number = running_ / kWarp;
  Warp& warp = warps_[number];
  const std::uint32_t lane = std::uint32_t{1} << (running_ % kWarp);
  if (is_shuffle(what) && (width < 1 || width > kWarp || (width & (width - 1)) != 0 ||
                           (what != Collective::shuffle && argument < 0))) {
    refuse_shuffle(what, argument, width, at);
  }
  int m = 0;
  while (m < warp.meeting_count &&
         (warp.meetings[m].what != what || warp.meetings[m].mask != mask || (mask & lane) == 0)) {
    ++m;
  }
  if (m == warp.meeting_count) {
    if (m > 0 || (mask & lane) == 0 || (mask & (~lanes_of(number) | warp.exited)) != 0) {
      check_meeting(warp, what, mask, at);
    }
    const unsigned leader = static_cast<unsigned>(std::countr_zero(mask));
    warp.meetings[warp.meeting_count++] = {what, mask, 0, warp.generation[leader]++};
  }
  Meeting& meeting = warp.meetings[m];
  meeting.arrived |= lane;
  Thread& t = self();
  set_waiting(t, name_of(what), at);
  t.value = value;
  t.argument = argument;
  t.width = width;
  // Only __syncwarp orders memory.
  SyncPoint& sync = warp.sync[std::countr_zero(mask)].of(meeting.generation);
  if (what == Collective::sync) {
    sync.release();
  }
  if (meeting.arrived == mask) {
    const Meeting done = meeting;
    warp.meetings[m] = warp.meetings[--warp.meeting_count];
    complete(number, done);
  }
  next_turn(t);
  if (what == Collective::sync) {
    sync.acquire();
  }
  return t.result;
}

std::uint64_t Block::collective(Collective what, std::uint32_t mask, std::uint64_t value,
                                std::int64_t argument, int width, const Location& at) {
  return of_this_thread().meet(what, mask, value, argument, width, at);
}

void Block::complete(int warp, const Meeting& meeting) {
  const int first = warp * kWarp;
  if (is_shuffle(meeting.what)) {
    complete_shuffle(first, meeting);
  } else if (meeting.what >= Collective::ldmatrix) {
    complete_matrix(first, meeting);
  } else if (meeting.what != Collective::sync) {
    const std::uint64_t result = reduce(first, meeting);
    for (std::uint32_t rest = meeting.mask; rest != 0; rest &= rest - 1) {
      thread(first + std::countr_zero(rest)).result = result;
    }
  }
  ++counts_.warp_collectives;
  if (g_observer != nullptr) {
    g_observer->warp_in_step(warp, meeting.mask);
  }
  wake(warp / 2, std::uint64_t{meeting.mask} << (warp % 2 * kWarp));
}

void Block::complete_shuffle(int first, const Meeting& meeting) {
  for (std::uint32_t rest = meeting.mask; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    Thread& t = thread(first + lane);
    const int source = source_lane(meeting.what, lane, t.argument, t.width);
    if (((meeting.mask >> source) & 1u) == 0) {
      error_ = std::string(name_of(meeting.what)) + " at " + place(t.location) + ": " +
               who(first + lane) + " reads lane " + std::to_string(source) +
               ", which is not in the mask " + mask_text(meeting.mask);
      stop();
    }
    t.result = thread(first + source).value;
  }
}

std::uint64_t Block::reduce(int first, const Meeting& meeting) {
  std::uint32_t total = 0;
  std::uint32_t votes = 0;
  bool begun = false;
  for (std::uint32_t rest = meeting.mask; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    const auto value = static_cast<std::uint32_t>(thread(first + lane).value);
    votes |= (value != 0 ? std::uint32_t{1} : 0u) << lane;
    if (!begun) {
      begun = true;
      total = value;
      continue;
    }
    const auto smaller = [&](auto a, auto b) { return static_cast<std::uint32_t>(std::min(a, b)); };
    const auto larger = [&](auto a, auto b) { return static_cast<std::uint32_t>(std::max(a, b)); };
    switch (meeting.what) {
      case Collective::add: total += value; break;
      case Collective::min_unsigned: total = smaller(total, value); break;
      case Collective::max_unsigned: total = larger(total, value); break;
      case Collective::min_signed:
        total = smaller(static_cast<std::int32_t>(total), static_cast<std::int32_t>(value));
        break;
      case Collective::max_signed:
        total = larger(static_cast<std::int32_t>(total), static_cast<std::int32_t>(value));
        break;
      case Collective::bit_and: total &= value; break;
      case Collective::bit_or: total |= value; break;
      case Collective::bit_xor: total ^= value; break;
      default: break;
    }
  }
  switch (meeting.what) {
    case Collective::ballot: return votes;
    case Collective::any: return votes != 0 ? 1 : 0;
    case Collective::all: return votes == meeting.mask ? 1 : 0;
    default: return total;
  }
}

}  // namespace basin::kernels::simt
