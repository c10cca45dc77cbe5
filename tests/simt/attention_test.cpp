// The attention kernels for CUDA, on what their table cannot hold: NaN in what a query does not
// see, heads read in place from a packed projection, requests that are refused.
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/association/association_case.h"
#include "kernels/association/softmax_attention.h"
#include "kernels/table/case_arrays.h"
#include "kernels/table/kernel_table.h"
#include "tests/kernels/support.h"
#include "tests/simt/support.h"

namespace basin::kernels {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::size_t buffer_of(const KernelCase& problem, const std::string& name) {
  for (std::size_t i = 0; i < problem.buffers.size(); ++i) {
    if (problem.buffers[i].name == name) {
      return i;
    }
  }
  ADD_FAILURE() << "no buffer " << name;
  return 0;
}

// Runs the case after `change(data)` on its arrays.
template <class F>
CaseArrays run_changed(const KernelCase& problem, DType dtype, const CpuContext& cpu, F&& change) {
  CaseArrays arrays(problem, dtype, cpu);
  change(arrays.data());
  const Status status = problem.run_simt(arrays.data(), dtype, 0, SimtContext{});
  EXPECT_TRUE(status.ok()) << status.message;
  return arrays;
}

// function(entry name, problem, case, dtype) for every attention kernel that there is for CUDA.
template <class F>
void for_all_cases(const CpuContext& cpu, F&& function) {
  int cases = 0;
  for (const KernelEntry& entry : kernel_table()) {
    if (!entry.name.starts_with("attention_") && !entry.name.starts_with("linear_attention_") &&
        !entry.name.starts_with("tensor_linear_attention_")) {
      continue;
    }
    const std::vector<AssociationProblem> shapes = association_problems();
    const std::vector<KernelCase> problems = entry.cases(cpu);
    ASSERT_LE(shapes.size(), problems.size());  // an entry may have more behind them
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      if (problems[i].name != shapes[i].name) {
        continue;  // or another one in its place
      }
      for (const DType dtype : problems[i].dtypes) {
        SCOPED_TRACE(entry.name + " " + problems[i].name + " " + name_of(dtype));
        ASSERT_TRUE(problems[i].run_simt);
        function(entry.name.ends_with("forward"), shapes[i], problems[i], dtype);
        ++cases;
      }
    }
  }
  EXPECT_GE(cases, (4 * 2 + 2) * 16);
}

// Whether the elements of every head of row `row` of batch item b agree, or are all NaN.
void expect_row(const AssociationProblem& s, const CaseArrays& found, const CaseArrays& expected,
                std::size_t buffer, DType dtype, std::int64_t rows, std::int64_t width,
                std::int64_t b, std::int64_t row, bool is_nan) {
  const HeadView view = s.view(nullptr, rows, width);
  for (std::int64_t h = 0; h < s.H; ++h) {
    for (std::int64_t c = 0; c < width; ++c) {
      const std::int64_t at =
          b * view.batch_stride + h * view.head_stride + row * view.row_stride + c;
      const double number = element(found.data()[buffer], dtype, at);
      if (is_nan) {
        ASSERT_TRUE(std::isnan(number)) << "row " << row << " of " << b << " hides a NaN";
      } else {
        ASSERT_EQ(number, element(expected.data()[buffer], dtype, at))
            << "row " << row << " of " << b << " felt what it does not see";
      }
    }
  }
}

TEST(AttentionOnSimt, HiddenKeysDoNotReachAQuery) {
  const TestContext cpu(1);
  for_all_cases(cpu, [&](bool forward, const AssociationProblem& s, const KernelCase& problem,
                         DType dtype) {
    const std::size_t output = buffer_of(problem, forward ? "out" : "dq");
    const CaseArrays before = run_changed(problem, dtype, cpu, [](void* const*) {});
    for (const std::int64_t first : {s.M / 3, s.M - 1}) {
      if (first < 0) {
        continue;
      }
      const CaseArrays after = run_changed(problem, dtype, cpu, [&](void* const* data) {
        for (std::int64_t b = 0; b < s.B; ++b) {
          for (std::int64_t j = first; j < s.M; ++j) {
            set_row(s, data[1], dtype, s.M, s.D, b, j, kNaN);
            set_row(s, data[2], dtype, s.M, s.Dv, b, j, kNaN);
          }
        }
      });
      for (std::int64_t b = 0; b < s.B; ++b) {
        for (std::int64_t i = 0; i < s.L; ++i) {
          bool sees_nan = false;
          for (std::int64_t j = first; j < s.M; ++j) {
            sees_nan = sees_nan || s.sees(b, i, j);
          }
          expect_row(s, after, before, output, dtype, s.L, forward ? s.Dv : s.D, b, i, sees_nan);
        }
      }
    }
  });
}

TEST(AttentionOnSimt, AQueryDoesNotReachTheGradientsOfKeysThatItDoesNotSee) {
  const TestContext cpu(1);
  for_all_cases(
      cpu, [&](bool forward, const AssociationProblem& s, const KernelCase& problem, DType dtype) {
        if (forward || s.L == 0) {
          return;
        }
        const std::size_t dk = buffer_of(problem, "dk");
        const std::size_t dv = buffer_of(problem, "dv");
        const std::size_t dout = buffer_of(problem, "dout");
        const std::int64_t broken = s.L / 2;
        const CaseArrays before = run_changed(problem, dtype, cpu, [](void* const*) {});
        const CaseArrays after = run_changed(problem, dtype, cpu, [&](void* const* data) {
          for (std::int64_t b = 0; b < s.B; ++b) {
            set_row(s, data[0], dtype, s.L, s.D, b, broken, kNaN);
            set_row(s, data[dout], dtype, s.L, s.Dv, b, broken, kNaN);
          }
        });
        for (std::int64_t b = 0; b < s.B; ++b) {
          for (std::int64_t j = 0; j < s.M; ++j) {
            const bool seen = s.sees(b, broken, j);
            expect_row(s, after, before, dk, dtype, s.M, s.D, b, j, seen);
            expect_row(s, after, before, dv, dtype, s.M, s.Dv, b, j, seen);
          }
        }
      });
}

// q, k and v of all heads side by side in the rows of one projection, which does not begin at a
// multiple of 16 bytes for odd `offset`; one query for both batch items; rows of out with gaps.
TEST(AttentionOnSimt, ReadsHeadsInPlace) {
  constexpr std::int64_t B = 2, H = 3, L = 37, D = 12;
  constexpr std::int64_t kRow = 3 * H * D;
  constexpr std::int64_t kGap = 5;
  const TestContext cpu(1);
  const auto numbers = uniform_numbers<float>(B * L * kRow + 1, 1);
  const std::vector<float> beta = {0.3f, 0.5f, 0.7f};
  for (const std::int64_t offset : {0, 1}) {
    SCOPED_TRACE(offset);
    const auto part = [&](std::int64_t which, bool shared) {
      return HeadView{const_cast<float*>(numbers.data()) + offset + which * H * D,
                      shared ? 0 : L * kRow, D, kRow};
    };
    const auto run = [&](const auto& context) {
      std::vector<float> out(static_cast<std::size_t>(B * L * (H * D + kGap)), 7);
      std::vector<float> lse(static_cast<std::size_t>(B * H * L));
      AttentionForward p{part(0, true),
                         part(1, false),
                         part(2, false),
                         {out.data(), L * (H * D + kGap), D, H * D + kGap},
                         beta.data(),
                         nullptr,
                         lse.data(),
                         nullptr,
                         B,
                         H,
                         L,
                         L,
                         D,
                         D,
                         true,
                         DType::f32};
      std::vector<double> workspace(
          static_cast<std::size_t>(attention_forward_workspace(p, context)) / 8 + 9);
      p.workspace = workspace.data();
      EXPECT_TRUE(attention_forward(p, context).ok());
      out.insert(out.end(), lse.begin(), lse.end());
      return out;
    };
    const auto expected = run(cpu.get());
    for (const SimtContext& order : all_orders()) {
      SCOPED_TRACE(order_name(order));
      const auto found = run(order);
      for (std::size_t i = 0; i < found.size(); ++i) {
        ASSERT_NEAR(found[i], expected[i], 3e-6) << i;
      }
    }
  }
}

// The keys are cut into parts, each for a block, and what they leave is put together.
TEST(AttentionOnSimt, ManyKeysForFewQueries) {
  const TestContext cpu(1);
  for (const std::int64_t L : {1, 8, 9, 100}) {
    for (const std::int64_t width : {7, 40, 128}) {
      // The second item has keys in the first part alone, the third one none at all.
      const AssociationProblem s{.name = "few",
                                 .B = 3,
                                 .H = 1,
                                 .L = L,
                                 .M = 777,
                                 .D = width,
                                 .Dv = width + 1,
                                 .causal = L == 100,
                                 .key_lengths = {777, 200, 0}};
      for (int n = 0; n < 4; ++n) {
        const bool forward = n < 2;
        const DType dtype = n % 2 == 0 ? DType::f32 : DType::f64;
        const KernelCase problem =
            forward ? attention_forward_case(s, cpu) : attention_backward_case(s, cpu);
        SCOPED_TRACE(std::to_string(L) + " " + std::to_string(width) + " " + name_of(dtype));
        CaseArrays expected = CaseArrays(problem, dtype, cpu).widened();
        problem.reference(expected.data());
        CaseArrays first(problem, dtype, cpu);
        const std::string name = problem.name + std::to_string(L) + "x" + std::to_string(width);
        for (const SimtContext& order : some_orders(name, dtype == DType::f64)) {
          SCOPED_TRACE(order_name(order));
          LaunchCounts counts;
          SimtContext context = order;
          context.counts = &counts;
          CaseArrays found(problem, dtype, cpu);
          ASSERT_TRUE(problem.run_simt(found.data(), dtype, 0, context).ok());
          EXPECT_EQ(found.damaged(), "");
          EXPECT_EQ(counts.launches, forward ? 2 : 5);  // one more than without parts
          const auto worst = found.difference(expected);
          // f32: sums over 777 keys, of products of sums backward.
          const double tolerance = dtype == DType::f32 ? (forward ? 5e-6 : 5e-5) : 1e-12;
          EXPECT_TRUE(worst.error <= tolerance) << worst.buffer << "[" << worst.position << "] is "
                                                << worst.found << ", expected " << worst.expected;
          if (order.schedule == Schedule::forward) {
            first = std::move(found);
          } else {
            EXPECT_TRUE(first.same_outputs(found));
          }
        }
      }
    }
  }
}

TEST(AttentionOnSimt, RefusesWhatItCannotDo) {
  AttentionForward p{};
  p.B = p.H = p.L = p.M = p.D = 1;
  p.Dv = 257;
  p.q.row_stride = p.k.row_stride = p.v.row_stride = p.out.row_stride = 257;
  p.dtype = DType::f32;
  EXPECT_EQ(attention_forward(p, SimtContext{}).code, Status::Code::unsupported);
  p.dtype = DType::bf16;
  EXPECT_EQ(attention_forward(p, SimtContext{}).code, Status::Code::unsupported);
  p.variant = 3;
  EXPECT_EQ(attention_forward(p, SimtContext{}).code, Status::Code::invalid_argument);
  p.dtype = DType::f64;
  EXPECT_EQ(attention_forward(p, SimtContext{}).code, Status::Code::invalid_argument);
  p.variant = 4;
  EXPECT_EQ(attention_forward(p, SimtContext{}).code, Status::Code::invalid_argument);
  p.variant = 0;
  p.precision = Precision::tf32;
  EXPECT_EQ(attention_forward(p, SimtContext{}).code, Status::Code::invalid_argument);
  p.dtype = DType::f32;
  EXPECT_EQ(attention_forward(p, SimtContext{}).code, Status::Code::unsupported);  // so wide
  const TestContext cpu(1);
  EXPECT_EQ(attention_forward(p, cpu.get()).code, Status::Code::unsupported);
  p.variant = 2;
  EXPECT_EQ(attention_forward(p, SimtContext{}).code, Status::Code::invalid_argument);
  p.variant = 0;
  p.precision = Precision::bf16;
  EXPECT_EQ(attention_forward(p, SimtContext{}).code, Status::Code::invalid_argument);
  p.precision = Precision::f32;
  p.v.row_stride = 256;
  EXPECT_EQ(attention_forward(p, SimtContext{}).code, Status::Code::invalid_argument);
}

}  // namespace
}  // namespace basin::kernels
