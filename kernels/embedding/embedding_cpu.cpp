#include <algorithm>
#include <cstring>

#include "kernels/common/dispatch.h"
#include "kernels/embedding/embedding.h"
#include "kernels/embedding/embedding_segments.h"

namespace basin::kernels {

namespace {

Status check_ids(const std::int64_t* ids, std::int64_t count, std::int64_t vocabulary) {
  for (std::int64_t t = 0; t < count; ++t) {
    if (ids[t] < 0 || ids[t] >= vocabulary) {
      return Status::invalid("embedding: an id lies outside the vocabulary", t);
    }
  }
  return {};
}

}  // namespace

Status embedding_forward(const EmbeddingForward& p, const CpuContext& context) {
  if (const Status status = check_ids(p.ids, p.count, p.vocabulary); !status.ok()) {
    return status;
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const std::size_t row = static_cast<std::size_t>(p.width) * sizeof(T);
    for_ranges(context, p.count, 256, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t t = begin; t < end; ++t) {
        std::memcpy(static_cast<T*>(p.y) + t * p.width,
                    static_cast<const T*>(p.table) + p.ids[t] * p.width, row);
      }
    });
    return Status{};
  });
}

namespace {

// Variant 1: threads own columns, so equal ids never meet and the order of additions is that of t.
template <class T>
void add_to_columns(const EmbeddingBackward& p, const CpuContext& context) {
  for_ranges(context, p.width, 16, [&](std::int64_t begin, std::int64_t end) {
    T* dtable = static_cast<T*>(p.dtable);
    for (std::int64_t v = 0; v < p.vocabulary; ++v) {
      std::fill(dtable + v * p.width + begin, dtable + v * p.width + end, T(0));
    }
    for (std::int64_t t = 0; t < p.count; ++t) {
      const T* dy = static_cast<const T*>(p.dy) + t * p.width;
      T* to = dtable + p.ids[t] * p.width;
      for (std::int64_t c = begin; c < end; ++c) {
        to[c] += dy[c];
      }
    }
  });
}

}  // namespace

std::int64_t embedding_backward_workspace(const EmbeddingBackward& p, const CpuContext&) {
  return p.variant == 1 ? 0 : embedding_segments_workspace(p);
}

Status embedding_backward(const EmbeddingBackward& p, const CpuContext& context) {
  if (p.variant < 0 || p.variant > 2) {
    return Status::invalid("embedding: variants are 0 to 2");
  }
  if (const Status status = check_ids(p.ids, p.count, p.vocabulary); !status.ok()) {
    return status;
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    if (p.variant == 1) {
      add_to_columns<T>(p, context);
    } else if (p.workspace == nullptr && embedding_segments_workspace(p) > 0) {
      return Status::invalid("embedding: the workspace is missing");
    } else {
      embedding_segments(p, context);
    }
    return Status{};
  });
}

}  // namespace basin::kernels
