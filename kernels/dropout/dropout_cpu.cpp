#include "kernels/common/dispatch.h"
#include "kernels/common/philox.h"
#include "kernels/common/stream_offset.h"
#include "kernels/dropout/dropout.h"

namespace basin::kernels {

Status dropout(const Dropout& p, const CpuContext& context) {
  if (!(p.p >= 0.0 && p.p < 1.0)) {
    return Status::invalid("dropout: the probability must be in [0, 1)");
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const T* x = static_cast<const T*>(p.x);
    T* y = static_cast<T*>(p.y);
    const T scale = static_cast<T>(1.0 / (1.0 - p.p));
    const float threshold = static_cast<float>(p.p);
    const std::uint64_t stream = offset_stream(p.stream, p.stream_offset);
    // A multiple of 4, so that no chunk shares a Philox block with another.
    for_ranges(context, p.count, 8192, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; i += 4) {
        const auto words = philox(p.key, static_cast<std::uint64_t>(i) >> 2, stream);
        for (std::int64_t j = i; j < std::min(i + 4, end); ++j) {
          const bool keep = uniform_from_word(words[static_cast<std::size_t>(j - i)]) >= threshold;
          y[j] = keep ? x[j] * scale : T(0);
        }
      }
    });
    return Status{};
  });
}

}  // namespace basin::kernels
