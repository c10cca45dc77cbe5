#include "tensor/indices.h"

#include <algorithm>

#include "tensor/error.h"

namespace basin {

void check_range(const char* where, const Tensor& values, std::int64_t low, std::int64_t high,
                 Device device, const std::int64_t* ignored) {
  if (device == Device::cpu || values.device() != Device::cpu) {
    return;
  }
  const Tensor row_major = values.contiguous();
  const std::int64_t* const begin = row_major.data<std::int64_t>();
  const std::int64_t* const end = begin + row_major.numel();
  const std::int64_t* const bad = std::find_if(begin, end, [&](std::int64_t value) {
    return (value < low || value >= high) && !(ignored != nullptr && value == *ignored);
  });
  if (bad != end) {
    fail("[{}] {} at position {} of {} lies outside [{}, {})", where, *bad, bad - begin,
         describe(values), low, high);
  }
}

std::int64_t count_other_than(const Tensor& values, std::int64_t value) {
  const Tensor here = values.contiguous().to(Device::cpu);
  const std::int64_t* const begin = here.data<std::int64_t>();
  return here.numel() - std::count(begin, begin + here.numel(), value);
}

}  // namespace basin
