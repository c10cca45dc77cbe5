// The matrix product for the executor. Its best variant stands for a library's, so the CPU's best
// stands in for that; one thread, because the workspace must fit whatever pool the context has.
#include "kernels/gemm/gemm_check.h"
#include "kernels/gemm/gemm_ladder.h"
#include "kernels/gemm/rounded_product.h"
#include "kernels/simt/memory_guard.h"
#include "kernels/simt/recording.h"

namespace basin::kernels {

std::int64_t gemm_workspace(const Gemm& p, const SimtContext& context) {
  if (rounds_factors(p)) {
    const RoundedProduct rounded(p);
    return rounded.bytes() + gemm_workspace(rounded.product(), context);
  }
  if (p.variant != 0) {
    return 0;
  }
  ThreadPool alone(1);
  return gemm_workspace(p, CpuContext{&alone});
}

Status gemm(const Gemm& p, const SimtContext& context) {
  if (const Status status = check_gemm(p); !status.ok()) {
    return status;
  }
  if (rounds_factors(p)) {
    const RoundedProduct rounded(p);
    const Status status = rounded.round(context);
    return status.ok() ? gemm(rounded.product(), context) : status;
  }
  if (p.variant != 0) {
    return gemm_ladder(p, context);
  }
  const auto product = [p](const SimtContext&) {
    const simt::OpenMemory open;
    simt::count_launch();
    ThreadPool alone(1);
    return gemm(p, CpuContext{&alone});
  };
  if (simt::Recording* const into = simt::recording()) {
    into->add("gemm", product);
    return {};
  }
  return product(context);
}

}  // namespace basin::kernels
