// What a query cannot see must not change one bit of its result, whatever it holds; what it does
// see must not be swallowed.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/association/association_case.h"
#include "kernels/table/case_arrays.h"
#include "kernels/table/kernel_table.h"
#include "tests/kernels/support.h"

namespace basin::kernels {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// A kernel of the table on one of association_problems(). Its cases are in the same order, have k
// and v in buffers 1 and 2, and come with NaN in the keys that nobody sees.
struct Subject {
  const KernelEntry* entry;
  AssociationProblem shape;
  KernelCase problem;
  std::vector<int> variants;

  std::size_t buffer(const std::string& name) const {
    for (std::size_t i = 0; i < problem.buffers.size(); ++i) {
      if (problem.buffers[i].name == name) {
        return i;
      }
    }
    ADD_FAILURE() << entry->name << " has no buffer " << name;
    return 0;
  }
  bool forward() const { return entry->name.ends_with("forward"); }
};

std::vector<Subject> subjects(const CpuContext& context) {
  std::vector<Subject> all;
  for (const KernelEntry& entry : kernel_table()) {
    if (!entry.name.starts_with("attention_") && !entry.name.starts_with("linear_attention_")) {
      continue;
    }
    const std::vector<AssociationProblem> shapes = association_problems();
    const std::vector<KernelCase> cases = entry.cases(context);
    EXPECT_EQ(shapes.size(), cases.size());
    for (std::size_t i = 0; i < std::min(shapes.size(), cases.size()); ++i) {
      EXPECT_EQ(shapes[i].name, cases[i].name);
      all.push_back({&entry, shapes[i], cases[i], {}});
      for (const KernelVariant& variant : entry.variants) {
        all.back().variants.push_back(variant.number);
      }
    }
  }
  EXPECT_FALSE(all.empty());
  return all;
}

// Runs the case after `change(k, v)` on its keys and values.
template <class F>
CaseArrays run_changed(const Subject& subject, DType dtype, int variant, const CpuContext& context,
                       F&& change) {
  CaseArrays arrays(subject.problem, dtype, context);
  change(arrays.data()[1], arrays.data()[2]);
  const Status status = subject.problem.run(arrays.data(), dtype, variant, context);
  EXPECT_TRUE(status.ok()) << status.message;
  return arrays;
}

template <class F>
void for_all_runs(const CpuContext& context, F&& function) {
  for (const Subject& subject : subjects(context)) {
    for (const DType dtype : {DType::f32, DType::f64}) {
      for (const int variant : subject.variants) {
        SCOPED_TRACE(subject.entry->name + " " + subject.problem.name + " " + name_of(dtype) +
                     " variant " + std::to_string(variant));
        function(subject, dtype, variant);
      }
    }
  }
}

TEST(HiddenKeys, MayHoldAnythingWithoutChangingABit) {
  const TestContext context(2);
  for_all_runs(context, [&](const Subject& subject, DType dtype, int variant) {
    const CaseArrays with_nan = run_changed(subject, dtype, variant, context, [](void*, void*) {});
    for (const double value : {0.0, 1e30, kInfinity, -kInfinity}) {
      const CaseArrays with_value =
          run_changed(subject, dtype, variant, context, [&](void* k, void* v) {
            fill_hidden(subject.shape, k, dtype, subject.shape.D, value);
            fill_hidden(subject.shape, v, dtype, subject.shape.Dv, value);
          });
      EXPECT_TRUE(with_nan.same_outputs(with_value)) << "hidden keys hold " << value;
    }
  });
}

// Every key and value from `first` on becomes NaN. Queries that see none of them keep every bit
// (of out, or of dq); queries that see one become NaN.
TEST(HiddenKeys, OfTheFutureDoNotReachThePast) {
  const TestContext context(2);
  for_all_runs(context, [&](const Subject& subject, DType dtype, int variant) {
    const AssociationProblem& s = subject.shape;
    const std::size_t output = subject.buffer(subject.forward() ? "out" : "dq");
    const std::int64_t width = subject.forward() ? s.Dv : s.D;
    const CaseArrays before = run_changed(subject, dtype, variant, context, [](void*, void*) {});
    for (const std::int64_t first : {s.M / 3, s.M / 2, s.M - 1}) {
      if (first < 0) {
        continue;
      }
      const CaseArrays after = run_changed(subject, dtype, variant, context, [&](void* k, void* v) {
        for (std::int64_t b = 0; b < s.B; ++b) {
          for (std::int64_t j = first; j < s.M; ++j) {
            set_row(s, k, dtype, s.M, s.D, b, j, kNaN);
            set_row(s, v, dtype, s.M, s.Dv, b, j, kNaN);
          }
        }
      });
      const HeadView view = s.view(nullptr, s.L, width);
      for (std::int64_t b = 0; b < s.B; ++b) {
        for (std::int64_t i = 0; i < s.L; ++i) {
          bool sees_nan = false;
          for (std::int64_t j = first; j < s.M; ++j) {
            sees_nan = sees_nan || s.sees(b, i, j);
          }
          for (std::int64_t h = 0; h < s.H; ++h) {
            for (std::int64_t c = 0; c < width; ++c) {
              const std::int64_t at =
                  b * view.batch_stride + h * view.head_stride + i * view.row_stride + c;
              const double found = element(after.data()[output], dtype, at);
              if (sees_nan) {
                ASSERT_TRUE(std::isnan(found)) << "query " << i << " hides a NaN it saw";
              } else {
                ASSERT_EQ(found, element(before.data()[output], dtype, at))
                    << "query " << i << " of batch item " << b << " felt key " << first;
              }
            }
          }
        }
      }
    }
  });
}

// A NaN in one query is a NaN in its result and in no other query's.
TEST(VisibleNaN, StaysInItsRow) {
  const TestContext context(2);
  for_all_runs(context, [&](const Subject& subject, DType dtype, int variant) {
    const AssociationProblem& s = subject.shape;
    if (!subject.forward() || s.M == 0) {
      return;
    }
    const CaseArrays before = run_changed(subject, dtype, variant, context, [](void*, void*) {});
    const std::int64_t broken = s.L - 1;
    CaseArrays after(subject.problem, dtype, context);
    for (std::int64_t b = 0; b < s.B; ++b) {
      set_row(s, after.data()[0], dtype, s.L, s.D, b, broken, kNaN);
    }
    ASSERT_TRUE(subject.problem.run(after.data(), dtype, variant, context).ok());
    const std::size_t output = subject.buffer("out");
    const HeadView view = s.view(nullptr, s.L, s.Dv);
    for (std::int64_t b = 0; b < s.B; ++b) {
      for (std::int64_t i = 0; i < s.L; ++i) {
        const std::int64_t at = b * view.batch_stride + i * view.row_stride;
        const double found = element(after.data()[output], dtype, at);
        if (i == broken && s.sees(b, i, 0)) {
          ASSERT_TRUE(std::isnan(found));
        } else if (i != broken) {
          ASSERT_EQ(found, element(before.data()[output], dtype, at));
        }
      }
    }
  });
}

}  // namespace
}  // namespace basin::kernels
