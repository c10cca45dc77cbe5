// Retrieval by tiles of gathered keys, as it is written for CUDA: softmax under every visibility
// and their combinations, forward and backward, against the definition; what hidden keys and
// queries may not reach; that tiles without a visible pair are not even loaded. In bf16 the same on
// tensor cores.
#include "kernels/association/retrieval_tiles.h"

#include <algorithm>
#include <cmath>
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
constexpr int kTiles = 3;

// Places of the buffers of retrieval_forward_case() and retrieval_backward_case().
enum Buffer : std::size_t {
  kQ = 0,
  kK = 1,
  kV = 2,
  kOut = 5,
  kStatistics = 6,
  kDout = 8,
  kDq = 9,
  kDk = 10,
  kDv = 11
};

constexpr DType kFormats[] = {DType::f32, DType::f64, DType::bf16};

KernelCase forward_in(DType dtype, const RetrievalProblem& p, const CpuContext& cpu) {
  return dtype == DType::bf16 ? retrieval_tensor_forward_case(p, cpu)
                              : retrieval_forward_case(p, cpu);
}
KernelCase backward_in(DType dtype, const RetrievalProblem& p, const CpuContext& cpu) {
  return dtype == DType::bf16 ? retrieval_tensor_backward_case(p, cpu)
                              : retrieval_backward_case(p, cpu);
}

struct Named {
  std::string name;
  void (*change)(RetrievalProblem&);
};

// What hides keys beside causality and padding.
const std::vector<Named>& visibilities() {
  static const std::vector<Named> all = {
      {"all", [](RetrievalProblem&) {}},
      {"window", [](RetrievalProblem& p) { p.seen.radius = 9; }},
      {"window_of_one", [](RetrievalProblem& p) { p.seen.radius = 0; }},
      {"window_global",
       [](RetrievalProblem& p) {
         p.seen.radius = 6;
         p.seen.global_tokens = 70;
       }},
      {"window_dilated_global",
       [](RetrievalProblem& p) {
         p.seen.radius = 5;
         p.seen.dilation = 3;
         p.seen.global_tokens = 4;
       }},
      {"random_elements",
       [](RetrievalProblem& p) {
         p.seen.random_key = 3;
         p.seen.keep_below = keep_bound(0.3);
       }},
      {"random_tiles",
       [](RetrievalProblem& p) {
         p.seen.random_key = 4;
         p.seen.keep_below = keep_bound(0.15);
         p.seen.query_shift = 6;
       }},
      {"random_tiles_of_pairs",  // 128 queries share draws for four keys
       [](RetrievalProblem& p) {
         p.seen.random_key = 5;
         p.seen.keep_below = keep_bound(0.4);
         p.seen.query_shift = 7;
         p.seen.key_shift = 2;
       }},
      {"random_tiles_mostly_kept",
       [](RetrievalProblem& p) {
         p.seen.random_key = 6;
         p.seen.keep_below = keep_bound(0.9);
         p.seen.query_shift = 6;
       }},
      {"random_blocks",
       [](RetrievalProblem& p) {
         p.seen.random_key = 7;
         p.seen.keep_below = keep_bound(0.4);
         p.seen.query_shift = 6;
         p.seen.key_shift = 6;
       }},
      {"random_small_blocks",
       [](RetrievalProblem& p) {
         p.seen.random_key = 8;
         p.seen.keep_below = keep_bound(0.4);
         p.seen.query_shift = 2;
         p.seen.key_shift = 1;
       }},
      {"random_keeps_nothing",
       [](RetrievalProblem& p) {
         p.seen.random_key = 9;
         p.seen.keep_below = 0;
         p.seen.query_shift = 6;
       }},
      {"mask",
       [](RetrievalProblem& p) {
         p.mask_heads = p.shape.H;
         const std::int64_t L = p.shape.L;
         const std::int64_t M = p.shape.M;
         for (std::int64_t n = 0; n < p.shape.H * L * M; ++n) {
           const std::int64_t i = n / M % L;
           const std::int64_t j = n % M;
           // Every eleventh query sees nothing; no query sees keys 64 ... 95.
           const bool hidden = i % 11 == 3 || (j >= 64 && j < 96);
           p.mask.push_back(!hidden && (n * n + n / 7) % 3 != 0 ? 1 : 0);
         }
       }},
      {"window_random_tiles_mask",
       [](RetrievalProblem& p) {
         p.seen.radius = 40;
         p.seen.global_tokens = 3;
         p.seen.random_key = 10;
         p.seen.keep_below = keep_bound(0.5);
         p.seen.query_shift = 6;
         for (std::int64_t n = 0; n < p.shape.L * p.shape.M; ++n) {
           p.mask.push_back(n % 5 == 0 ? 0 : 1);
         }
       }},
      {"window_random_elements_mask",
       [](RetrievalProblem& p) {
         p.seen.radius = 20;
         p.seen.dilation = 2;
         p.seen.random_key = 11;
         p.seen.keep_below = keep_bound(0.6);
         for (std::int64_t n = 0; n < p.shape.L * p.shape.M; ++n) {
           p.mask.push_back(n % 7 == 0 ? 0 : 1);
         }
       }},
  };
  return all;
}

// The visibility with and without causality and padding, more keys than queries and fewer, weights
// dropped and weights of all keys.
std::vector<RetrievalProblem> problems_of(const Named& visibility) {
  std::vector<RetrievalProblem> all;
  const auto add = [&](const std::string& name, std::int64_t L, std::int64_t M, auto&& change) {
    RetrievalProblem p{
        .shape = {
            .name = visibility.name + name, .B = 1, .H = 2, .L = L, .M = M, .D = 20, .Dv = 12}};
    change(p);
    visibility.change(p);
    all.push_back(std::move(p));
  };
  const auto pad = [](RetrievalProblem& p, std::int64_t first, std::int64_t second) {
    p.shape.B = 2;
    p.shape.H = 1;
    p.shape.key_lengths = {first, second};
  };
  add("", 70, 150, [](RetrievalProblem&) {});
  add("", 150, 70, [](RetrievalProblem&) {});
  add("_causal", 70, 150, [](RetrievalProblem& p) { p.shape.causal = true; });
  add("_causal_blind", 150, 70, [](RetrievalProblem& p) { p.shape.causal = true; });
  add("_padded", 70, 150, [&](RetrievalProblem& p) { pad(p, 150, 33); });
  add("_causal_padded", 130, 130, [&](RetrievalProblem& p) {
    p.shape.causal = true;
    pad(p, 97, 0);
  });
  add("_normalise_all", 70, 150, [](RetrievalProblem& p) { p.normalise_all = true; });
  add("_normalise_all_causal_padded", 130, 130, [&](RetrievalProblem& p) {
    p.shape.causal = true;
    p.normalise_all = true;
    pad(p, 97, 0);
  });
  add("_dropout_causal", 130, 130, [](RetrievalProblem& p) {
    p.shape.causal = true;
    p.dropout = {0.3, 17};
  });
  add("_dropout_normalise_all", 70, 150, [](RetrievalProblem& p) {
    p.normalise_all = true;
    p.dropout = {0.3, 18};
  });
  return all;
}

// Runs the case with tiles in several orders of threads: the same bits, within `tolerance` of the
// reference or of what a naive computation is off by.
void check(const KernelCase& problem, DType dtype, double tolerance, const CpuContext& cpu) {
  SCOPED_TRACE(problem.name + " " + name_of(dtype));
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

// Tolerances are those of the table (retrieval_table.cpp).
void check_passes(const RetrievalProblem& p, DType dtype, const CpuContext& cpu, bool backward) {
  const bool half = dtype == DType::bf16;
  const bool single = dtype == DType::f32;
  check(forward_in(dtype, p, cpu), dtype, half ? kNaiveErrors : single ? 5e-6 : 1e-13, cpu);
  if (backward) {
    check(backward_in(dtype, p, cpu), dtype, half ? kNaiveErrors : single ? 5e-5 : 1e-11, cpu);
  }
}

void check_all(const RetrievalProblem& p, const CpuContext& cpu) {
  for (const DType dtype : kFormats) {
    check_passes(p, dtype, cpu, true);
  }
}

// Other formats go through the walks of f32, so that some problems of each visibility are enough,
// and each problem under some of them.
bool is_run(DType dtype, std::size_t problem, const Named& visibility) {
  std::size_t number = problem;
  while (visibilities()[number - problem].name != visibility.name) {
    ++number;
  }
  return dtype == DType::f32 || number % 3 == (dtype == DType::f64 ? 1 : 0);
}

class RetrievalTiles : public testing::TestWithParam<Named> {};

TEST_P(RetrievalTiles, AgreeWithTheDefinition) {
  const TestContext cpu(1);
  const std::vector<RetrievalProblem> problems = problems_of(GetParam());
  for (std::size_t n = 0; n < problems.size(); ++n) {
    for (const DType dtype : kFormats) {
      // f64 finds what is too small for f32.
      if (dtype == DType::f64 || is_run(dtype, n, GetParam())) {
        check_passes(problems[n], dtype, cpu, true);
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
    for (const DType dtype : kFormats) {
      if (!is_run(dtype, n, GetParam())) {
        continue;
      }
      SCOPED_TRACE(s.name + " " + name_of(dtype));
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
      const KernelCase forward = forward_in(dtype, p, cpu);
      const CaseArrays out = run(forward, nothing);
      expect_unchanged(run(forward, break_key), out, kOut, s.L, s.Dv, sees_bad_key);

      const KernelCase backward = backward_in(dtype, p, cpu);
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
      for (const DType dtype : kFormats) {
        if (dtype != DType::bf16 || width % 32 == 1 || width == 256) {
          check_passes(p, dtype, cpu, true);
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
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const RetrievalProblem everything = problem([](RetrievalProblem&) {});
    const std::int64_t all = copies_of(forward_in(dtype, everything, cpu), dtype, cpu);
    const std::int64_t all_backward = copies_of(backward_in(dtype, everything, cpu), dtype, cpu);
    constexpr std::int64_t kParts = 4;  // of the keys: 16 tiles of queries do not fill a card
    EXPECT_EQ(all, kTilesOfHead * (kParts + 2 * kTilesOfHead) * kTile);
    // lse and delta of 64 queries are copied with them.
    const std::int64_t statistics = dtype == DType::bf16 ? kTilesOfHead * kLength * 2 : 0;
    EXPECT_EQ(all_backward,
              kTilesOfHead * (2 * kParts + 2 + 4 * kTilesOfHead) * kTile + statistics);
    for (const Case& c : cases) {
      SCOPED_TRACE(c.name + " " + name_of(dtype));
      const RetrievalProblem p = problem(c.change);
      const std::int64_t copies = copies_of(forward_in(dtype, p, cpu), dtype, cpu);
      EXPECT_LE(copies, c.forward * kTile);
      EXPECT_GT(copies, 0);
      const std::int64_t backward = copies_of(backward_in(dtype, p, cpu), dtype, cpu);
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
      for (const DType dtype : kFormats) {
        if (dtype == DType::bf16 && L != 9) {
          continue;  // enough of them
        }
        check_passes(p, dtype, cpu, L < 70);  // the reference of gradients takes L M^2
        const KernelCase problem = forward_in(dtype, p, cpu);
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
    for (const DType dtype : {DType::f32, DType::f64}) {
      check_passes(problem, dtype, cpu, true);
    }
    const KernelCase half = retrieval_tensor_forward_case(problem, cpu);
    CaseArrays arrays(half, DType::bf16, cpu);
    EXPECT_EQ(half.run_simt(arrays.data(), DType::bf16, kTiles, SimtContext{}).code,
              Status::Code::unsupported);
  }
  const KernelCase problem = retrieval_forward_case(p, cpu);
  for (const int variant : {-1, 4, 5}) {
    CaseArrays arrays(problem, DType::f32, cpu);
    EXPECT_EQ(problem.run_simt(arrays.data(), DType::f32, variant, SimtContext{}).code,
              Status::Code::invalid_argument);
  }
}

}  // namespace
}  // namespace basin::kernels
