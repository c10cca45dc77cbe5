// How much memory this process may use.
#pragma once

#include <cstddef>

#include "tools/trainer/configuration.h"

namespace basin::trainer {

/// What the system says is available now, or the limit of the container if that is less. Asked for
/// more, Linux ends a process without a word; an allocator with this limit says what is missing.
std::size_t available_memory();

/// Throws OutOfMemory if weights and activations cannot fit by far: the work of filling memory up
/// to its end is then spared. `training`: gradients and the optimizer's moments are needed, too.
void check_memory(const Configuration& configuration, bool training);

}  // namespace basin::trainer
