// Retrieval by tiles of gathered keys, as it is written for CUDA: softmax under every visibility
// and their combinations, forward and backward, against the definition; what hidden keys and
// queries may not reach; that tiles without a visible pair are not even loaded. In bf16 and tf32
// the same on tensor cores, and in f32 there by three products of tf32.
#include "kernels/association/retrieval_tiles.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/table/case_arrays.h"
#include "tests/kernels/support.h"
#include "tests/simt/retrieval_formats.h"
#include "tests/simt/support.h"

namespace basin::kernels {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr int kTiles = 3;

// Places of the buffers of retrieval_forward_case() and retrieval_backward_case().
enum Buffer : std::size_t {
  kQ = 0,
  kK = 1,
  kV = 2,
  kBeta = 3,
  kOut = 5,
  kStatistics = 6,
  kDout = 8,
  kDq = 9,
  kDk = 10,
  kDv = 11
};

// Runs the case with tiles in several orders of threads: the same bits, within `tolerance` of the
// reference or of what a naive computation is off by.
void check(const KernelCase& problem, const Format& format, double tolerance,
           const CpuContext& cpu) {
  SCOPED_TRACE(problem.name + " " + format.name);
  const DType dtype = format.dtype;
  const auto run = [&](const SimtContext& order) {
    CaseArrays arrays(problem, dtype, cpu);
    EXPECT_TRUE(arrays.status().ok()) << arrays.status().message;
    const Status status = problem.run_simt(arrays.data(), dtype, kTiles, order);
    EXPECT_TRUE(status.ok()) << status.message;
    EXPECT_EQ(arrays.damaged(), "");
    return arrays;
  };
  const std::vector<SimtContext> orders = some_orders(problem.name, dtype == DType::f64);
  const CaseArrays found = run(orders.front());
  const CaseReference reference(problem, CaseArrays(problem, dtype, cpu));
  const auto worst = reference.difference(found);
  EXPECT_TRUE(worst.error <= tolerance)
      << worst.buffer << "[" << worst.position << "] is " << worst.found << ", expected "
      << worst.expected << ": error " << worst.error << " above " << tolerance;
  for (std::size_t n = 1; n < orders.size(); ++n) {
    EXPECT_TRUE(found.same_outputs(run(orders[n]))) << order_name(orders[n]);
  }
}

void check_passes(const RetrievalProblem& p, const Format& format, const CpuContext& cpu,
                  bool backward) {
  check(forward_in(format, p, cpu), format, format.forward, cpu);
  if (backward) {
    check(backward_in(format, p, cpu), format, format.backward, cpu);
  }
}

void check_all(const RetrievalProblem& p, const CpuContext& cpu) {
  for (const Format& format : kFormats) {
    check_passes(p, format, cpu, true);
  }
}

// Other formats go through the walks of f32, so that some problems are enough: in f64 and bf16 of
// each visibility, in f32 on tensor cores a few, as products take the executor longer.
bool is_run(const Format& format, std::size_t problem, const Named& visibility) {
  std::size_t number = 0;
  while (visibilities()[number].name != visibility.name) {
    ++number;
  }
  const std::size_t sum = problem + number;
  if (!format.on_tensor_cores) {
    return format.dtype == DType::f32 || sum % 3 == 1;
  }
  switch (*format.on_tensor_cores) {
    case TensorProducts::bf16: return sum % 3 == 0;
    case TensorProducts::tf32: return number % 3 == 0 && sum % 10 == 0;
    case TensorProducts::split: return number % 6 == 1 && sum % 10 == 5;
  }
  return true;
}

class RetrievalTiles : public testing::TestWithParam<Named> {};

TEST_P(RetrievalTiles, AgreeWithTheDefinition) {
  const TestContext cpu(1);
  const std::vector<RetrievalProblem> problems = problems_of(GetParam());
  for (std::size_t n = 0; n < problems.size(); ++n) {
    for (const Format& format : kFormats) {
      // f64 finds what is too small for f32.
      if (format.dtype == DType::f64 || is_run(format, n, GetParam())) {
        check_passes(problems[n], format, cpu, true);
      }
    }
  }
}

// In which queries and keys a NaN may show up: nowhere but where it is seen.
TEST_P(RetrievalTiles, WhatIsHiddenReachesNothing) {
  const TestContext cpu(1);
  const std::vector<RetrievalProblem> problems = problems_of(GetParam());
  for (std::size_t n = 0; n < problems.size(); ++n) {
    const RetrievalProblem& p = problems[n];
    const AssociationProblem& s = p.shape;
    const Visibility seen = p.visibility();
    const std::int64_t bad_key = s.M / 3;
    const std::int64_t bad_query = s.L / 2;
    for (const Format& format : kFormats) {
      if (!is_run(format, n, GetParam())) {
        continue;
      }
      SCOPED_TRACE(s.name + " " + format.name);
      const DType dtype = format.dtype;
      const auto run = [&](const KernelCase& problem, auto&& change) {
        CaseArrays arrays(problem, dtype, cpu);
        change(arrays.data());
        EXPECT_TRUE(problem.run_simt(arrays.data(), dtype, kTiles, SimtContext{}).ok());
        return arrays;
      };
      // Every row of `buffer` that sees() nothing of what is broken must be as it was.
      const auto expect_unchanged = [&](const CaseArrays& after, const CaseArrays& before,
                                        std::size_t buffer, std::int64_t rows, std::int64_t width,
                                        auto&& sees) {
        const HeadView view = s.view(nullptr, rows, width);
        for (std::int64_t at = 0; at < s.B * s.H * rows; ++at) {
          const std::int64_t b = at / rows / s.H;
          const std::int64_t h = at / rows % s.H;
          const std::int64_t row = at % rows;
          for (std::int64_t c = 0; c < width && !sees(b, h, row); ++c) {
            const std::int64_t place =
                b * view.batch_stride + h * view.head_stride + row * view.row_stride + c;
            ASSERT_EQ(element(after.data()[buffer], dtype, place),
                      element(before.data()[buffer], dtype, place))
                << "buffer " << buffer << ", row " << row << " of item " << b << ", head " << h;
          }
        }
      };
      const auto sees_bad_key = [&](std::int64_t b, std::int64_t h, std::int64_t i) {
        return seen.keep(b, h, i, bad_key);
      };
      const auto is_seen_by_bad_query = [&](std::int64_t b, std::int64_t h, std::int64_t j) {
        return seen.keep(b, h, bad_query, j) || (p.normalise_all && j < seen.length(b));
      };
      const auto nothing = [](void* const*) {};
      const auto break_key = [&](void* const* data) {
        for (std::int64_t b = 0; b < s.B; ++b) {
          if (!p.normalise_all) {
            set_row(s, data[kK], dtype, s.M, s.D, b, bad_key, kNaN);
          }
          set_row(s, data[kV], dtype, s.M, s.Dv, b, bad_key, kNaN);
        }
      };
      const KernelCase forward = forward_in(format, p, cpu);
      const CaseArrays out = run(forward, nothing);
      expect_unchanged(run(forward, break_key), out, kOut, s.L, s.Dv, sees_bad_key);

      const KernelCase backward = backward_in(format, p, cpu);
      const CaseArrays gradients = run(backward, nothing);
      expect_unchanged(run(backward, break_key), gradients, kDq, s.L, s.D, sees_bad_key);
      const CaseArrays broken = run(backward, [&](void* const* data) {
        for (std::int64_t b = 0; b < s.B; ++b) {
          set_row(s, data[kQ], dtype, s.L, s.D, b, bad_query, kNaN);
          set_row(s, data[kDout], dtype, s.L, s.Dv, b, bad_query, kNaN);
        }
      });
      expect_unchanged(broken, gradients, kDk, s.M, s.D, is_seen_by_bad_query);
      expect_unchanged(broken, gradients, kDv, s.M, s.Dv, is_seen_by_bad_query);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Every, RetrievalTiles, testing::ValuesIn(visibilities()),
                         [](const testing::TestParamInfo<Named>& test) { return test.param.name; });

// One width for each compiled version and those around it, lengths on both sides of a tile.
TEST(RetrievalTilesOnSimt, HeadsOfEveryWidth) {
  const TestContext cpu(1);
  std::int64_t L = 62;
  for (const std::int64_t width : {4, 31, 32, 33, 64, 65, 128, 129, 256}) {
    ++L;
    for (const bool tiles : {false, true}) {
      RetrievalProblem p{.shape = {.name = "wide_" + std::to_string(width) + (tiles ? "_t" : "_w"),
                                   .B = 1,
                                   .H = 1,
                                   .L = L,
                                   .M = L + 30,
                                   .D = width,
                                   .Dv = width}};
      if (tiles) {
        p.seen.random_key = 2;
        p.seen.keep_below = keep_bound(0.5);
        p.seen.query_shift = 6;
      } else {
        p.seen.radius = 25;
        p.shape.causal = true;
      }
      for (const Format& format : kFormats) {
        // The kernels of tensor cores have no width 32; those of f32 are compiled for the widths
        // of the table.
        const bool runs = !is_f32_on_tensor_cores(format) && (width % 32 == 1 || width == 256);
        if (!format.on_tensor_cores || runs) {
          check_passes(p, format, cpu, true);
        }
      }
    }
  }
  // Values that are wider than keys, and rows that cannot be copied 16 bytes at a time.
  RetrievalProblem p{.shape = {.name = "wide_values",
                               .B = 2,
                               .H = 2,
                               .L = 35,
                               .M = 41,
                               .D = 5,
                               .Dv = 67,
                               .interleaved = true}};
  p.seen.radius = 7;
  check_all(p, cpu);
}

// Statistics are what any other backward pass may use: those of the definition.
TEST(RetrievalTilesOnSimt, LeaveTheStatisticsOfTheDefinition) {
  const TestContext cpu(1);
  for (const Named& visibility : visibilities()) {
    for (const RetrievalProblem& p : problems_of(visibility)) {
      SCOPED_TRACE(p.shape.name);
      const KernelCase problem = retrieval_forward_case(p, cpu);
      CaseArrays expected(problem, DType::f64, cpu);
      CaseArrays found(problem, DType::f64, cpu);
      ASSERT_TRUE(problem.run(expected.data(), DType::f64, 1, cpu).ok());
      ASSERT_TRUE(problem.run_simt(found.data(), DType::f64, kTiles, SimtContext{}).ok());
      for (std::int64_t at = 0; at < found.elements(kStatistics); ++at) {
        const double x = element(found.data()[kStatistics], DType::f64, at);
        const double y = element(expected.data()[kStatistics], DType::f64, at);
        ASSERT_TRUE(x == y || std::abs(x - y) <= 1e-13 * (1 + std::abs(y)))
            << at << ": " << x << ", expected " << y;
      }
    }
  }
}

// A query without keys gives zeros, whatever it and its gradient hold.
TEST(RetrievalTilesOnSimt, AQueryWithoutKeysGivesZeros) {
  const TestContext cpu(1);
  const Named& mask = *std::find_if(visibilities().begin(), visibilities().end(),
                                    [](const Named& named) { return named.name == "mask"; });
  const RetrievalProblem p = problems_of(mask).front();
  const AssociationProblem& s = p.shape;
  for (const bool forward : {true, false}) {
    const KernelCase problem =
        forward ? retrieval_forward_case(p, cpu) : retrieval_backward_case(p, cpu);
    CaseArrays arrays(problem, DType::f32, cpu);
    for (std::int64_t i = 3; i < s.L; i += 11) {
      set_row(s, arrays.data()[kQ], DType::f32, s.L, s.D, 0, i, kNaN);
      if (!forward) {
        set_row(s, arrays.data()[kDout], DType::f32, s.L, s.Dv, 0, i, kNaN);
      }
    }
    ASSERT_TRUE(problem.run_simt(arrays.data(), DType::f32, kTiles, SimtContext{}).ok());
    const std::int64_t width = forward ? s.Dv : s.D;
    for (std::int64_t at = 0; at < s.H * s.L * width; ++at) {
      const double x = element(arrays.data()[forward ? kOut : kDq], DType::f32, at);
      ASSERT_EQ(at / width % s.L % 11 == 3, x == 0) << at;
    }
    for (std::size_t buffer : {kDk, kDv}) {
      for (std::int64_t at = 0; !forward && at < s.H * s.M * 12; ++at) {
        ASSERT_TRUE(std::isfinite(element(arrays.data()[buffer], DType::f32, at)));
      }
    }
  }
}

// Rows are copied 16 bytes at a time, so copies tell how many rows were loaded.
std::int64_t copies_of(const KernelCase& problem, DType dtype, const CpuContext& cpu) {
  CaseArrays arrays(problem, dtype, cpu);
  LaunchCounts counts;
  SimtContext context;
  context.counts = &counts;
  EXPECT_TRUE(problem.run_simt(arrays.data(), dtype, kTiles, context).ok());
  return counts.async_copies;
}

TEST(RetrievalTilesOnSimt, WhatNoQuerySeesIsNotLoaded) {
  const TestContext cpu(1);
  constexpr std::int64_t kLength = 1024;
  constexpr std::int64_t kTile = 64 * 32 * 4 / 16;  // copies for 64 rows
  constexpr std::int64_t kTilesOfHead = kLength / 64;
  const auto problem = [&](void (*change)(RetrievalProblem&)) {
    RetrievalProblem p{
        .shape = {.name = "long", .B = 1, .H = 1, .L = kLength, .M = kLength, .D = 32, .Dv = 32}};
    change(p);
    return p;
  };
  struct Case {
    std::string name;
    void (*change)(RetrievalProblem&);
    std::int64_t forward;  // most tiles: of queries, and twice those of keys
    double backward;       // share of what is copied with all keys
  };
  const Case cases[] = {
      // 64 queries see 64 + 2 * 16 keys and a global one.
      {"window",
       [](RetrievalProblem& p) {
         p.seen.radius = 16;
         p.seen.global_tokens = 1;
       },
       16 + 2 * (16 + 15 * 2),  // the first tile holds the global query, which sees all keys
       0.3},
      {"causal window",
       [](RetrievalProblem& p) {
         p.seen.radius = 64;
         p.shape.causal = true;
       },
       16 + 2 * (1 + 15 * 2), 0.25},
      // About 1024 / 10 keys: two tiles.
      {"random by tile",
       [](RetrievalProblem& p) {
         p.seen.random_key = 1;
         p.seen.keep_below = keep_bound(0.1);
         p.seen.query_shift = 6;
       },
       16 + 2 * 16 * 2, 0.25},
      // About 256 / 10 blocks.
      {"random by block",
       [](RetrievalProblem& p) {
         p.seen.random_key = 2;
         p.seen.keep_below = keep_bound(0.1);
         p.seen.query_shift = 6;
         p.seen.key_shift = 6;
       },
       16 + 2 * 38, 0.25},
      // Only keys 500 ... 510 are left by the mask: one tile for the 64 queries that see them.
      {"mask",
       [](RetrievalProblem& p) {
         p.mask.assign(static_cast<std::size_t>(kLength * kLength), 0);
         for (std::int64_t i = 0; i < 64; ++i) {
           for (std::int64_t j = 500; j < 510; ++j) {
             p.mask[static_cast<std::size_t>(i * kLength + j)] = 1;
           }
         }
       },
       1 + 2, 0.15},  // of the rest the rows alone
  };
  // bf16 has rows of half the size, padded to twice the width.
  for (const Format& format : {kF32, kBf16}) {
    const DType dtype = format.dtype;
    const RetrievalProblem everything = problem([](RetrievalProblem&) {});
    const std::int64_t all = copies_of(forward_in(format, everything, cpu), dtype, cpu);
    const std::int64_t all_backward = copies_of(backward_in(format, everything, cpu), dtype, cpu);
    constexpr std::int64_t kParts = 4;  // of the keys: 16 tiles of queries do not fill a card
    EXPECT_EQ(all, kTilesOfHead * (kParts + 2 * kTilesOfHead) * kTile);
    // lse and delta of 64 queries are copied with them.
    const std::int64_t statistics = dtype == DType::bf16 ? kTilesOfHead * kLength * 2 : 0;
    EXPECT_EQ(all_backward,
              kTilesOfHead * (2 * kParts + 2 + 4 * kTilesOfHead) * kTile + statistics);
    for (const Case& c : cases) {
      SCOPED_TRACE(c.name + " " + format.name);
      const RetrievalProblem p = problem(c.change);
      const std::int64_t copies = copies_of(forward_in(format, p, cpu), dtype, cpu);
      EXPECT_LE(copies, c.forward * kTile);
      EXPECT_GT(copies, 0);
      const std::int64_t backward = copies_of(backward_in(format, p, cpu), dtype, cpu);
      EXPECT_LE(static_cast<double>(backward), c.backward * static_cast<double>(all_backward));
      EXPECT_GT(backward, 0);
    }
  }
}

// Few queries and many keys: the keys are cut into parts, and nothing of that shows.
TEST(RetrievalTilesOnSimt, ManyKeysForFewQueries) {
  const TestContext cpu(1);
  bool causal = false;  // every second one
  for (const std::int64_t L : {1, 8, 9, 70}) {
    for (const std::string visibility :
         {"all", "random_elements", "random_tiles_mostly_kept", "random_blocks", "mask"}) {
      const Named& named = *std::find_if(visibilities().begin(), visibilities().end(),
                                         [&](const Named& n) { return n.name == visibility; });
      causal = !causal;
      RetrievalProblem p{.shape = {.name = "few_" + std::to_string(L) + visibility,
                                   .B = 2,
                                   .H = 1,
                                   .L = L,
                                   .M = 1610,
                                   .D = 12,
                                   .Dv = 9,
                                   .causal = causal,
                                   .key_lengths = {1610, 301}}};
      p.normalise_all = causal && L == 9;
      named.change(p);
      for (const Format& format : kFormats) {
        const bool enough = is_f32_on_tensor_cores(format) && visibility != "mask";
        if (format.on_tensor_cores && (L != 9 || enough)) {
          continue;
        }
        const DType dtype = format.dtype;
        // The reference of gradients takes L M^2.
        check_passes(p, format, cpu, L < 70 && !is_f32_on_tensor_cores(format));
        const KernelCase problem = forward_in(format, p, cpu);
        LaunchCounts counts;
        SimtContext context;
        context.counts = &counts;
        CaseArrays arrays(problem, dtype, cpu);
        ASSERT_TRUE(problem.run_simt(arrays.data(), dtype, kTiles, context).ok());
        const std::int64_t tiles = dtype == DType::f64 ? (L + 31) / 32 : (L + 63) / 64;
        EXPECT_EQ(counts.launches, 2);
        EXPECT_GE(counts.blocks, 2 * 2 * tiles) << "one part";
      }
    }
  }
}

// An item of a batch, or a head, has the bits that it has alone.
TEST(RetrievalTilesOnSimt, AnItemDoesNotDependOnItsBatch) {
  const TestContext cpu(1);
  RetrievalProblem together{.shape = {.name = "together",
                                      .B = 2,
                                      .H = 2,
                                      .L = 70,
                                      .M = 90,
                                      .D = 24,
                                      .Dv = 16,
                                      .causal = true,
                                      .key_lengths = {90, 40}}};
  together.seen.radius = 9;
  together.seen.global_tokens = 2;
  const AssociationProblem& s = together.shape;
  struct Part {
    std::size_t buffer;
    std::int64_t rows, width;
  };
  const std::vector<Part> parts = {{kQ, s.L, s.D},     {kK, s.M, s.D},    {kV, s.M, s.Dv},
                                   {kBeta, 1, 1},      {kOut, s.L, s.Dv}, {kStatistics, s.L, 3},
                                   {kDout, s.L, s.Dv}, {kDq, s.L, s.D},   {kDk, s.M, s.D},
                                   {kDv, s.M, s.Dv}};
  for (const Format& format : kFormats) {
    const DType dtype = format.dtype;
    const KernelCase all = backward_in(format, together, cpu);
    CaseArrays whole(all, dtype, cpu);
    ASSERT_TRUE(all.run_simt(whole.data(), dtype, kTiles, SimtContext{}).ok());
    for (std::int64_t head = 0; head < s.B * s.H; ++head) {
      SCOPED_TRACE(std::string(format.name) + ", head " + std::to_string(head));
      RetrievalProblem one = together;
      one.shape.B = one.shape.H = 1;
      one.shape.key_lengths = {s.key_lengths[static_cast<std::size_t>(head / s.H)]};
      const auto run = [&](const KernelCase& problem) {
        CaseArrays alone(problem, dtype, cpu);
        for (const Part& part : parts) {
          const std::int64_t at = part.buffer == kBeta ? head % s.H : head;
          const std::int64_t count = part.rows * part.width;
          for (std::int64_t n = 0; n < count; ++n) {
            const DType stored = alone.dtype_of_buffer(part.buffer);
            set_element(alone.data()[part.buffer], stored, n,
                        element(whole.data()[part.buffer], stored, at * count + n));
          }
        }
        EXPECT_TRUE(problem.run_simt(alone.data(), dtype, kTiles, SimtContext{}).ok());
        return alone;
      };
      const auto expect_same = [&](const CaseArrays& alone, const Part& part) {
        const std::int64_t count = part.rows * part.width;
        const DType stored = alone.dtype_of_buffer(part.buffer);
        for (std::int64_t n = 0; n < count; ++n) {
          ASSERT_EQ(element(alone.data()[part.buffer], stored, n),
                    element(whole.data()[part.buffer], stored, head * count + n))
              << "buffer " << part.buffer << ", element " << n;
        }
      };
      const CaseArrays gradients = run(backward_in(format, one, cpu));
      for (std::size_t n = parts.size() - 3; n < parts.size(); ++n) {
        expect_same(gradients, parts[n]);
      }
    }
  }
}

// What tiles cannot do goes to the general kernel, also when they are asked for.
TEST(RetrievalTilesOnSimt, LeaveTheRestToTheGeneralKernel) {
  const TestContext cpu(1);
  RetrievalProblem p{
      .shape = {.name = "rest", .B = 1, .H = 1, .L = 9, .M = 21, .D = 6, .Dv = 4, .causal = true}};
  std::vector<RetrievalProblem> rest(5, p);
  rest[0].separation = Separation::polynomial;
  rest[1].separation = Separation::sparsemax;
  rest[2].seen.top_k = 3;
  rest[3].update_steps = 2;
  rest[4].shape.Dv = 257;
  for (const RetrievalProblem& problem : rest) {
    for (const Format& format : {kF32, kF64}) {
      check_passes(problem, format, cpu, true);
    }
    for (const Format& format : {kBf16, kTf32}) {
      const KernelCase rounded = forward_in(format, problem, cpu);
      CaseArrays arrays(rounded, format.dtype, cpu);
      EXPECT_EQ(rounded.run_simt(arrays.data(), format.dtype, kTiles, SimtContext{}).code,
                Status::Code::unsupported);
    }
  }
  const KernelCase problem = retrieval_forward_case(p, cpu);
  const auto code_of = [&](const KernelCase& given, DType dtype, int variant) {
    CaseArrays arrays(given, dtype, cpu);
    return given.run_simt(arrays.data(), dtype, variant, SimtContext{}).code;
  };
  for (const int variant : {-1, 5}) {
    EXPECT_EQ(code_of(problem, DType::f32, variant), Status::Code::invalid_argument);
  }
  EXPECT_EQ(code_of(problem, DType::f64, 4), Status::Code::invalid_argument);
  const KernelCase in_tf32 = retrieval_forward_case_in(Precision::tf32, p, cpu);
  EXPECT_EQ(code_of(in_tf32, DType::f32, 0), Status::Code::ok);
  EXPECT_EQ(code_of(in_tf32, DType::f32, 4), Status::Code::invalid_argument);
  EXPECT_EQ(code_of(in_tf32, DType::f64, 0), Status::Code::invalid_argument);
  CaseArrays arrays(in_tf32, DType::f32, cpu);
  EXPECT_STREQ(in_tf32.run_simt(arrays.data(), DType::f32, 4, SimtContext{}).message,
               "products in tf32 have one variant");  // that of attention, too
}

}  // namespace
}  // namespace basin::kernels
