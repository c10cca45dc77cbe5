// The gradient of a table on a GPU, without atomics: positions are sorted by id, and a row of the
// table is the sum of its segment. An id that comes very often would keep one block busy for long;
// so blocks add up tiles of 32 sorted positions, whatever ids these have, and only segments that
// reach across tiles are put together from their parts, in order.
#include <limits>

#include "kernels/common/dispatch.h"
#include "kernels/common/launch.h"
#include "kernels/common/launch_sizes.h"
#include "kernels/embedding/embedding.h"
#include "kernels/embedding/sort_ids.cuh"

namespace basin::kernels {

namespace {

using sort_ids::Pairs;

constexpr std::int64_t kTile = 32;

// What lies in the workspace.
struct Scratch {
  Pairs pairs, other;
  std::uint32_t* places;
  std::uint32_t* starts;  // (vocabulary + 1): where the segment of an id begins
  void* parts;            // (tiles, 2, width): of the segments that enter and that leave a tile
};

std::int64_t aligned(std::int64_t bytes) { return pieces_of(bytes, 64) * 64; }

// Places the arrays from `begin` on and answers how many bytes they take.
std::int64_t lay_out(const EmbeddingBackward& p, std::byte* begin, const DeviceContext& context,
                     Scratch& scratch) {
  std::int64_t bytes = 0;
  const auto take = [&](std::int64_t size) {
    std::byte* const at = begin == nullptr ? nullptr : begin + bytes;
    bytes += aligned(size);
    return at;
  };
  const auto numbers = [&](std::int64_t count) {
    return reinterpret_cast<std::uint32_t*>(
        take(count * static_cast<std::int64_t>(sizeof(std::uint32_t))));
  };
  scratch.pairs = {numbers(p.count), numbers(p.count)};
  scratch.other = {numbers(p.count), numbers(p.count)};
  scratch.places = numbers(sort_ids::places_of(p.count, context));
  scratch.starts = numbers(p.vocabulary + 1);
  scratch.parts =
      take(pieces_of(p.count, kTile) * 2 * p.width * static_cast<std::int64_t>(size_of(p.dtype)));
  return bytes;
}

// starts[v] = the first sorted position whose id is not below v: a thread for each.
BASIN_KERNEL void find_starts(const std::uint32_t* id, std::int64_t count, std::int64_t vocabulary,
                              std::uint32_t* starts) {
  const std::int64_t v = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (v > vocabulary) {
    return;
  }
  std::int64_t low = 0;
  std::int64_t high = count;
  while (low < high) {
    const std::int64_t middle = (low + high) / 2;
    if (id[middle] < v) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  starts[v] = static_cast<std::uint32_t>(low);
}

// A block for 32 sorted positions (along x) and some columns (along y), a thread for a column. Its
// 32 numbers are loaded before the first is added, so that they are on their way together.
// Segments that lie inside the tile go to the table; of the others, the one that came in from the
// tile before goes to part 0 and the one that goes on, unless it is the same, to part 1.
template <class T>
BASIN_KERNEL void add_tiles(EmbeddingBackward p, Pairs pairs, T* parts) {
  struct Position {};
  // Of the position before the tile, of its own, of the one behind it.
  std::int64_t* const id = shared<std::int64_t, kTile + 2>();
  std::int64_t* const position = shared<std::int64_t, kTile, Position>();
  constexpr std::int64_t kNone = -1;
  const std::int64_t begin = std::int64_t{blockIdx.x} * kTile;
  for (std::int64_t k = threadIdx.x; k < kTile + 2; k += blockDim.x) {
    const std::int64_t at = begin + k - 1;
    const bool known = at >= 0 && at < p.count && pairs.id[at] < p.vocabulary;
    id[k] = known ? std::int64_t{pairs.id[at]} : kNone;
    if (k > 0 && k <= kTile) {
      position[k - 1] = known ? std::int64_t{pairs.position[at]} : 0;
    }
  }
  __syncthreads();
  const std::int64_t column = std::int64_t{blockIdx.y} * blockDim.x + threadIdx.x;
  if (column >= p.width) {
    return;
  }
  const T* const dy = static_cast<const T*>(p.dy) + column;
  T* const dtable = static_cast<T*>(p.dtable) + column;
  T* const part = parts + std::int64_t{blockIdx.x} * 2 * p.width + column;
  T values[kTile];
  for (int k = 0; k < kTile; ++k) {
    values[k] = id[k + 1] != kNone ? dy[position[k] * p.width] : T(0);
  }
  bool came_in = id[0] == id[1];
  T sum = 0;
  for (int k = 0; k < kTile; ++k) {
    const std::int64_t here = id[k + 1];
    if (here == kNone) {
      return;  // what follows are ids outside the table, or nothing
    }
    sum += values[k];
    const bool goes_on = id[k + 2] == here;
    if (goes_on && k + 1 < kTile) {
      continue;
    }
    if (came_in) {
      part[0] = sum;
    } else if (goes_on) {
      part[p.width] = sum;
    } else {
      dtable[here * p.width] = sum;
    }
    came_in = false;
    sum = 0;
  }
}

// The rows that add_tiles left: those without positions become 0, those of several tiles the sum of
// their parts. Threads along x take columns, threads along y rows.
template <class T>
BASIN_KERNEL void finish_rows(EmbeddingBackward p, const std::uint32_t* starts, const T* parts) {
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.y;
  for (std::int64_t v = std::int64_t{blockIdx.x} * blockDim.y + threadIdx.y; v < p.vocabulary;
       v += step) {
    const std::int64_t begin = starts[v];
    const std::int64_t end = starts[v + 1];
    const std::int64_t first = begin / kTile;
    const std::int64_t last = (end - 1) / kTile;
    if (begin < end && first == last) {
      continue;
    }
    for (std::int64_t c = threadIdx.x; c < p.width; c += blockDim.x) {
      T sum = 0;
      if (begin < end) {
        sum = parts[(first * 2 + 1) * p.width + c];
        for (std::int64_t tile = first + 1; tile <= last; ++tile) {
          sum += parts[tile * 2 * p.width + c];
        }
      }
      static_cast<T*>(p.dtable)[v * p.width + c] = sum;
    }
  }
}

template <class T>
Status backward(const EmbeddingBackward& p, const DeviceContext& context) {
  constexpr unsigned kThreads = 256;
  Scratch scratch{};
  lay_out(p, static_cast<std::byte*>(p.workspace), context, scratch);
  T* const parts = static_cast<T*>(scratch.parts);
  Status status = p.count > 0 ? sort_ids::sort(p.ids, p.count, p.vocabulary, scratch.pairs,
                                               scratch.other, scratch.places, context)
                              : Status{};
  if (status.ok()) {
    const auto blocks = static_cast<unsigned>(pieces_of(p.vocabulary + 1, kThreads));
    status = launch({"embedding_find_starts", {blocks, 1, 1}, {kThreads, 1, 1}}, context,
                    find_starts, scratch.pairs.id, p.count, p.vocabulary, scratch.starts);
  }
  const unsigned along_x = threads_for_row(p.width);
  if (status.ok() && p.count > 0) {
    const auto tiles = static_cast<unsigned>(pieces_of(p.count, kTile));
    const auto columns = static_cast<unsigned>(pieces_of(p.width, along_x));
    status = launch({"embedding_add_tiles", {tiles, columns, 1}, {along_x, 1, 1}}, context,
                    add_tiles<T>, p, scratch.pairs, parts);
  }
  if (status.ok()) {
    const unsigned along_y = kThreads / along_x;
    status = launch(
        {"embedding_finish_rows", {blocks_for(p.vocabulary, along_y), 1, 1}, {along_x, along_y, 1}},
        context, finish_rows<T>, p, scratch.starts, parts);
  }
  return status;
}

}  // namespace

std::int64_t embedding_backward_workspace(const EmbeddingBackward& p,
                                          const DeviceContext& context) {
  Scratch scratch{};
  return lay_out(p, nullptr, context, scratch);
}

Status embedding_backward(const EmbeddingBackward& p, const DeviceContext& context) {
  constexpr std::int64_t kMost = std::numeric_limits<std::uint32_t>::max();
  if (p.count >= kMost || p.vocabulary >= kMost) {
    return Status::unsupported("embedding: 2^32 ids or rows of the table");
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    if (p.vocabulary <= 0 || p.width <= 0) {
      return Status{};
    }
    if (p.workspace == nullptr) {
      return Status::invalid("embedding: the workspace is missing");
    }
    return backward<T>(p, context);
  });
}

}  // namespace basin::kernels
