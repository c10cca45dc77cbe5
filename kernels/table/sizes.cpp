#include "kernels/table/sizes.h"

#include <algorithm>

namespace basin::kernels {

Sizes standard_sizes(const std::vector<SizeParameter>& parameters) {
  Sizes sizes;
  for (const SizeParameter& parameter : parameters) {
    sizes[parameter.name] = parameter.standard;
  }
  return sizes;
}

std::string sizes_text(const std::vector<SizeParameter>& parameters, const Sizes& sizes) {
  std::string text;
  for (const SizeParameter& parameter : parameters) {
    const std::int64_t value = sizes.at(parameter.name);
    text.append(text.empty() ? "" : " ").append(parameter.name).append("=");
    text.append(parameter.choices.empty() ? std::to_string(value)
                                          : parameter.choices[static_cast<std::size_t>(value)]);
  }
  return text;
}

Sizes halved(const std::vector<SizeParameter>& parameters, const Sizes& sizes) {
  Sizes smaller = sizes;
  const SizeParameter* largest = nullptr;
  for (const SizeParameter& parameter : parameters) {
    const std::int64_t value = sizes.at(parameter.name);
    if (!parameter.kept && value > parameter.least &&
        (largest == nullptr || value > sizes.at(largest->name))) {
      largest = &parameter;
    }
  }
  if (largest != nullptr) {
    smaller[largest->name] = std::max(largest->least, sizes.at(largest->name) / 2);
  }
  return smaller;
}

}  // namespace basin::kernels
