#include "kernels/simt/counting/access_counter.h"

#include <algorithm>
#include <bit>
#include <cassert>

namespace basin::kernels::simt {

namespace {

constexpr std::uintptr_t kSector = 32;
constexpr std::uintptr_t kBanks = 32;
constexpr std::uintptr_t kWord = 4;

int running_thread() {
  return static_cast<int>((threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x);
}

// How many different multiples of `size` the ranges touch, and how many bytes they cover.
struct Cover {
  std::int64_t units = 0;
  std::int64_t bytes = 0;
};
Cover cover(std::vector<std::pair<std::uintptr_t, std::uintptr_t>> ranges, std::uintptr_t size) {
  std::sort(ranges.begin(), ranges.end());
  Cover result;
  std::uintptr_t byte_end = 0;
  std::uintptr_t unit_end = 0;
  for (const auto& [begin, end] : ranges) {
    if (end > byte_end) {
      result.bytes += static_cast<std::int64_t>(end - std::max(begin, byte_end));
      byte_end = end;
    }
    const std::uintptr_t first = begin / size;
    const std::uintptr_t last = (end - 1) / size + 1;
    if (last > unit_end) {
      result.units += static_cast<std::int64_t>(last - std::max(first, unit_end));
      unit_end = last;
    }
  }
  return result;
}

}  // namespace

AccessCounter::AccessCounter() {
  assert(g_observer == nullptr);
  g_observer = this;
}

AccessCounter::~AccessCounter() { g_observer = nullptr; }

void AccessCounter::watch(const void* data, std::size_t bytes) {
  const auto begin = reinterpret_cast<std::uintptr_t>(data);
  arrays_.push_back({begin, begin + bytes, arrays_.size()});
  std::sort(arrays_.begin(), arrays_.end(),
            [](const Array& a, const Array& b) { return a.begin < b.begin; });
}

int AccessCounter::array_of(std::uintptr_t address) const {
  const auto after =
      std::upper_bound(arrays_.begin(), arrays_.end(), address,
                       [](std::uintptr_t at, const Array& array) { return at < array.begin; });
  if (after == arrays_.begin() || address >= std::prev(after)->end) {
    return -1;
  }
  return static_cast<int>(std::prev(after)->number);
}

void AccessCounter::begin_launch(const Grid& grid) {
  current_ = &kernels_[grid.name];
  const auto blocks = std::int64_t{grid.blocks.x} * grid.blocks.y * grid.blocks.z;
  const auto threads = std::int64_t{grid.threads.x} * grid.threads.y * grid.threads.z;
  ++current_->launches;
  current_->blocks += blocks;
  current_->threads += blocks * threads;
  current_->of_arrays.resize(arrays_.size());
  warps_.assign(static_cast<std::size_t>((threads + 31) / 32), Warp());
}

void AccessCounter::access(const void* data, std::size_t bytes, bool writes, const void* place) {
  if (current_ != nullptr) {
    record(data, bytes, writes, place);
  }
}

void AccessCounter::atomic(const void* data) {
  if (current_ != nullptr &&
      (array_of(reinterpret_cast<std::uintptr_t>(data)) >= 0 || in_shared_memory(data, 1))) {
    ++current_->atomics;
  }
}

void AccessCounter::record(const void* data, std::size_t bytes, bool writes, const void* place) {
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  const int array = array_of(address);
  if (array < 0 && !in_shared_memory(data, bytes)) {
    return;
  }
  const int thread = running_thread();
  const int lane = thread % 32;
  Warp& warp = warps_[static_cast<std::size_t>(thread / 32)];
  const std::int64_t turn = warp.turns[lane][place]++;
  Instruction& instruction = warp.instructions[{place, turn}];
  if (instruction.lanes == 0) {
    instruction.bytes = static_cast<std::int32_t>(bytes);
    instruction.array = array;
    instruction.writes = writes;
  }
  instruction.lanes |= std::uint32_t{1} << lane;
  instruction.address[lane] = address;
}

void AccessCounter::async_copy(const void* target, const void* source, int bytes, int valid,
                               const Location& at) {
  // The file's name is one constant for all copies at a line, and so are its next bytes.
  const char* const place = at.file_name() + at.line();
  if (current_ == nullptr) {
    return;
  }
  if (valid > 0) {
    record(source, static_cast<std::size_t>(valid), false, place);
    current_->async_bytes += valid;
  }
  record(target, static_cast<std::size_t>(bytes), true, place + (1 << 20));
}

void AccessCounter::block_in_step() {
  if (current_ == nullptr) {
    return;
  }
  ++current_->barriers;
  finish_all();
}

void AccessCounter::end_block() {
  if (current_ != nullptr) {
    finish_all();
  }
}

void AccessCounter::finish_all() {
  for (Warp& warp : warps_) {
    finish(warp);
  }
}

void AccessCounter::warp_in_step(int warp, std::uint32_t mask) {
  if (current_ == nullptr) {
    return;
  }
  ++current_->warp_collectives;
  // Lanes that are not part of it may be anywhere: what they did is matched later.
  if (mask == ~std::uint32_t{0}) {
    finish(warps_[static_cast<std::size_t>(warp)]);
  }
}

void AccessCounter::finish(Warp& warp) {
  for (const auto& [key, instruction] : warp.instructions) {
    if (instruction.array < 0) {
      finish_shared(instruction);
    } else {
      finish_global(instruction);
    }
  }
  warp.instructions.clear();
  for (auto& turns : warp.turns) {
    turns.clear();
  }
}

void AccessCounter::finish_global(const Instruction& instruction) {
  std::vector<std::pair<std::uintptr_t, std::uintptr_t>> ranges;
  for (std::uint32_t rest = instruction.lanes; rest != 0; rest &= rest - 1) {
    const std::uintptr_t begin = instruction.address[std::countr_zero(rest)];
    ranges.emplace_back(begin, begin + static_cast<std::uintptr_t>(instruction.bytes));
  }
  const Cover cost = cover(std::move(ranges), kSector);
  GlobalTraffic& to = instruction.writes ? current_->writes : current_->reads;
  ++to.instructions;
  to.requested += std::int64_t{instruction.bytes} * std::popcount(instruction.lanes);
  to.distinct += cost.bytes;
  to.sectors += cost.units;
  current_->of_arrays[static_cast<std::size_t>(instruction.array)][instruction.writes ? 1 : 0] +=
      cost.units;
}

void AccessCounter::finish_shared(const Instruction& instruction) {
  SharedTraffic& to = instruction.writes ? current_->shared_writes : current_->shared_reads;
  ++to.instructions;
  to.bytes += std::int64_t{instruction.bytes} * std::popcount(instruction.lanes);
  const int lanes = instruction.bytes <= 4 ? 32 : (instruction.bytes <= 8 ? 16 : 8);
  for (int first = 0; first < 32; first += lanes) {
    std::vector<std::uintptr_t> words;
    for (int lane = first; lane < first + lanes; ++lane) {
      if (((instruction.lanes >> lane) & 1u) != 0) {
        const std::uintptr_t begin = instruction.address[lane] / kWord;
        const std::uintptr_t end =
            (instruction.address[lane] + static_cast<std::uintptr_t>(instruction.bytes) - 1) /
            kWord;
        for (std::uintptr_t word = begin; word <= end; ++word) {
          words.push_back(word);
        }
      }
    }
    std::sort(words.begin(), words.end());
    words.erase(std::unique(words.begin(), words.end()), words.end());
    std::int64_t of_bank[kBanks] = {};
    for (const std::uintptr_t word : words) {
      ++of_bank[word % kBanks];
    }
    to.passes += *std::max_element(std::begin(of_bank), std::end(of_bank));
    to.fewest += words.empty() ? 0 : 1;
  }
}

}  // namespace basin::kernels::simt
