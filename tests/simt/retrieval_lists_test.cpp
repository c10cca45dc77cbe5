// Sparsemax and entmax by lists of candidates, as written for CUDA: rows with few candidates, with
// more than a list holds before its root is known, and with more than it ever holds; what hidden
// keys may not reach, and what a NaN that is seen has to reach.
#include "kernels/association/retrieval_lists.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "kernels/association/retrieval_case.h"
#include "kernels/table/case_arrays.h"
#include "tests/kernels/support.h"
#include "tests/simt/support.h"

namespace basin::kernels {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr int kWarps = 1;
constexpr int kLists = 2;

// Places of the buffers of retrieval_forward_case() and retrieval_backward_case().
enum Buffer : std::size_t { kQ = 0, kK = 1, kOut = 5, kStatistics = 6 };

struct Rule {
  std::string name;
  Separation separation;
  double alpha;  ///< of entmax
};
const std::vector<Rule>& rules() {
  static const std::vector<Rule> all = {{"sparsemax", Separation::sparsemax, 2},
                                        {"entmax15", Separation::entmax, 1.5},
                                        {"entmax12", Separation::entmax, 1.2}};
  return all;
}

RetrievalProblem problem_of(const Rule& rule, const std::string& name, std::int64_t L,
                            std::int64_t M, std::int64_t width) {
  RetrievalProblem p{
      .shape = {.name = rule.name + name, .B = 1, .H = 2, .L = L, .M = M, .D = width, .Dv = width},
      .separation = rule.separation};
  p.least_alpha = p.most_alpha = rule.alpha;
  return p;
}

/// With drawn inputs changed before anything else looks at them.
KernelCase changed(KernelCase problem, const std::function<void(void* const*, DType)>& change) {
  problem.prepare = [change, before = problem.prepare](void* const* data, DType dtype,
                                                       const CpuContext& context) {
    change(data, dtype);
    return before(data, dtype, context);
  };
  return problem;
}

// The case by lists in several orders of threads: the same bits, and the definition within
// `tolerance` or twice what the general kernel is off where large scores leave few digits of their
// differences.
void check(const KernelCase& problem, DType dtype, double tolerance, const CpuContext& cpu) {
  SCOPED_TRACE(problem.name + " " + name_of(dtype));
  CaseArrays expected = CaseArrays(problem, dtype, cpu).widened();
  problem.reference(expected.data());
  const auto run = [&](const SimtContext& order, int variant = kLists) {
    CaseArrays arrays(problem, dtype, cpu);
    EXPECT_TRUE(arrays.status().ok()) << arrays.status().message;
    const Status status = problem.run_simt(arrays.data(), dtype, variant, order);
    EXPECT_TRUE(status.ok()) << status.message;
    EXPECT_EQ(arrays.damaged(), "");
    return arrays;
  };
  const std::vector<SimtContext> orders = some_orders(problem.name, dtype == DType::f64);
  const CaseArrays found = run(orders.front());
  const auto worst = found.difference(expected);
  EXPECT_TRUE(worst.error <= tolerance ||
              worst.error <= 2 * run(orders.front(), kWarps).difference(expected).error)
      << worst.buffer << "[" << worst.position << "] is " << worst.found << ", expected "
      << worst.expected << ": error " << worst.error << " above " << tolerance;
  for (std::size_t n = 1; n < orders.size(); ++n) {
    EXPECT_TRUE(found.same_outputs(run(orders[n]))) << order_name(orders[n]);
  }
}

// Tolerances are those of the table (retrieval_table.cpp), which are for heads of 20 or so: what a
// query gains by a key, and with it every rounding of a gradient, grows with the root of the width.
void check_both(const RetrievalProblem& p, const CpuContext& cpu,
                const std::function<void(void* const*, DType)>& change) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const bool single = dtype == DType::f32;
    const double wide = std::max(1.0, std::sqrt(static_cast<double>(p.shape.Dv) / 20));
    check(changed(retrieval_forward_case(p, cpu), change), dtype, single ? 5e-6 : 1e-13, cpu);
    check(changed(retrieval_backward_case(p, cpu), change), dtype, wide * (single ? 5e-5 : 1e-11),
          cpu);
  }
}

constexpr auto kAsDrawn = [](void* const*, DType) {};

class RetrievalLists : public testing::TestWithParam<Rule> {};
INSTANTIATE_TEST_SUITE_P(Every, RetrievalLists, testing::ValuesIn(rules()),
                         [](const testing::TestParamInfo<Rule>& test) { return test.param.name; });

// A few queries of one tile look the same way in every direction: all 400 keys have a weight, more
// than a list holds, beside rows that have few.
TEST_P(RetrievalLists, RowsThatNoListHolds) {
  const TestContext cpu(1);
  RetrievalProblem p = problem_of(GetParam(), "_uniform", 40, 400, 8);
  p.shape.H = 1;
  p.shape.causal = GetParam().alpha == 2;
  check_both(p, cpu, [&](void* const* data, DType dtype) {
    for (const std::int64_t i : {0, 9, 17, 39}) {
      set_row(p.shape, data[kQ], dtype, 40, 8, 0, i, 0.01);
    }
  });
}

// The other way round: a key that all of 400 queries read.
TEST_P(RetrievalLists, AKeyThatEverybodyReads) {
  const TestContext cpu(1);
  RetrievalProblem p = problem_of(GetParam(), "_popular", 400, 40, 8);
  p.shape.H = 1;
  check_both(p, cpu, [&](void* const* data, DType dtype) {
    set_row(p.shape, data[kK], dtype, 40, 8, 0, 11, 0.5);
    for (std::int64_t i = 0; i < 400; ++i) {
      set_row(p.shape, data[kQ], dtype, 400, 8, 0, i, 2.0);
    }
  });
}

// Keys that come in the order of their scores, the largest last: each may have a weight when it is
// seen, and few have one in the end. Lists fill up again and again.
TEST_P(RetrievalLists, RisingScoresFillTheListsAgainAndAgain) {
  const TestContext cpu(1);
  RetrievalProblem p = problem_of(GetParam(), "_rising", 20, 900, 8);
  p.shape.H = 1;
  check_both(p, cpu, [&](void* const* data, DType dtype) {
    for (std::int64_t i = 0; i < 20; ++i) {
      set_row(p.shape, data[kQ], dtype, 20, 8, 0, i, 1.0 + 0.01 * static_cast<double>(i));
    }
    for (std::int64_t j = 0; j < 900; ++j) {
      set_row(p.shape, data[kK], dtype, 900, 8, 0, j, 0.004 * static_cast<double>(j));
    }
  });
}

// One width for each compiled version and those around it, lengths on both sides of a tile.
TEST(RetrievalListsOnSimt, HeadsOfEveryWidth) {
  const TestContext cpu(1);
  std::int64_t L = 62;
  for (const std::int64_t width : {4, 31, 32, 33, 64, 65, 128, 129, 256}) {
    ++L;
    RetrievalProblem p =
        problem_of(rules()[static_cast<std::size_t>(L % 2)], "_wide", L, L + 30, width);
    p.shape.causal = L % 3 == 0;
    check_both(p, cpu, kAsDrawn);
  }
  // Values that are wider than keys, and rows that cannot be copied 16 bytes at a time.
  RetrievalProblem p = problem_of(rules()[0], "_wide_values", 35, 41, 5);
  p.shape.Dv = 67;
  p.shape.interleaved = true;
  p.seen.radius = 7;
  check_both(p, cpu, kAsDrawn);
}

// A key that nobody sees may be anything; a query that sees a NaN has nothing else to give, and no
// other query minds.
TEST(RetrievalListsOnSimt, ANaNIsSeenByWhomItConcerns) {
  const TestContext cpu(1);
  for (const Rule& rule : rules()) {
    RetrievalProblem p = problem_of(rule, "_nan", 70, 70, 8);
    p.shape.causal = true;
    const AssociationProblem& s = p.shape;
    constexpr std::int64_t kBad = 30;
    const auto run = [&](const KernelCase& problem, std::size_t buffer, int variant) {
      CaseArrays arrays(problem, DType::f32, cpu);
      if (buffer == kK) {
        set_row(s, arrays.data()[buffer], DType::f32, s.M, s.D, 0, kBad, kNaN);
      }
      EXPECT_TRUE(problem.run_simt(arrays.data(), DType::f32, variant, SimtContext{}).ok());
      return arrays;
    };
    const KernelCase forward = retrieval_forward_case(p, cpu);
    const CaseArrays before = run(forward, kQ, kLists);
    const CaseArrays after = run(forward, kK, kLists);
    const HeadView view = s.view(nullptr, s.L, s.Dv);
    for (std::int64_t i = 0; i < s.L; ++i) {
      const double found = element(after.data()[kOut], DType::f32, i * view.row_stride);
      if (i < kBad) {
        EXPECT_EQ(found, element(before.data()[kOut], DType::f32, i * view.row_stride)) << i;
      } else {
        EXPECT_TRUE(std::isnan(found)) << "query " << i << " sees a NaN";
      }
    }
  }
}

// Statistics are what any other backward pass may use: those of the definition.
TEST(RetrievalListsOnSimt, LeaveTheStatisticsOfTheDefinition) {
  const TestContext cpu(1);
  for (const Rule& rule : rules()) {
    const RetrievalProblem p = problem_of(rule, "_statistics", 70, 150, 8);
    const KernelCase forward = retrieval_forward_case(p, cpu);
    const auto statistics = [&](int variant) {
      CaseArrays arrays(forward, DType::f64, cpu);
      EXPECT_TRUE(forward.run_simt(arrays.data(), DType::f64, variant, SimtContext{}).ok());
      std::vector<double> all;
      for (std::int64_t at = 0; at < 2 * 70 * 3; ++at) {
        all.push_back(element(arrays.data()[kStatistics], DType::f64, at));
      }
      return all;
    };
    const std::vector<double> lists = statistics(kLists);
    const std::vector<double> warps = statistics(kWarps);
    for (std::size_t n = 0; n < lists.size(); ++n) {
      if (n % 3 == 2) {
        EXPECT_EQ(lists[n], warps[n]);  // -inf: no top-k
      } else {
        EXPECT_NEAR(lists[n], warps[n], 1e-13) << n;
      }
    }
  }
}

// What one step of sparsemax or entmax is not, other kernels do.
TEST(RetrievalListsOnSimt, LeaveTheRestToTheGeneralKernel) {
  RetrievalForward p{};
  p.dtype = DType::f32;
  p.D = p.Dv = 64;
  p.update_steps = 1;
  p.separation.kind = Separation::sparsemax;
  EXPECT_TRUE(lists_apply_on_device(p));
  p.D = 257;
  EXPECT_FALSE(lists_apply_on_device(p));
  p.D = 64;
  p.update_steps = 2;
  EXPECT_FALSE(lists_apply_on_device(p));
  p.update_steps = 1;
  p.separation.kind = Separation::softmax;
  EXPECT_FALSE(lists_apply_on_device(p));
}

}  // namespace
}  // namespace basin::kernels
