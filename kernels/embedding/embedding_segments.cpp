// A counting sort puts the positions of each id side by side, in the order of t: the segment of
// that id. Then every row of the table is written once, from start to end: 0 where there is no
// segment, else its sum. Most rows of a large table are 0; they go past the caches.
#include "kernels/embedding/embedding_segments.h"

#include <algorithm>
#include <cstring>

#include "kernels/common/dispatch.h"
#include "kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/embedding/embedding_segments.cpp"
#include <hwy/foreach_target.h>
//
#include <hwy/cache_control.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// More positions than this are summed by column blocks, so that one frequent id (a blank, padding)
// is not the work of one thread.
constexpr std::int64_t kLongSegment = 512;
constexpr std::int64_t kColumnBlock = 64;
// Elements of the table in one piece of work.
constexpr std::int64_t kPiece = 65536;
// A table of more bytes would push everything else out of the caches.
constexpr std::int64_t kStreamedBytes = std::int64_t{4} << 20;

// Where the segments lie. start[v] ... start[v + 1] are those of id v in `positions`.
struct Segments {
  std::int64_t* start;      // vocabulary + 2
  std::int64_t* positions;  // count
  std::int64_t* long_ids;   // count / kLongSegment

  explicit Segments(const EmbeddingBackward& p)
      : start(static_cast<std::int64_t*>(p.workspace)),
        positions(start + p.vocabulary + 2),
        long_ids(positions + p.count) {}
  static std::int64_t elements(const EmbeddingBackward& p) {
    return p.vocabulary + 2 + p.count + p.count / kLongSegment;
  }
};

// Fills the segments and returns the number of long ones.
std::int64_t sort_positions(const EmbeddingBackward& p, const Segments& s) {
  // Counts two places further on: after the running sum start[v + 1] is where segment v begins, and
  // when its positions have been put there, where it ends.
  std::fill(s.start, s.start + p.vocabulary + 2, std::int64_t{0});
  for (std::int64_t t = 0; t < p.count; ++t) {
    ++s.start[p.ids[t] + 2];
  }
  std::int64_t longs = 0;
  for (std::int64_t v = 0; v < p.vocabulary; ++v) {
    if (s.start[v + 2] > kLongSegment) {
      s.long_ids[longs++] = v;
    }
    s.start[v + 2] += s.start[v + 1];
  }
  for (std::int64_t t = 0; t < p.count; ++t) {
    s.positions[s.start[p.ids[t] + 1]++] = t;
  }
  return longs;
}

template <class T>
HWY_INLINE void fill_with_zero(T* from, T* to, bool streamed) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  if (streamed) {
    const std::uintptr_t vector = hn::Lanes(d) * sizeof(T);
    while (from < to && reinterpret_cast<std::uintptr_t>(from) % vector != 0) {
      *from++ = T(0);
    }
    for (; to - from >= lanes; from += lanes) {
      hn::Stream(hn::Zero(d), d, from);
    }
  }
  std::fill(from, to, T(0));
}

// The sum of the rows of dy at `count` >= 1 positions, columns [begin, end), in their order.
template <class T>
HWY_INLINE void sum_segment(const EmbeddingBackward& p, const std::int64_t* positions,
                            std::int64_t count, T* to, std::int64_t begin, std::int64_t end) {
  const T* dy = static_cast<const T*>(p.dy);
  std::memcpy(to + begin, dy + positions[0] * p.width + begin,
              static_cast<std::size_t>(end - begin) * sizeof(T));
  for (std::int64_t n = 1; n < count; ++n) {
    const T* from = dy + positions[n] * p.width;
    for (std::int64_t c = begin; c < end; ++c) {
      to[c] += from[c];
    }
  }
}

// Rows [begin, end) of the table except those with long segments.
template <class T>
void write_rows(const EmbeddingBackward& p, const Segments& s, bool streamed, std::int64_t begin,
                std::int64_t end) {
  T* table = static_cast<T*>(p.dtable);
  const auto length = [&](std::int64_t v) { return s.start[v + 1] - s.start[v]; };
  for (std::int64_t v = begin; v < end;) {
    std::int64_t next = v;
    while (next < end && length(next) == 0) {
      ++next;
    }
    fill_with_zero(table + v * p.width, table + next * p.width, streamed);
    for (v = next; v < end && length(v) != 0; ++v) {
      if (length(v) <= kLongSegment) {
        sum_segment(p, s.positions + s.start[v], length(v), table + v * p.width, 0, p.width);
      }
    }
  }
  if (streamed) {
    hwy::FlushStream();  // before anybody is told that this piece is done
  }
}

void embedding_segments_target(const EmbeddingBackward& p, const CpuContext& context) {
  (void)dispatch_floating(p.dtype, [&]<class T>(T) {
    const Segments s(p);
    const std::int64_t longs = sort_positions(p, s);
    const bool streamed =
        p.vocabulary * p.width * static_cast<std::int64_t>(sizeof(T)) > kStreamedBytes;
    const std::int64_t rows =
        std::max<std::int64_t>(1, kPiece / std::max<std::int64_t>(1, p.width));
    for_ranges(context, p.vocabulary, rows, [&](std::int64_t begin, std::int64_t end) {
      write_rows<T>(p, s, streamed, begin, end);
    });
    const std::int64_t blocks = (p.width + kColumnBlock - 1) / kColumnBlock;
    for_ranges(context, longs * blocks, 1, [&](std::int64_t piece, std::int64_t) {
      const std::int64_t v = s.long_ids[piece / blocks];
      const std::int64_t begin = piece % blocks * kColumnBlock;
      sum_segment(p, s.positions + s.start[v], s.start[v + 1] - s.start[v],
                  static_cast<T*>(p.dtable) + v * p.width, begin,
                  std::min(p.width, begin + kColumnBlock));
    });
    return Status{};
  });
}

std::int64_t embedding_segments_workspace_target(const EmbeddingBackward& p) {
  return Segments::elements(p) * static_cast<std::int64_t>(sizeof(std::int64_t));
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace basin::kernels {

HWY_EXPORT(embedding_segments_target);
HWY_EXPORT(embedding_segments_workspace_target);

void embedding_segments(const EmbeddingBackward& p, const CpuContext& context) {
  HWY_DYNAMIC_DISPATCH(embedding_segments_target)(p, context);
}

std::int64_t embedding_segments_workspace(const EmbeddingBackward& p) {
  return HWY_DYNAMIC_DISPATCH(embedding_segments_workspace_target)(p);
}

}  // namespace basin::kernels
#endif
