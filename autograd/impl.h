// What a Variable points to. Private to this floor.
#pragma once

#include <memory>

#include "autograd/variable.h"

namespace basin {

struct Variable::Impl {
  Tensor value;
  Tensor grad;
  bool owns_grad = false;  // grad belongs to this variable alone, so it may be added to in place
  bool requires_grad = false;
  std::shared_ptr<Node> node;
  std::size_t result = 0;  // which result of the node this is
};

}  // namespace basin
