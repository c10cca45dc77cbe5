// Every collective of a warp against its definition in the CUDA guide, written with arrays.
#include <bit>
#include <functional>

#include "kernels/common/philox.h"
#include "tests/simt/support.h"

namespace basin::kernels {
namespace {

// All lanes, each single lane, halves, alternating lanes, a pair and a few irregular ones.
std::vector<unsigned> masks() {
  std::vector<unsigned> all = {kAllLanes, 0x0000FFFFu, 0xFFFF0000u, 0x55555555u, 0x80000001u};
  for (unsigned lane = 0; lane < 32; ++lane) {
    all.push_back(1u << lane);
  }
  for (std::uint64_t i = 0; i < 20; ++i) {
    all.push_back(philox_word(5, 0, i) | 1u);
  }
  return all;
}

enum class Shuffle { index, up, down, exclusive_or };

void shuffle_kernel(Shuffle kind, unsigned mask, int argument, int width, const double* x,
                    double* y) {
  const unsigned lane = threadIdx.x % 32;
  if (((mask >> lane) & 1u) == 0) {
    return;
  }
  const double value = x[threadIdx.x];
  double* const to = y + threadIdx.x;
  switch (kind) {
    case Shuffle::index: *to = __shfl_sync(mask, value, argument, width); break;
    case Shuffle::up:
      *to = __shfl_up_sync(mask, value, static_cast<unsigned>(argument), width);
      break;
    case Shuffle::down:
      *to = __shfl_down_sync(mask, value, static_cast<unsigned>(argument), width);
      break;
    case Shuffle::exclusive_or: *to = __shfl_xor_sync(mask, value, argument, width); break;
  }
}

// Which lane is read, in the words of the guide.
int source(Shuffle kind, int lane, int argument, int width) {
  const int group = lane / width;
  const int inside = lane % width;
  switch (kind) {
    case Shuffle::index: return group * width + ((argument % width) + width) % width;
    case Shuffle::up: return inside < argument ? lane : lane - argument;
    case Shuffle::down: return inside + argument >= width ? lane : lane + argument;
    case Shuffle::exclusive_or: return (lane ^ argument) / width > group ? lane : lane ^ argument;
  }
  return -1;
}

TEST(Shuffle, ReadsTheLaneOfItsDefinition) {
  std::vector<double> x(64);
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = 100 + static_cast<double>(i);
  }
  const std::vector<SimtContext> orders = all_orders();
  for (const Shuffle kind : {Shuffle::index, Shuffle::up, Shuffle::down, Shuffle::exclusive_or}) {
    for (int width = 1; width <= 32; width *= 2) {
      for (int argument = 0; argument < 34; ++argument) {
        if (kind == Shuffle::exclusive_or && argument > 31) {
          continue;  // names no lane
        }
        std::vector<double> y(64);
        run_block(64, orders[static_cast<std::size_t>(argument) % 4], shuffle_kernel, kind,
                  kAllLanes, argument, width, x.data(), y.data());
        for (int i = 0; i < 64; ++i) {
          const int from = i / 32 * 32 + source(kind, i % 32, argument, width);
          ASSERT_EQ(y[static_cast<std::size_t>(i)], x[static_cast<std::size_t>(from)])
              << "kind " << static_cast<int>(kind) << " width " << width << " argument " << argument
              << " thread " << i;
        }
      }
    }
  }
}

TEST(Shuffle, WorksInPartOfAWarpWhileTheRestHasExited) {
  std::vector<double> x(64, 3.0);
  for (const unsigned mask : masks()) {
    const int lane = std::countr_zero(mask);
    x[static_cast<std::size_t>(lane)] = 8.5;
    std::vector<double> y(64);
    run_block(32, {}, shuffle_kernel, Shuffle::index, mask, lane, 32, x.data(), y.data());
    for (unsigned i = 0; i < 32; ++i) {
      EXPECT_EQ(y[i], ((mask >> i) & 1u) != 0 ? 8.5 : 0.0) << mask << " " << i;
    }
    x[static_cast<std::size_t>(lane)] = 3.0;
  }
}

template <class T>
void types_kernel(T value, int* ok) {
  const T got = __shfl_xor_sync(kAllLanes, static_cast<T>(threadIdx.x) + value, 1);
  atomicAdd(ok, got == static_cast<T>(threadIdx.x ^ 1u) + value ? 1 : 0);
}

TEST(Shuffle, KeepsEveryBitOfItsType) {
  int ok = 0;
  run_block(32, {}, types_kernel<int>, -5, &ok);
  run_block(32, {}, types_kernel<unsigned>, 0xFFFFFF00u, &ok);
  run_block(32, {}, types_kernel<long long>, -(1LL << 40), &ok);
  run_block(32, {}, types_kernel<float>, 0.5f, &ok);
  run_block(32, {}, types_kernel<double>, 1e-12, &ok);
  EXPECT_EQ(ok, 5 * 32);
}

// What each lane got, of every vote and reduction.
struct Results {
  unsigned ballot, any, all, add_u, min_u, max_u, bits_and, bits_or, bits_xor;
  int add_s, min_s, max_s;
};

void reduce_kernel(unsigned mask, const int* x, Results* out) {
  const unsigned lane = threadIdx.x;
  if (((mask >> lane) & 1u) == 0) {
    return;
  }
  const int s = x[lane];
  const auto u = static_cast<unsigned>(s);
  Results& r = out[lane];
  r.ballot = __ballot_sync(mask, s & 4);
  r.any = static_cast<unsigned>(__any_sync(mask, s & 8));
  r.all = static_cast<unsigned>(__all_sync(mask, s & 16));
  r.add_u = __reduce_add_sync(mask, u);
  r.min_u = __reduce_min_sync(mask, u);
  r.max_u = __reduce_max_sync(mask, u);
  r.bits_and = __reduce_and_sync(mask, u);
  r.bits_or = __reduce_or_sync(mask, u);
  r.bits_xor = __reduce_xor_sync(mask, u);
  r.add_s = __reduce_add_sync(mask, s);
  r.min_s = __reduce_min_sync(mask, s);
  r.max_s = __reduce_max_sync(mask, s);
}

Results expected_results(unsigned mask, const std::vector<int>& x) {
  Results e{0, 0, 1, 0, 0xFFFFFFFFu, 0, 0xFFFFFFFFu, 0, 0, 0, 0x7FFFFFFF, -0x7FFFFFFF - 1};
  for (unsigned lane = 0; lane < 32; ++lane) {
    if (((mask >> lane) & 1u) == 0) {
      continue;
    }
    const int s = x[lane];
    const auto u = static_cast<unsigned>(s);
    e.ballot |= (s & 4) != 0 ? 1u << lane : 0u;
    e.any = (s & 8) != 0 ? 1u : e.any;
    e.all = (s & 16) == 0 ? 0u : e.all;
    e.add_u += u;
    e.min_u = std::min(e.min_u, u);
    e.max_u = std::max(e.max_u, u);
    e.bits_and &= u;
    e.bits_or |= u;
    e.bits_xor ^= u;
    e.add_s += s;
    e.min_s = std::min(e.min_s, s);
    e.max_s = std::max(e.max_s, s);
  }
  return e;
}

TEST(VotesAndReductions, GiveEveryLaneTheResultOverItsMask) {
  for (int round = 0; round < 3; ++round) {
    std::vector<int> x(32);
    for (std::size_t i = 0; i < 32; ++i) {
      const auto word = philox_word(9, static_cast<std::uint64_t>(round), i);
      // Small positive and negative numbers, so that signed sums fit; a round in which all agree.
      x[i] = round == 2 ? 30 : static_cast<int>(word % 2001) - 1000;
    }
    for (const unsigned mask : masks()) {
      const Results e = expected_results(mask, x);
      for (const SimtContext& order : all_orders()) {
        SCOPED_TRACE(order_name(order) + " mask " + std::to_string(mask));
        std::vector<Results> out(32);
        run_block(32, order, reduce_kernel, mask, x.data(), out.data());
        for (unsigned lane = 0; lane < 32; ++lane) {
          if (((mask >> lane) & 1u) != 0) {
            ASSERT_EQ(std::memcmp(&out[lane], &e, sizeof e), 0) << "lane " << lane;
          }
        }
      }
    }
  }
}

// The two halves of a warp, and then its even and odd lanes, each meet on their own.
void disjoint_kernel(int* y) {
  const int lane = static_cast<int>(threadIdx.x);
  const unsigned half = lane < 16 ? 0x0000FFFFu : 0xFFFF0000u;
  y[lane] = __reduce_add_sync(half, lane);
  const unsigned parity = lane % 2 == 0 ? 0x55555555u : 0xAAAAAAAAu;
  y[32 + lane] = __reduce_add_sync(parity, lane);
  __syncwarp();
}

TEST(Collectives, OfDisjointMasksDoNotMix) {
  for (const SimtContext& order : all_orders()) {
    SCOPED_TRACE(order_name(order));
    std::vector<int> y(64);
    run_block(32, order, disjoint_kernel, y.data());
    for (std::size_t lane = 0; lane < 32; ++lane) {
      EXPECT_EQ(y[lane], lane < 16 ? 120 : 376);
      EXPECT_EQ(y[32 + lane], lane % 2 == 0 ? 240 : 256);
    }
  }
}

void neighbours_kernel(bool with_sync, int* y) {
  int* const s = shared<int, 32>();
  s[threadIdx.x] = 5;
  if (with_sync) {
    __syncwarp();
  }
  y[threadIdx.x] = s[(threadIdx.x + 1) % 32] + s[(threadIdx.x + 31) % 32];
}

TEST(SyncWarp, IsNeededInEveryOrder) {
  for (const SimtContext& order : all_orders()) {
    SCOPED_TRACE(order_name(order));
    std::vector<int> y(32);
    run_block(32, order, neighbours_kernel, true, y.data());
    EXPECT_EQ(y, std::vector<int>(32, 10));
    if (!kRacesAreReported) {
      run_block(32, order, neighbours_kernel, false, y.data());
      EXPECT_NE(y, std::vector<int>(32, 10));
    }
  }
}

}  // namespace
}  // namespace basin::kernels
