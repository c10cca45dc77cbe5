// In programs whose device code has no hooks; counting/hooks.cpp takes this file's place where it
// has.
#include "kernels/simt/counting/access_counter.h"

namespace basin::kernels::simt {
bool counts_accesses() { return false; }
}  // namespace basin::kernels::simt
