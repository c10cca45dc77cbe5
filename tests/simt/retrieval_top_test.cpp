// Softmax over top-k in the tiled loops, as it is written for CUDA: thresholds are those of the
// definition to the bit, whatever the first guess of them was worth; and the loops that make scores
// again, forward and from both sides backward, leave out the same pairs.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "kernels/association/key_sample.h"
#include "kernels/association/retrieval_tiles.h"
#include "kernels/table/case_arrays.h"
#include "tests/kernels/support.h"
#include "tests/simt/retrieval_formats.h"
#include "tests/simt/support.h"

namespace basin::kernels {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int kWarps = 1;
constexpr int kTiles = 3;

// Places of the buffers of retrieval_forward_case() and retrieval_backward_case().
enum Buffer : std::size_t {
  kQ = 0,
  kK = 1,
  kV = 2,
  kOut = 5,
  kStatistics = 6,
  kDout = 8,
  kDv = 11
};

using Change = std::function<void(void* const*, DType)>;

/// With drawn inputs changed before anything else looks at them.
KernelCase changed(KernelCase problem, const Change& change) {
  problem.prepare = [change, before = problem.prepare](void* const* data, DType dtype,
                                                       const CpuContext& context) {
    change(data, dtype);
    return before(data, dtype, context);
  };
  return problem;
}

// `problem` has to outlive what this and check() return.
CaseArrays run(const KernelCase& problem, DType dtype, const CpuContext& cpu,
               const SimtContext& order = {}, int variant = kTiles) {
  CaseArrays arrays(problem, dtype, cpu);
  EXPECT_TRUE(arrays.status().ok()) << arrays.status().message;
  const Status status = problem.run_simt(arrays.data(), dtype, variant, order);
  EXPECT_TRUE(status.ok()) << status.message;
  EXPECT_EQ(arrays.damaged(), "");
  return arrays;
}

// The same bits in several orders of threads, within `tolerance` of the definition.
CaseArrays check(const KernelCase& problem, DType dtype, double tolerance, const CpuContext& cpu) {
  SCOPED_TRACE(problem.name + " " + name_of(dtype));
  const std::vector<SimtContext> orders = some_orders(problem.name, true);
  CaseArrays found = run(problem, dtype, cpu, orders.front());
  const CaseReference reference(problem, CaseArrays(problem, dtype, cpu));
  const auto worst = reference.difference(found);
  EXPECT_TRUE(worst.error <= tolerance)
      << worst.buffer << "[" << worst.position << "] is " << worst.found << ", expected "
      << worst.expected << ": error " << worst.error << " above " << tolerance;
  EXPECT_TRUE(found.same_outputs(run(problem, dtype, cpu, orders.back())));
  return found;
}

std::vector<double> thresholds_in(const CaseArrays& arrays, DType dtype) {
  std::vector<double> all;
  for (std::int64_t at = 2; at < arrays.elements(kStatistics); at += 3) {
    all.push_back(element(arrays.data()[kStatistics], dtype, at));
  }
  return all;
}

// Both passes; and the thresholds of the kernel that takes a warp for a query, which adds up the
// products of a score in the same order.
void check_passes(
    const RetrievalProblem& p, const Format& format, const CpuContext& cpu,
    const Change& change = [](void* const*, DType) {}) {
  const KernelCase forward = changed(retrieval_forward_case(p, cpu), change);
  const CaseArrays found = check(forward, format.dtype, format.forward, cpu);
  EXPECT_EQ(thresholds_in(found, format.dtype),
            thresholds_in(run(forward, format.dtype, cpu, {}, kWarps), format.dtype))
      << p.shape.name;
  check(changed(retrieval_backward_case(p, cpu), change), format.dtype, format.backward, cpu);
}

class RetrievalTop : public testing::TestWithParam<Named> {};

TEST_P(RetrievalTop, AgreesWithTheDefinition) {
  const TestContext cpu(1);
  std::vector<RetrievalProblem> problems = problems_of(GetParam());
  std::size_t number = 0;
  while (visibilities()[number].name != GetParam().name) {
    ++number;
  }
  for (std::size_t n = 0; n < problems.size(); ++n) {
    RetrievalProblem& p = problems[n];
    if (n % 2 == 0) {
      p.seen.top_fraction = 0.2;
    } else {
      p.seen.top_k = 5;
    }
    // Each way to hide keys in a few of the ten problems, each of those with a few ways.
    if ((number + n) % 10 == 0) {
      check_passes(p, kF64, cpu);
    } else if ((number + n) % 5 == 2) {
      check_passes(p, kF32, cpu);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Every, RetrievalTop, testing::ValuesIn(visibilities()),
                         [](const testing::TestParamInfo<Named>& test) { return test.param.name; });

RetrievalProblem problem_of(const std::string& name, std::int64_t L, std::int64_t M,
                            std::int64_t width) {
  return {.shape = {.name = name, .B = 1, .H = 1, .L = L, .M = M, .D = width, .Dv = width}};
}

TEST(RetrievalTopOnSimt, HeadsOfEveryWidth) {
  const TestContext cpu(1);
  std::int64_t L = 62;
  for (const std::int64_t width : {33, 65, 129, 256}) {
    ++L;
    RetrievalProblem p = problem_of("wide_" + std::to_string(width), L, L + 30, width);
    p.seen.top_k = 11;
    p.shape.causal = width == 65;
    check_passes(p, width == 256 ? kF64 : kF32, cpu);
  }
}

TEST(RetrievalTopOnSimt, AnyNumberOfKeys) {
  const TestContext cpu(1);
  for (const std::int64_t top : {1, 66, 67, 68, 1000}) {
    RetrievalProblem p = problem_of("top_" + std::to_string(top), 9, 67, 8);
    p.seen.top_k = top;
    check_passes(p, kF32, cpu);
  }
}

// Keys with the score of the last one that is kept are kept, too.
TEST(RetrievalTopOnSimt, TiesAreKept) {
  const TestContext cpu(1);
  for (const std::int64_t M : {90, 1500}) {
    RetrievalProblem p = problem_of("ties_" + std::to_string(M), 3, M, 4);
    p.seen.top_k = M / 2;
    const Change ties = [&](void* const* data, DType dtype) {
      for (std::int64_t j = 0; j < M; ++j) {
        // Two fifths above, two fifths the same, one fifth below.
        const double x =
            j % 5 < 2 ? 0.6 + 0.0001 * static_cast<double>(j) : (j % 5 < 4 ? 0.5 : 0.1);
        set_row(p.shape, data[kK], dtype, M, 4, 0, j, x);
      }
      for (std::int64_t i = 0; i < 3; ++i) {
        set_row(p.shape, data[kQ], dtype, 3, 4, 0, i, 0.25);
      }
    };
    check_passes(p, kF32, cpu, ties);
    const KernelCase forward = changed(retrieval_forward_case(p, cpu), ties);
    const CaseArrays arrays = run(forward, DType::f32, cpu);
    const double beta = element(arrays.data()[3], DType::f32, 0);
    EXPECT_FLOAT_EQ(static_cast<float>(thresholds_in(arrays, DType::f32)[0]),
                    static_cast<float>(0.5 * beta));
  }
}

// What the keys are to a query: most guesses are then wrong, or the list is too short again and
// again. A share of the keys is the sample (key_sample.h).
TEST(RetrievalTopOnSimt, LongRowsWhateverTheSampleSays) {
  const TestContext cpu(1);
  constexpr std::int64_t M = 2100;
  constexpr double kKeys = static_cast<double>(M);
  // As the kernel takes them.
  const auto sampled = [](std::int64_t j) {
    return is_sampled(j, static_cast<std::uint64_t>(M / 8) * Visibility::kKeepAll / M);
  };
  struct Rows {
    std::string name;
    std::function<double(std::int64_t)> score;  ///< of key j
    std::int64_t top;
    int passes;  ///< over all keys, which the search takes at least
  };
  const auto mixed = [](std::int64_t j) { return static_cast<double>(j * 1009 % M) / kKeys; };
  const auto near = [](double x) { return 0.5 + 0.01 * x; };
  const std::vector<Rows> all = {
      {"mixed", mixed, M / 5, 1},
      {"mixed_most", mixed, M - 3, 1},
      {"mixed_one", mixed, 1, 1},
      {"rising", [](std::int64_t j) { return static_cast<double>(j) / kKeys; }, M / 3, 1},
      {"sample_too_high", [&](std::int64_t j) { return mixed(j) / 2 + (sampled(j) ? 0.5 : 0.0); },
       M / 2, 3},
      {"sample_too_low", [&](std::int64_t j) { return mixed(j) / 2 + (sampled(j) ? 0.0 : 0.5); },
       M / 2, 3},
      {"sample_too_wide", [&](std::int64_t j) { return sampled(j) ? mixed(j) : near(mixed(j)); },
       M / 2, 2},
      {"sample_too_wide_rising",
       [&](std::int64_t j) { return sampled(j) ? mixed(j) : near(static_cast<double>(j) / kKeys); },
       M / 2, 5},
  };
  std::int64_t without_search = 0;  // copies
  for (const Rows& rows : all) {
    SCOPED_TRACE(rows.name);
    RetrievalProblem p = problem_of(rows.name, 2, M, 4);
    const Change change = [&](void* const* data, DType dtype) {
      for (std::int64_t j = 0; j < M; ++j) {
        set_row(p.shape, data[kK], dtype, M, 4, 0, j, rows.score(j));
      }
      set_row(p.shape, data[kQ], dtype, 2, 4, 0, 0, 0.75);
      set_row(p.shape, data[kQ], dtype, 2, 4, 0, 1, -0.75);  // the other way round
    };
    LaunchCounts counts;
    SimtContext context;
    context.counts = &counts;
    if (without_search == 0) {
      run(changed(retrieval_forward_case(p, cpu), change), DType::f32, cpu, context);
      without_search = counts.async_copies;
      counts = {};
    }
    p.seen.top_k = rows.top;
    const KernelCase forward = changed(retrieval_forward_case(p, cpu), change);
    EXPECT_EQ(thresholds_in(run(forward, DType::f32, cpu, context), DType::f32),
              thresholds_in(run(forward, DType::f32, cpu, {}, kWarps), DType::f32));
    constexpr std::int64_t kOfPass = (M / 64 + 1) * 64 * 8;  // rows of 8 copies
    EXPECT_GE(counts.async_copies - without_search, rows.passes * kOfPass);
    if (rows.name == "mixed") {
      check_passes(p, kF32, cpu, change);
    }
  }
  RetrievalProblem drawn = problem_of("drawn", 70, 1300, 8);
  drawn.seen.top_fraction = 0.1;
  drawn.shape.causal = true;
  const KernelCase forward = retrieval_forward_case(drawn, cpu);
  check(forward, DType::f32, kF32.forward, cpu);
}

// With a value for each key that is 1 in its own column the weights can be read off, and with such
// gradients those from the side of the keys: in every row as many as top-k keeps, and from both
// sides the same.
TEST(RetrievalTopOnSimt, AllPassesKeepTheSamePairs) {
  const TestContext cpu(1);
  constexpr std::int64_t kLength = 140;
  RetrievalProblem p = problem_of("one_hot", kLength, kLength, kLength);
  p.seen.top_k = 37;
  const Change one_hot = [&](void* const* data, DType dtype) {
    for (std::int64_t n = 0; n < kLength * kLength; ++n) {
      set_element(data[kV], dtype, n, n / kLength == n % kLength ? 1 : 0);
    }
  };
  const KernelCase forward = changed(retrieval_forward_case(p, cpu), one_hot);
  const KernelCase backward =
      changed(retrieval_backward_case(p, cpu), [&](void* const* data, DType dtype) {
        one_hot(data, dtype);
        for (std::int64_t n = 0; n < kLength * kLength; ++n) {
          set_element(data[kDout], dtype, n, n / kLength == n % kLength ? 1 : 0);
        }
      });
  const CaseArrays weights = run(forward, DType::f32, cpu);
  const CaseArrays gradients = run(backward, DType::f32, cpu);
  for (std::int64_t i = 0; i < kLength; ++i) {
    std::int64_t kept = 0;
    for (std::int64_t j = 0; j < kLength; ++j) {
      const bool keeps = element(weights.data()[kOut], DType::f32, i * kLength + j) != 0;
      kept += keeps ? 1 : 0;
      ASSERT_EQ(element(gradients.data()[kDv], DType::f32, j * kLength + i) != 0, keeps)
          << "query " << i << ", key " << j;
    }
    ASSERT_EQ(kept, 37) << "query " << i;
  }
}

// A query that sees a NaN gives NaN; no other minds, and none that a value dropped by top-k has.
TEST(RetrievalTopOnSimt, ANaNIsSeenByWhomItConcerns) {
  const TestContext cpu(1);
  RetrievalProblem p = problem_of("nan", 70, 70, 8);
  p.shape.causal = true;
  p.seen.top_k = 4;
  constexpr std::int64_t kBad = 30;
  const KernelCase forward = retrieval_forward_case(p, cpu);
  const CaseArrays before = run(forward, DType::f32, cpu);
  for (const bool in_keys : {true, false}) {
    const KernelCase broken = changed(forward, [&](void* const* data, DType dtype) {
      set_row(p.shape, data[in_keys ? kK : kV], dtype, 70, 8, 0, kBad, kNaN);
    });
    const CaseArrays after = run(broken, DType::f32, cpu);
    std::int64_t unread = 0;
    for (std::int64_t i = 0; i < 70; ++i) {
      const double found = element(after.data()[kOut], DType::f32, i * 8);
      if (i < kBad) {
        EXPECT_EQ(found, element(before.data()[kOut], DType::f32, i * 8)) << i;
      } else if (in_keys) {
        EXPECT_TRUE(std::isnan(found)) << i;
        EXPECT_EQ(element(after.data()[kStatistics], DType::f32, 3 * i + 2), -kInfinity) << i;
      } else {
        unread += found == element(before.data()[kOut], DType::f32, i * 8) ? 1 : 0;
      }
    }
    EXPECT_TRUE(in_keys || unread > 20) << unread;
  }
}

// Rows are copied 16 bytes at a time, so copies tell how often keys were loaded: for the thresholds
// an eighth of them and then all.
TEST(RetrievalTopOnSimt, LongRowsTakeASampleAndAPass) {
  const TestContext cpu(1);
  constexpr std::int64_t kKeys = 4096;
  constexpr std::int64_t kTile = 64 * 32 * 4 / 16;  // copies for 64 rows
  const auto copies = [&](double fraction) {
    RetrievalProblem p = problem_of("long", 64, kKeys, 32);
    p.seen.top_fraction = fraction;
    LaunchCounts counts;
    SimtContext context;
    context.counts = &counts;
    run(retrieval_forward_case(p, cpu), DType::f32, cpu, context);
    return counts.async_copies;
  };
  const std::int64_t of_search = copies(0.2) - copies(0);
  EXPECT_GE(of_search, kKeys / 64 * kTile);
  EXPECT_LE(of_search, (kKeys / 64 * 9 / 8 + 1 + 2) * kTile);  // and the queries twice
}

// Which problems go there.
TEST(RetrievalTopOnSimt, LeavesTheRestToTheGeneralKernel) {
  RetrievalForward p{};
  p.dtype = DType::f32;
  p.D = p.Dv = 64;
  p.update_steps = 1;
  p.separation.kind = Separation::softmax;
  EXPECT_FALSE(top_tiles_apply_on_device(p));
  p.visibility.top_k = 3;
  EXPECT_TRUE(top_tiles_apply_on_device(p));
  EXPECT_FALSE(tiles_apply_on_device(p));
  RetrievalForward rest[5] = {p, p, p, p, p};
  rest[0].Dv = 257;
  rest[1].update_steps = 2;
  rest[2].separation.kind = Separation::sparsemax;
  rest[3].precision = Precision::tf32;
  rest[4].dtype = DType::bf16;
  for (const RetrievalForward& other : rest) {
    EXPECT_FALSE(top_tiles_apply_on_device(other));
  }
}

}  // namespace
}  // namespace basin::kernels
