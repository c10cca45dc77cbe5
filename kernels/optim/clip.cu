// One thread: a few numbers, but numbers that the host must not wait for.
#include "kernels/common/launch.h"
#include "kernels/optim/clip_rule.h"

namespace basin::kernels {

namespace {

BASIN_KERNEL void clip_kernel(ClipScale p) { apply_clip_rule(p); }

}  // namespace

Status clip_scale(const ClipScale& p, const DeviceContext& context) {
  return launch({"clip_scale", {1, 1, 1}, {1, 1, 1}}, context, clip_kernel, p);
}

}  // namespace basin::kernels
