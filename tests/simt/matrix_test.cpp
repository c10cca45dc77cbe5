// ldmatrix and mma under the executor.
#include "kernels/common/ptx_matrix.cuh"
#include "tests/simt/matrix_checks.h"
#include "tests/simt/support.h"

namespace basin::kernels {
namespace {

// "For i < 2 and 4 <= i < 6 the row is groupID, else groupID + 8; the column is
// threadID_in_group * 2 + (i & 1), from i = 4 on plus 8."
TEST(Fragments, AreThoseOfTheManual) {
  for (int lane = 0; lane < 32; ++lane) {
    const int group = lane >> 2;
    const int in_group = lane & 3;
    for (int i = 0; i < 8; ++i) {
      const bool upper = i < 2 || (4 <= i && i < 6);
      const MatrixPlace a{upper ? group : group + 8, in_group * 2 + (i & 1) + (i >= 4 ? 8 : 0)};
      EXPECT_EQ(M16N8K16::a(lane, i), a);
    }
    for (int i = 0; i < 4; ++i) {
      const MatrixPlace b{in_group * 2 + (i & 1) + (i >= 2 ? 8 : 0), group};
      const MatrixPlace c{i < 2 ? group : group + 8, in_group * 2 + (i & 1)};
      const MatrixPlace of_tf32{i == 0 || i == 2 ? group : group + 8,
                                i < 2 ? in_group : in_group + 4};
      EXPECT_EQ(M16N8K16::b(lane, i), b);
      EXPECT_EQ(M16N8K16::c(lane, i), c);
      EXPECT_EQ(M16N8K8::c(lane, i), c);
      EXPECT_EQ(M16N8K8::a(lane, i), of_tf32);
    }
    EXPECT_EQ(M16N8K8::b(lane, 0), (MatrixPlace{in_group, group}));
    EXPECT_EQ(M16N8K8::b(lane, 1), (MatrixPlace{in_group + 4, group}));
  }
}

void in_all_orders(const std::function<void(const MatrixRunner&)>& check) {
  for (const SimtContext& context : all_orders()) {
    SCOPED_TRACE(order_name(context));
    check({[&](const LoadProbe& p) { return probe_load(p, context); },
           [&](const ProductProbe& p) { return probe_product(p, context); },
           [&](const Tf32Probe& p) { return probe_tf32(p, context); }});
  }
}

TEST(LoadMatrices, GivesEachLaneItsPair) { in_all_orders(expect_pairs); }

TEST(Multiply, IsExactOnWholeNumbers) { in_all_orders(expect_exact_products); }

TEST(Multiply, RoundsOnce) {
  in_all_orders([](const MatrixRunner& run) { expect_products(run, 0); });
}

TEST(Multiply, KeepsNanAndInfinity) { in_all_orders(expect_nan_and_infinity); }

TEST(Multiply, IgnoresTheLowerBitsOfTf32) { in_all_orders(expect_lower_bits_ignored); }

TEST(ToTf32, RoundsToTenBitsTiesAwayFromZero) { in_all_orders(expect_tf32); }

enum class Mistake { none, global, misaligned, divergent, counts };

void faulty_load(Mistake mistake, const std::uint16_t* global) {
  std::uint16_t* const tile = shared<std::uint16_t, 512>();
  const std::uint16_t* row = tile + threadIdx.x % 32 * 8;
  std::uint32_t one[1];
  std::uint32_t four[4];
  if (mistake == Mistake::global && threadIdx.x == 3) {
    row = global;
  }
  if (mistake == Mistake::misaligned && threadIdx.x == 9) {
    row += 4;
  }
  if (mistake == Mistake::divergent && threadIdx.x >= 16) {
    load_matrices(four, row);
  } else if (mistake == Mistake::counts && threadIdx.x >= 16) {
    load_matrices(one, row);
  } else {
    load_matrices(four, row);
  }
}

TEST(MatrixFault, IsNamed) {
  alignas(16) const std::uint16_t global[8] = {};
  run_block(32, {}, faulty_load, Mistake::none, &global[0]);
  expect_fault({"ldmatrix", "the row of thread (3,0,0) must lie in shared memory"}, 32, {},
               faulty_load, Mistake::global, &global[0]);
  expect_fault({"ldmatrix", "thread (9,0,0)", "a multiple of 16 bytes"}, 32, {}, faulty_load,
               Mistake::misaligned, &global[0]);
  expect_fault({"ldmatrix is divergent", "thread (16,0,0)"}, 32, {}, faulty_load,
               Mistake::divergent, &global[0]);
  expect_fault({"ldmatrix is divergent"}, 32, {}, faulty_load, Mistake::counts, &global[0]);
  expect_fault({"its warp has only 16 threads"}, 16, {}, faulty_load, Mistake::none, &global[0]);
}

}  // namespace
}  // namespace basin::kernels
