// A recorded graph as a picture.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "autograd/variable.h"

namespace basin {

/// The graph behind `root` in the language of Graphviz (dot -Tsvg): a box for each operation with
/// the shape of its result, an ellipse for each leaf that requires a gradient, arrows from inputs
/// to results. `names` labels leaves. Throws Error beyond `limit` operations: a picture of more
/// helps nobody.
std::string to_graphviz(const Variable& root,
                        const std::vector<std::pair<std::string, Variable>>& names = {},
                        std::size_t limit = 500);

}  // namespace basin
