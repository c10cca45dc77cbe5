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

const std::vector<KernelEntry>& kernel_table() { return entries(); }

}  // namespace basin::kernels
