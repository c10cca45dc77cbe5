// The matrix product for the executor. Its best variant stands for a library's, so the CPU's best
// stands in for that; one thread, because the workspace must fit whatever pool the context has.
#include "kernels/gemm/gemm_check.h"
#include "kernels/gemm/gemm_ladder.h"

namespace basin::kernels {

std::int64_t gemm_workspace(const Gemm& p, const SimtContext&) {
  if (p.variant != 0) {
    return 0;
  }
  ThreadPool alone(1);
  return gemm_workspace(p, CpuContext{&alone});
}

Status gemm(const Gemm& p, const SimtContext& context) {
  if (p.variant == 0) {
    ThreadPool alone(1);
    return gemm(p, CpuContext{&alone});
  }
  const Status status = check_gemm(p);
  return status.ok() ? gemm_ladder(p, context) : status;
}

}  // namespace basin::kernels
