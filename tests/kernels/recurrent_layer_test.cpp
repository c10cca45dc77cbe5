// What cuDNN's recurrent layers ask of their caller, as far as it can be said without a GPU.
#include "kernels/recurrent/recurrent_layer.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>

namespace basin::kernels {
namespace {

constexpr RecurrentCell kCells[] = {RecurrentCell::tanh, RecurrentCell::relu, RecurrentCell::lstm,
                                    RecurrentCell::gru};

RecurrentLayer layer_of(RecurrentCell cell) { return {cell, 2, 5, 7, 3, DType::f32}; }

TEST(RecurrentLayer, IsCutIntoMatricesThatCoverItsParameters) {
  for (const RecurrentCell cell : kCells) {
    const RecurrentLayer layer = layer_of(cell);
    const std::int64_t gates = gates_of(cell);
    std::set<int> numbers;
    std::set<std::pair<bool, std::int64_t>> rows;
    for (const WeightPiece& piece : weight_pieces(layer)) {
      EXPECT_TRUE(numbers.insert(piece.number).second);
      EXPECT_EQ(piece.rows, 3);
      EXPECT_EQ(piece.columns, piece.recurrent ? 3 : 7);
      for (std::int64_t row = 0; row < piece.rows; ++row) {
        EXPECT_TRUE(rows.insert({piece.recurrent, piece.first_row + row}).second);
      }
    }
    EXPECT_EQ(static_cast<std::int64_t>(numbers.size()), 2 * gates);
    EXPECT_EQ(*numbers.rbegin(), 2 * gates - 1);
    EXPECT_EQ(static_cast<std::int64_t>(rows.size()), 2 * gates * 3);
    EXPECT_EQ(rows.rbegin()->second, gates * 3 - 1);
    EXPECT_EQ(parameters_of(layer), gates * 3 * (7 + 1 + 3 + 1));
  }
}

// cuDNN numbers the input matrices of the gates and then the recurrent ones, gates as ours: i, f,
// g, o of the LSTM and r, z, n of the GRU.
TEST(RecurrentLayer, NumbersGatesInTheirOrder) {
  for (const RecurrentCell cell : kCells) {
    const std::int64_t gates = gates_of(cell);
    for (const WeightPiece& piece : weight_pieces(layer_of(cell))) {
      EXPECT_EQ(piece.recurrent, piece.number >= gates);
      EXPECT_EQ(piece.first_row, piece.number % gates * 3);
    }
  }
}

TEST(RecurrentLayer, SaysWhatItCannotDo) {
  EXPECT_TRUE(check_recurrent_layer(layer_of(RecurrentCell::gru)).ok());
  const auto refused = [](auto change) {
    RecurrentLayer layer = layer_of(RecurrentCell::lstm);
    change(layer);
    const Status status = check_recurrent_layer(layer);
    EXPECT_FALSE(status.ok());
    return std::string(status.message);
  };
  EXPECT_NE(refused([](RecurrentLayer& p) { p.L = 0; }).find("extents"), std::string::npos);
  EXPECT_NE(refused([](RecurrentLayer& p) { p.width = std::int64_t{1} << 31; }).find("2^31"),
            std::string::npos);
  EXPECT_NE(refused([](RecurrentLayer& p) { p.L = 65536; }).find("65535"), std::string::npos);
  EXPECT_NE(refused([](RecurrentLayer& p) { p.dtype = DType::bf16; }).find("f32 or f64"),
            std::string::npos);
  EXPECT_NE(refused([](RecurrentLayer& p) { p.precision = Precision::bf16; }).find("not bf16"),
            std::string::npos);
  EXPECT_NE(refused([](RecurrentLayer& p) {
              p.dtype = DType::f64;
              p.precision = Precision::tf32;
            }).find("made of f32"),
            std::string::npos);
}

}  // namespace
}  // namespace basin::kernels
