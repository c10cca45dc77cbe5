#include "kernels/common/philox.h"
#include "kernels/dropout/dropout.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels::dropout_table {

namespace {

using Role = CaseBuffer::Role;
constexpr std::uint64_t kKey = 0x9E3779B97F4A7C15u;
constexpr std::uint64_t kStream = 3;
// No multiple of the four elements of a block; more than one chunk.
constexpr std::int64_t kCount = 20011;

// With `in_memory`, most of the stream's number is read from memory.
KernelCase dropout_case(const char* name, double probability, std::int64_t count = kCount,
                        bool in_memory = false) {
  KernelCase result;
  result.name = name;
  result.buffers = {{"x", Role::input, {count}},
                    {"y", Role::output, {count}},
                    integer_buffer("offset", Role::input, {1}, kStream - 1, kStream - 1)};
  run_on_all_devices(result, [=](void* const* d, DType dtype, const auto& context) {
    Dropout p{d[0], d[1], count, probability, kKey, kStream, dtype};
    if (in_memory) {
      p.stream = 1;
      p.stream_offset = integers(d[2]);
    }
    return dropout(p, context);
  });
  // One element at a time, from the definition of its word.
  result.reference = [probability, count](void* const* d) {
    for (std::int64_t i = 0; i < count; ++i) {
      const std::uint32_t word = philox_word(kKey, kStream, static_cast<std::uint64_t>(i));
      const bool keep = static_cast<double>(word >> 8) / 16777216.0 >= probability;
      doubles(d[1])[i] = keep ? doubles(d[0])[i] / (1 - probability) : 0;
    }
  };
  const auto n = static_cast<double>(count);
  result.cost = {n, 2 * n, 0};
  return result;
}

// One multiplication. The probabilities are exact in f32, so no element lies between the two
// thresholds.
const RegisterKernel entry({"dropout",
                            "y = x / (1 - p) or 0 by a counter-based mask",
                            {{1, "blocks", "one Philox block for four elements"}},
                            [](const CpuContext&) {
                              return std::vector{dropout_case("p0", 0.0), dropout_case("p25", 0.25),
                                                 dropout_case("p875", 0.875),
                                                 dropout_case("in_memory", 0.25, kCount, true)};
                            },
                            1e-7,
                            1e-15});

const RegisterSizes sizes("dropout", {{"n", 1 << 23, "elements"}},
                          [](const Sizes& s, const CpuContext&) {
                            return dropout_case("", 0.25, s.at("n"));
                          });

}  // namespace

}  // namespace basin::kernels::dropout_table
