// Which instruction sets the vectorised kernels are compiled for. Every file with Highway code
// includes this before <hwy/foreach_target.h>.
//
// Three levels are enough: what every x86-64 machine has, AVX2 with FMA, and AVX-512. More targets
// would double the build time for a few percent. (Highway is configured by macros and takes the
// code of a file once per target by including it again: the one place where this project uses
// macros on purpose.)
#pragma once

// Bit 14 is SSE2 in the versions of Highway that know it as a target.
#define HWY_DISABLED_TARGETS (~(HWY_AVX3 | HWY_AVX2 | HWY_EMU128 | HWY_SCALAR | (1LL << 14)))
