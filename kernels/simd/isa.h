// The level of vector instructions in use.
#pragma once

#include <cstdint>

#include "kernels/common/status.h"

namespace basin::kernels {

/// Results have the same bits on every machine that uses the same level; levels differ in the last
/// bits, because a wider register sums in another order and FMA rounds once instead of twice.
enum class Isa : std::uint8_t { baseline, avx2, avx512 };

const char* name_of(Isa isa);

/// The best level that this machine has and the environment variable BASIN_ISA (baseline, avx2 or
/// avx512) allows. Decided once, at the first call; the thread pool calls it before any kernel
/// runs.
Isa isa();

/// Invalid if BASIN_ISA is no level or one that this machine does not have.
Status isa_status();

}  // namespace basin::kernels
