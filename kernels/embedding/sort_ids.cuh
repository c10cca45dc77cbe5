// Sorting positions by their id on a GPU, equal ids in the order of their positions.
#pragma once

#include <cstdint>

#include "kernels/common/launch.h"

namespace basin::kernels::sort_ids {

/// Pairs of an id and its position.
struct Pairs {
  std::uint32_t* id;
  std::uint32_t* position;
};

/// How many numbers sort() needs as `places`.
std::int64_t places_of(std::int64_t count, const DeviceContext& context);

/// The ids with their positions, sorted, in `pairs`; `other` has room for as many, and the two may
/// change places. An id outside [0, vocabulary) counts as `vocabulary`, behind all others. count
/// and vocabulary are below 2^32 - 1, count is not 0.
Status sort(const std::int64_t* ids, std::int64_t count, std::int64_t vocabulary, Pairs& pairs,
            Pairs& other, std::uint32_t* places, const DeviceContext& context);

}  // namespace basin::kernels::sort_ids
