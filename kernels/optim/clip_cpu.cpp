#include "kernels/optim/clip_rule.h"

namespace basin::kernels {

Status clip_scale(const ClipScale& p, const CpuContext&) {
  apply_clip_rule(p);
  return {};
}

}  // namespace basin::kernels
