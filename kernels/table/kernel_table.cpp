#include "kernels/table/kernel_table.h"

#include <algorithm>
#include <utility>

namespace basin::kernels {

namespace {
// A function-local static exists before the first registration, whatever the order of the files.
std::vector<KernelEntry>& entries() {
  static std::vector<KernelEntry> all;
  return all;
}
}  // namespace

RegisterKernel::RegisterKernel(KernelEntry entry) {
  std::vector<KernelEntry>& all = entries();
  const auto at =
      std::lower_bound(all.begin(), all.end(), entry,
                       [](const KernelEntry& a, const KernelEntry& b) { return a.name < b.name; });
  all.insert(at, std::move(entry));
}

RegisterSizes::RegisterSizes(const std::string& kernel, std::vector<SizeParameter> parameters,
                             std::function<KernelCase(const Sizes&, const CpuContext&)> make) {
  for (KernelEntry& entry : entries()) {
    if (entry.name == kernel) {
      entry.sized = {std::move(parameters), std::move(make)};
      return;
    }
  }
}

const std::vector<KernelEntry>& kernel_table() { return entries(); }

KernelCase sized_case(const KernelEntry& entry, const Sizes& sizes, const CpuContext& context) {
  KernelCase made = entry.sized.make(sizes, context);
  made.name = sizes_text(entry.sized.parameters, sizes);
  return made;
}

double reference_work(const KernelCase& problem) {
  // An exponential of libm takes as long as some ten additions.
  const Cost& cost = problem.cost;
  return std::max(problem.reference_work, cost.flops + 10 * cost.exps + cost.elements_moved);
}

Sizes affordable(const KernelEntry& entry, Sizes sizes, double work, const CpuContext& context) {
  while (reference_work(entry.sized.make(sizes, context)) > work) {
    Sizes smaller = halved(entry.sized.parameters, sizes);
    if (smaller == sizes) {
      break;
    }
    sizes = std::move(smaller);
  }
  return sizes;
}

}  // namespace basin::kernels
