#include "autograd/opdb.h"

#include <utility>

namespace basin {

namespace {
// A function-local static exists before the first registration, whatever the order of the files.
std::vector<OpEntry>& entries() {
  static std::vector<OpEntry> all;
  return all;
}
}  // namespace

RegisterOp::RegisterOp(OpEntry entry) { entries().push_back(std::move(entry)); }

const std::vector<OpEntry>& op_database() { return entries(); }

}  // namespace basin
