// Reverse-mode differentiation over the recorded graph.
#pragma once

#include "autograd/variable.h"

namespace basin {

/// See Variable::backward. Iterative: the length of the graph is limited by memory only. Nodes run
/// in falling order of their sequence numbers, so that sums of gradients always have the same order
/// and hence the same bits.
void run_backward(const Variable& root, const Tensor& seed, bool retain_graph);

/// The name of the operation whose backward function runs on this thread, for messages.
const char* running_node();

}  // namespace basin
