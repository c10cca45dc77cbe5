#include <fmt/format.h>

#include <cmath>

#include "tensor/device.h"
#include "tensor/error.h"
#include "tools/profile_kernels/commands.h"
#include "tools/profile_kernels/correctness.h"
#include "tools/profile_kernels/progress.h"
#include "tools/profile_kernels/selection.h"
#include "tools/report/table.h"

namespace basin::profile_kernels {

namespace {

Syntax check_syntax() {
  return {
      "profile_kernels check",
      "Runs every case of every kernel against its reference in double: drawn inputs, outputs\n"
      "poisoned with NaN, borders guarded. An error is |found - expected| / (1 + |expected|).\n"
      "With fewer bits than f32 it is the largest |found - expected| of an array over that of a\n"
      "naive computation with as few bits, and may be 2. Exit status 1 if an error is above the\n"
      "tolerance.",
      {variant_option("all"),
       {"dtype", "NAME", "f32, f64, bf16 or all [all]"},
       device_option(),
       threads_option()},
      "[KERNEL...]",
      "  profile_kernels check\n"
      "  profile_kernels check attention_forward attention_backward --dtype f64\n"};
}

// The worst case of one variant in one dtype.
struct Worst {
  double error = 0;
  double tolerance = 0;
  std::string where = "-";
  std::vector<std::string> complaints{};  // a line each, with the case
};

}  // namespace

void check_command(const std::vector<std::string>& words) {
  const Options options(check_syntax(), words);
  if (options.has("help")) {
    fmt::print("{}", help_text(check_syntax()));
    return;
  }
  const std::vector<const KernelEntry*> wanted = chosen_kernels(options.operands());
  const std::vector<DType> dtypes = chosen_dtypes(options.value_or("dtype", "all"), true);
  const std::string variants = options.value_or("variant", "all");
  const Device device = set_up_device(options);
  const std::vector<const KernelEntry*> entries =
      those_on(device, dtypes, wanted, !options.operands().empty());
  for (const KernelEntry* entry : entries) {
    (void)chosen_variants(*entry, variants, device);
  }

  report::Table table({{"kernel"},
                       {"variant"},
                       {"dtype"},
                       {"cases", report::Table::Align::right},
                       {"worst error", report::Table::Align::right},
                       {"error / tolerance", report::Table::Align::right},
                       {"worst case"},
                       {"verdict"}});
  std::vector<std::string> complaints;
  std::size_t rows = 0;
  {
    Progress progress;
    for (const KernelEntry* entry : entries) {
      const std::vector<kernels::KernelCase> cases = entry->cases(cpu_context());
      const std::vector<int> numbers = chosen_variants(*entry, variants, device);
      for (const DType dtype : dtypes) {
        std::vector<Worst> worst(numbers.size());
        std::size_t checked = 0;
        for (const kernels::KernelCase& problem : cases) {
          if (!exists_in(problem, dtype)) {
            continue;
          }
          ++checked;
          const double tolerance = kernels::allowed_error(*entry, problem, dtype);
          progress.tell(
              fmt::format("checking {} {} {}", entry->name, name_of(dtype), problem.name));
          const Correctness correctness(problem, dtype, device);
          for (std::size_t v = 0; v < numbers.size(); ++v) {
            const auto verdict = correctness.check(numbers[v], tolerance);
            // The tolerances of an entry's cases may differ.
            if (worst[v].where == "-" ||
                !(verdict.error * worst[v].tolerance <= worst[v].error * tolerance)) {
              worst[v].error = verdict.error;
              worst[v].tolerance = tolerance;
              worst[v].where = problem.name;
            }
            if (!verdict.complaint.empty()) {
              worst[v].complaints.push_back(fmt::format("{} variant {} {} {}: {}", entry->name,
                                                        numbers[v], name_of(dtype), problem.name,
                                                        verdict.complaint));
            }
          }
        }
        for (std::size_t v = 0; checked > 0 && v < numbers.size(); ++v, ++rows) {
          const std::string ratio = worst[v].tolerance > 0
                                        ? fmt::format("{:.2g}", worst[v].error / worst[v].tolerance)
                                        : "exact";
          table.add({entry->name,
                     fmt::format("{} {}", numbers[v], variant_name(*entry, numbers[v], device)),
                     name_of(dtype), fmt::format("{}", checked),
                     fmt::format("{:.2g}", worst[v].error), ratio, worst[v].where,
                     worst[v].complaints.empty() ? "ok" : "WRONG"});
          complaints.insert(complaints.end(), worst[v].complaints.begin(),
                            worst[v].complaints.end());
        }
      }
    }
  }
  fmt::print("{}", table.text());
  for (const std::string& complaint : complaints) {
    fmt::print("{}\n", complaint);
  }
  if (!complaints.empty()) {
    fail("{} cases differ from their references", complaints.size());
  }
  fmt::print("\n{} rows, all within their tolerances\n", rows);
}

}  // namespace basin::profile_kernels
