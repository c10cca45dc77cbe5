#include <fmt/format.h>

#include "tools/command_line/options.h"
#include "tools/profile_kernels/commands.h"
#include "tools/profile_kernels/comparison.h"
#include "tools/trainer/usage_error.h"

namespace basin::profile_kernels {

namespace {

command_line::Syntax compare_syntax() {
  return {"profile_kernels compare",
          "Puts two results of 'time --json' side by side: the ratio of the medians for each row\n"
          "that both have, how far a kernel differs from itself, and what else is different.",
          {},
          "OLD.json NEW.json",
          "  profile_kernels compare before.json after.json\n"};
}

}  // namespace

void compare_command(const std::vector<std::string>& words) {
  const command_line::Options options(compare_syntax(), words);
  if (options.has("help")) {
    fmt::print("{}", help_text(compare_syntax()));
    return;
  }
  if (options.operands().size() != 2) {
    trainer::wrong_usage(
        "'profile_kernels compare' needs two files, the old and the new one; got "
        "{}",
        options.operands().size());
  }
  const Results before = read_results(options.operands()[0]);
  const Results after = read_results(options.operands()[1]);
  fmt::print("{}", comparison_text(before, after));
}

}  // namespace basin::profile_kernels
