// The sizes of problems that somebody chooses.
#include "kernels/table/sizes.h"

#include <gtest/gtest.h>

#include "kernels/table/kernel_table.h"
#include "tests/kernels/support.h"

namespace basin::kernels {
namespace {

const std::vector<SizeParameter> kParameters = {{"rows", 100, "rows"},
                                                {"cols", 30, "columns", 20},
                                                kept_size("width", 4096, "kept"),
                                                choice("op", "one of two", {"add", "mul"}, 1)};

TEST(Sizes, AreWrittenInOrderWithTheNamesOfChoices) {
  EXPECT_EQ(sizes_text(kParameters, standard_sizes(kParameters)),
            "rows=100 cols=30 width=4096 op=mul");
}

TEST(Sizes, HalveTheLargestThatIsNotKept) {
  const auto text = [](const Sizes& sizes) { return sizes_text(kParameters, sizes); };
  Sizes sizes = halved(kParameters, standard_sizes(kParameters));
  EXPECT_EQ(text(sizes), "rows=50 cols=30 width=4096 op=mul");
  sizes = halved(kParameters, halved(kParameters, sizes));
  EXPECT_EQ(text(sizes), "rows=25 cols=20 width=4096 op=mul");
  for (int n = 0; n < 10; ++n) {
    sizes = halved(kParameters, sizes);
  }
  EXPECT_EQ(text(sizes), "rows=1 cols=20 width=4096 op=mul");
  EXPECT_EQ(halved(kParameters, sizes), sizes);
}

TEST(Sizes, AreMadeAffordableForTheReference) {
  const TestContext context;
  for (const KernelEntry& entry : kernel_table()) {
    const Sizes standard = standard_sizes(entry.sized.parameters);
    EXPECT_EQ(affordable(entry, standard, 1e30, context), standard) << entry.name;
    const Sizes small = affordable(entry, standard, 1e6, context);
    EXPECT_LE(reference_work(sized_case(entry, small, context)), 2e7) << entry.name;
  }
}

}  // namespace
}  // namespace basin::kernels
