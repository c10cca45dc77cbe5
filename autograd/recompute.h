// Trading time for memory: a part of the graph that is computed again when its gradient is needed.
#pragma once

#include <functional>
#include <vector>

#include "autograd/variable.h"
#include "tensor/rng.h"

namespace basin {

/// f(x), keeping nothing of what f computes: the backward pass calls f a second time, now
/// recording, and differentiates that. Values and gradients have the same bits as without it. f may
/// use parameters; their gradients are added as usual. Random numbers f draws from `rng` (may be
/// null) are drawn again: its position is put back for the second call and restored after it.
Variable recompute(const std::function<Variable(const Variable&)>& f, const Variable& x, Rng* rng);

}  // namespace basin
