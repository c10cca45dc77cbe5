#include "nn/layers/positions.h"

#include <cmath>
#include <vector>

#include "autograd/operations.h"
#include "tensor/error.h"

namespace basin::nn {

namespace {
constexpr PositionKind kKinds[] = {PositionKind::none, PositionKind::learned,
                                   PositionKind::sinusoidal, PositionKind::rotary};
}

const char* name_of(PositionKind kind) {
  switch (kind) {
    case PositionKind::none: return "none";
    case PositionKind::learned: return "learned";
    case PositionKind::sinusoidal: return "sinusoidal";
    case PositionKind::rotary: return "rotary";
  }
  return "?";
}

bool parse(const std::string& name, PositionKind& out) {
  for (const PositionKind kind : kKinds) {
    if (name == name_of(kind)) {
      out = kind;
      return true;
    }
  }
  return false;
}

Tensor sinusoidal_positions(std::int64_t length, std::int64_t width, DType dtype) {
  std::vector<double> values;
  values.reserve(static_cast<std::size_t>(length * width));
  for (std::int64_t t = 0; t < length; ++t) {
    for (std::int64_t c = 0; c < width; ++c) {
      const double exponent = static_cast<double>(c / 2 * 2) / static_cast<double>(width);
      const double angle = static_cast<double>(t) / std::pow(10000.0, exponent);
      values.push_back(c % 2 == 0 ? std::sin(angle) : std::cos(angle));
    }
  }
  return Tensor::from<double>({length, width}, values).to(dtype);
}

Positions::Positions(PositionKind kind, std::int64_t max_length, std::int64_t width, Rng& rng,
                     DType dtype, double deviation)
    : max_length_(max_length) {
  if (kind == PositionKind::learned) {
    table_ = add_parameter("weight", rng.normal({max_length, width}, deviation, dtype));
  } else if (kind == PositionKind::sinusoidal) {
    table_ = add_constant(sinusoidal_positions(max_length, width, dtype));
  }
}

Variable Positions::forward(const Variable& x, std::int64_t first) const {
  const std::int64_t length = first + x.size(1);
  if (!table_.defined()) {
    return x;
  }
  if (length > max_length_) {
    fail("[Positions] a sequence of {} is longer than the {} positions of the model", length,
         max_length_);
  }
  const bool whole = first == 0 && length == max_length_;
  return add(x, whole ? table_ : slice(table_, 0, first, length));
}

}  // namespace basin::nn
