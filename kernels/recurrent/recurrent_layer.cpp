#include "kernels/recurrent/recurrent_layer.h"

#include <limits>

namespace basin::kernels {

std::int64_t gates_of(RecurrentCell cell) {
  switch (cell) {
    case RecurrentCell::lstm: return 4;
    case RecurrentCell::gru: return 3;
    default: return 1;
  }
}

Status check_recurrent_layer(const RecurrentLayer& p) {
  for (const std::int64_t extent : {p.B, p.L, p.in, p.width}) {
    if (extent < 1 || extent > std::numeric_limits<std::int32_t>::max()) {
      return Status::invalid("a recurrent layer of cuDNN needs extents from 1 to 2^31 - 1");
    }
  }
  constexpr std::int64_t kMostSteps = 65535;  // cudnnSetRNNDataDescriptor() refuses more
  if (p.L > kMostSteps) {
    return Status::unsupported("a recurrent layer of cuDNN has sequences of at most 65535 steps");
  }
  if (p.dtype != DType::f32 && p.dtype != DType::f64) {
    return Status::unsupported("a recurrent layer of cuDNN needs f32 or f64");
  }
  if (p.precision == Precision::bf16) {
    return Status::unsupported("a recurrent layer of cuDNN has products in f32 and tf32, not bf16");
  }
  if (p.precision == Precision::tf32 && p.dtype != DType::f32) {
    return Status::invalid("products in tf32 are made of f32");
  }
  return {};
}

std::vector<WeightPiece> weight_pieces(const RecurrentLayer& p) {
  std::vector<WeightPiece> pieces;
  const std::int64_t gates = gates_of(p.cell);
  for (const bool recurrent : {false, true}) {
    for (std::int64_t gate = 0; gate < gates; ++gate) {
      const auto number = static_cast<int>(gate + (recurrent ? gates : 0));
      pieces.push_back({number, recurrent, gate * p.width, p.width, recurrent ? p.width : p.in});
    }
  }
  return pieces;
}

std::int64_t parameters_of(const RecurrentLayer& p) {
  std::int64_t count = 0;
  for (const WeightPiece& piece : weight_pieces(p)) {
    count += piece.rows * (piece.columns + 1);
  }
  return count;
}

}  // namespace basin::kernels
