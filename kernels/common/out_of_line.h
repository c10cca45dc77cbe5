// What keeps large code from being copied to wherever it is used: a compiler for GPUs inlines every
// function and unrolls every loop of constant length, and then takes minutes for a file.
#pragma once

#ifdef __CUDACC__
#define BASIN_ROLL _Pragma("unroll 1")  // in front of a loop
#define BASIN_OUT_OF_LINE __noinline__  // in front of a function
#else
#define BASIN_ROLL
#define BASIN_OUT_OF_LINE
#endif
