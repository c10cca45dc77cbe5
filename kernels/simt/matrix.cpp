// The tensor-core instructions: all lanes of a warp meet, the last one to come does the work of
// all.
#include <bit>

#include "kernels/common/fragments.h"
#include "kernels/common/half.h"
#include "kernels/simt/block.h"
#include "kernels/simt/messages.h"

namespace basin::kernels::simt {

namespace {

constexpr std::uint32_t kWholeWarp = 0xFFFFFFFFu;

// What a lane passes to ldmatrix; its `to` is written.
struct Row {
  const std::uint16_t* elements;
  std::uint32_t* to;
  bool transposed;
};

// What a lane passes to an mma; its d is written.
struct Operands {
  float* d;
  const std::uint32_t* a;
  const std::uint32_t* b;
};

template <class T>
float half_of(const std::uint32_t* registers, int i) {
  return to_float(T{static_cast<std::uint16_t>(registers[i / 2] >> (i % 2 * 16))});
}

float tf32_of(const std::uint32_t* registers, int i) {
  return std::bit_cast<float>(registers[i] & ~0x1FFFu);
}

// Every product is exact in f64; their sum is rounded to f32 once. A GPU rounds on the way, how is
// not documented; kernels are compared with a tolerance.
template <class Shape, class Read>
void multiply(const Operands* const (&lanes)[kWarp], Read read) {
  double a[Shape::kM][Shape::kK];
  double b[Shape::kK][Shape::kN];
  double c[Shape::kM][Shape::kN];
  for (int lane = 0; lane < kWarp; ++lane) {
    for (int i = 0; i < Shape::kElementsOfA; ++i) {
      const MatrixPlace at = Shape::a(lane, i);
      a[at.row][at.column] = static_cast<double>(read(lanes[lane]->a, i));
    }
    for (int i = 0; i < Shape::kElementsOfB; ++i) {
      const MatrixPlace at = Shape::b(lane, i);
      b[at.row][at.column] = static_cast<double>(read(lanes[lane]->b, i));
    }
    for (int i = 0; i < Shape::kElementsOfC; ++i) {
      const MatrixPlace at = Shape::c(lane, i);
      c[at.row][at.column] = static_cast<double>(lanes[lane]->d[i]);
    }
  }
  for (int row = 0; row < Shape::kM; ++row) {
    for (int k = 0; k < Shape::kK; ++k) {
      for (int column = 0; column < Shape::kN; ++column) {
        c[row][column] += a[row][k] * b[k][column];
      }
    }
  }
  for (int lane = 0; lane < kWarp; ++lane) {
    for (int i = 0; i < Shape::kElementsOfC; ++i) {
      const MatrixPlace at = Shape::c(lane, i);
      lanes[lane]->d[i] = static_cast<float>(c[at.row][at.column]);
    }
  }
}

void deal_out(const Row* const (&lanes)[kWarp], int count) {
  for (int lane = 0; lane < kWarp; ++lane) {
    for (int m = 0; m < count; ++m) {
      std::uint32_t halves = 0;
      for (int h = 0; h < 2; ++h) {
        const MatrixPlace at =
            lanes[lane]->transposed ? ldmatrix_place_transposed(lane, h) : ldmatrix_place(lane, h);
        halves |= std::uint32_t{lanes[8 * m + at.row]->elements[at.column]} << (16 * h);
      }
      lanes[lane]->to[m] = halves;
    }
  }
}

// Operands travel as an address, in the 64 bits that every collective has.
std::uint64_t bits_of(const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer); }

template <class T>
const T* pointer_of(std::uint64_t bits) {
  // NOLINTNEXTLINE(performance-no-int-to-ptr): bits_of() is the way there
  return reinterpret_cast<const T*>(static_cast<std::uintptr_t>(bits));
}

}  // namespace

bool Block::has_matrix_row(const void* row, int count, const Location& at) {
  if (running_ % kWarp >= 8 * count) {
    return false;
  }
  if (bits_of(row) % 16 != 0 || !shared_.holds(row, 16)) {
    error_ = std::string(name_of(Collective::ldmatrix)) + " at " + place(at) + ": the row of " +
             who(running_) + " must lie in shared memory, at a multiple of 16 bytes";
    stop();
  }
  return true;
}

// NOLINTBEGIN(readability-non-const-parameter): the last lane to come writes to what each names.
void Block::matrix_exchange(const std::uint16_t* row, int count, bool transposed, std::uint32_t* to,
                            const Location& at) {
  const Row mine{row, to, transposed};
  collective(Collective::ldmatrix, kWholeWarp, bits_of(&mine), 0, count, at);
}

void Block::matrix_multiply(Collective what, float* d, const std::uint32_t* a,
                            const std::uint32_t* b, const Location& at) {
  const Operands mine{d, a, b};
  collective(what, kWholeWarp, bits_of(&mine), 0, kWarp, at);
}
// NOLINTEND(readability-non-const-parameter)

void Block::complete_matrix(int first, const Meeting& meeting) {
  const Thread& leader = thread(first);
  for (int lane = 1; lane < kWarp; ++lane) {
    const Thread& t = thread(first + lane);
    if (t.width != leader.width || !same_place(t.location, leader.location)) {
      error_ = std::string(name_of(meeting.what)) + " is divergent: " + who(first) +
               " calls it at " + place(leader.location) + ", " + who(first + lane) + " at " +
               place(t.location);
      stop();
    }
  }
  if (meeting.what == Collective::ldmatrix) {
    const Row* lanes[kWarp];
    for (int lane = 0; lane < kWarp; ++lane) {
      lanes[lane] = pointer_of<Row>(thread(first + lane).value);
    }
    deal_out(lanes, leader.width);
    return;
  }
  const Operands* lanes[kWarp];
  for (int lane = 0; lane < kWarp; ++lane) {
    lanes[lane] = pointer_of<Operands>(thread(first + lane).value);
  }
  switch (meeting.what) {
    case Collective::mma_bf16: multiply<M16N8K16>(lanes, half_of<BFloat16>); break;
    case Collective::mma_f16: multiply<M16N8K16>(lanes, half_of<Float16>); break;
    default: multiply<M16N8K8>(lanes, tf32_of); break;
  }
}

}  // namespace basin::kernels::simt
