// The recurrences for CUDA in the shapes that their table leaves out: several items a block,
// weights that do not fit into registers, more units than a block has threads.
#include <string>
#include <vector>

#include "kernels/recurrent/rnn.h"
#include "kernels/table/case_arrays.h"
#include "kernels/table/kernel_table.h"
#include "tests/kernels/support.h"
#include "tests/simt/support.h"

namespace basin::kernels {
namespace {

TEST(RecurrencesOnSimt, AgreeWithTheirReferencesInEveryShapeOfABlock) {
  struct Extents {
    std::int64_t B, L, width;
  };
  // A block has 4 items from 129 on. 200 units leave two parts of 100 weights; 600 need two rounds.
  const std::vector<Extents> all = {{130, 3, 5}, {129, 2, 200}, {1, 3, 200}, {1, 2, 600}};
  const TestContext cpu(2);
  int cases = 0;
  for (const KernelEntry& entry : kernel_table()) {
    const bool recurrence = entry.name.starts_with("rnn_") || entry.name.starts_with("lstm_") ||
                            entry.name.starts_with("gru_");
    for (const Extents& e : all) {
      if (!recurrence) {
        continue;
      }
      Sizes sizes = standard_sizes(entry.sized.parameters);
      sizes["B"] = e.B;
      sizes["L"] = e.L;
      sizes["width"] = e.width;
      const KernelCase problem = sized_case(entry, sizes, cpu);
      SCOPED_TRACE(entry.name + " " + problem.name);
      CaseArrays found(problem, DType::f32, cpu);
      CaseArrays expected = found.widened();
      problem.reference(expected.data());
      const Status status = problem.run_simt(found.data(), DType::f32, 0, SimtContext{});
      ASSERT_TRUE(status.ok()) << status.message;
      EXPECT_EQ(found.damaged(), "");
      const auto worst = found.difference(expected);
      EXPECT_LE(worst.error, entry.tolerance_f32) << worst.buffer << "[" << worst.position << "]";
      ++cases;
    }
  }
  EXPECT_EQ(cases, 24);
}

TEST(RecurrencesOnSimt, GiveAnItemTheSameBitsInAnyBatch) {
  constexpr std::int64_t L = 3, width = 200;
  for (const std::int64_t B : {3, 130}) {
    const auto x = uniform_numbers<float>(130 * L * width, 1);
    const auto weight = uniform_numbers<float>(width * width, 2, -0.07, 0.07);
    const auto run = [&](std::int64_t batch, const float* from) {
      std::vector<float> h(static_cast<std::size_t>(batch * L * width));
      RnnForward p{from, weight.data(), h.data(),           nullptr,   batch,
                   L,    width,         Nonlinearity::tanh, DType::f32};
      std::vector<double> workspace(
          static_cast<std::size_t>(rnn_forward_workspace(p, SimtContext{})) / 8);
      p.workspace = workspace.data();
      EXPECT_TRUE(rnn_forward(p, SimtContext{}).ok());
      return h;
    };
    const std::vector<float> together = run(B, x.data());
    const std::int64_t last = (B - 1) * L * width;
    const std::vector<float> alone = run(1, x.data() + last);
    EXPECT_TRUE(same_bits(alone, std::vector<float>(together.begin() + last, together.end())));
  }
}

TEST(RecurrencesOnSimt, RefuseWhatTheyCannotDo) {
  RnnForward p{};
  p.B = p.L = 1;
  p.width = 30000;  // more than shared memory holds
  p.dtype = DType::f32;
  p.workspace = &p;
  // Before anything is launched: there is no weight to read.
  EXPECT_EQ(rnn_forward(p, SimtContext{}).code, Status::Code::unsupported);
  p.variant = 1;
  EXPECT_EQ(rnn_forward(p, SimtContext{}).code, Status::Code::invalid_argument);
  p.variant = 0;
  p.workspace = nullptr;
  EXPECT_EQ(rnn_forward(p, SimtContext{}).code, Status::Code::invalid_argument);
}

}  // namespace
}  // namespace basin::kernels
