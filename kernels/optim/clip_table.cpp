#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/optim/clip.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels::clip_table {

namespace {

using Role = CaseBuffer::Role;

KernelCase clip_case(const char* name, double squares, double clip_norm) {
  KernelCase result;
  result.name = name;
  result.buffers = {{"squares", Role::input, {1}},
                    {"scale", Role::output, {1}},
                    {"norm", Role::output, {1}},
                    integer_buffer("steps", Role::in_out, {1}, 3, 3)};
  for (std::size_t buffer = 0; buffer < 3; ++buffer) {
    result.buffers[buffer].always_double = true;
  }
  result.prepare = [squares](void* const* d, DType, const CpuContext&) {
    *doubles(d[0]) = squares;
    return Status{};
  };
  run_on_all_devices(result, [clip_norm](void* const* d, DType, const auto& context) {
    return clip_scale({doubles(d[0]), clip_norm, doubles(d[1]), doubles(d[2]), integers(d[3])},
                      context);
  });
  result.reference = [clip_norm](void* const* d) {
    const double norm = std::sqrt(*doubles(d[0]));
    *doubles(d[2]) = norm;
    *doubles(d[1]) = clip_norm == 0 ? 1 : std::min(1.0, clip_norm / (norm + 1e-6));
    *integers(d[3]) = 4;
  };
  result.cost = {3, 3, 0};
  return result;
}

// The same operations in the same order. What is not finite is in tests/simt/optim_test.cpp.
const RegisterKernel entry({"clip_scale",
                            "the factor that limits the norm of a gradient",
                            {{1, "rule", "one thread"}},
                            [](const CpuContext&) {
                              return std::vector{
                                  clip_case("above", 400, 1), clip_case("below", 0.25, 1),
                                  clip_case("zero", 0, 1), clip_case("no_limit", 400, 0)};
                            },
                            1e-15,
                            1e-15});

const RegisterSizes sizes("clip_scale", {choice("limit", "of the norm", {"none", "1"}, 1)},
                          [](const Sizes& s, const CpuContext&) {
                            return clip_case("", 400, static_cast<double>(s.at("limit")));
                          });

}  // namespace

}  // namespace basin::kernels::clip_table
