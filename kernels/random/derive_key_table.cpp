#include "kernels/common/philox.h"
#include "kernels/random/derive_key.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels::derive_key_table {

namespace {

using Role = CaseBuffer::Role;
constexpr std::uint64_t kKey = 0x9E3779B97F4A7C15u;
constexpr std::int64_t kOffset = 1'000'003;

KernelCase derive_case(const char* name, std::uint64_t stream, bool has_offset) {
  KernelCase result;
  result.name = name;
  result.buffers = {integer_buffer("offset", Role::input, {1}, kOffset, kOffset),
                    integer_buffer("derived", Role::output, {1}, 0, 0)};
  run_on_all_devices(result, [=](void* const* d, DType, const auto& context) {
    return derive_key(DeriveKey{kKey, stream, has_offset ? integers(d[0]) : nullptr,
                                static_cast<std::uint64_t*>(d[1])},
                      context);
  });
  // The two low words of the block that belongs to the number of the stream.
  result.reference = [=](void* const* d) {
    const std::uint64_t number = has_offset ? stream + kOffset : stream;
    const auto words = philox(kKey, number, 0x6261736E6B657900u);
    *integers(d[1]) =
        static_cast<std::int64_t>(words[0] + (static_cast<std::uint64_t>(words[1]) << 32));
  };
  result.cost = {1, 2, 0};
  return result;
}

// Whole numbers.
const RegisterKernel entry(
    {"derive_key",
     "the key of a random mask from the number of its draw",
     {{1, "thread", "one block of Philox by one thread"}},
     [](const CpuContext&) {
       return std::vector{derive_case("argument", 7, false), derive_case("in_memory", 5, true)};
     },
     0,
     0});

const RegisterSizes sizes("derive_key",
                          {choice("offset", "of the number", {"none", "in memory"}, 1)},
                          [](const Sizes& s, const CpuContext&) {
                            return derive_case("", 5, s.at("offset") != 0);
                          });

}  // namespace

}  // namespace basin::kernels::derive_key_table
