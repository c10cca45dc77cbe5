// Numbers of random streams of which a part lies in memory. A launch that is recorded once and
// repeated keeps its arguments: a stream that was an argument would draw the same mask for ever.
#pragma once

#include <cstdint>

#include "kernels/common/qualifiers.h"

namespace basin::kernels {

/// stream + *offset; a null offset is 0.
[[gnu::always_inline]] BASIN_HOST_DEVICE inline std::uint64_t offset_stream(
    std::uint64_t stream, const std::int64_t* offset) {
  return offset == nullptr ? stream : stream + static_cast<std::uint64_t>(*offset);
}

}  // namespace basin::kernels
