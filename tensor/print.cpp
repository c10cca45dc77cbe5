// Tensors as text for people.
#include <string>

#include "tensor/error.h"
#include "tensor/tensor.h"

namespace basin {

namespace {

constexpr std::int64_t kShown = 3;  // elements at each end of a long dimension

void print(const Tensor& tensor, std::string& out) {
  if (tensor.rank() == 0) {
    out += is_floating(tensor.dtype()) ? fmt::format("{:.6g}", tensor.item())
                                       : fmt::format("{:.0f}", tensor.item());
    return;
  }
  out += '[';
  const std::int64_t count = tensor.size(0);
  for (std::int64_t i = 0; i < count; ++i) {
    if (i > 0) {
      out += ", ";
    }
    if (i == kShown && count > 2 * kShown) {
      out += "..., ";
      i = count - kShown;
    }
    print(tensor.select(0, i), out);
  }
  out += ']';
}

}  // namespace

std::string to_string(const Tensor& tensor) {
  if (!tensor.defined()) {
    return describe(tensor);
  }
  std::string out;
  print(tensor.to(Device::cpu), out);
  return out + " " + describe(tensor);
}

}  // namespace basin
