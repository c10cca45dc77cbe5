#include <cmath>

#include "kernels/optim/adamw.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels::adamw_table {

namespace {

using Role = CaseBuffer::Role;
constexpr std::int64_t kCount = 20011;
constexpr double kLearningRate = 3e-3;
constexpr double kBeta1 = 0.9;
constexpr double kBeta2 = 0.98;
constexpr double kEps = 1e-8;

// With `in_memory`, the step, the rate and half of the scale are read from memory.
KernelCase adamw_case(const char* name, std::int64_t step, double decay, double gradient_scale,
                      bool decoupled = true, std::int64_t count = kCount, bool in_memory = false) {
  KernelCase result;
  result.name = name;
  result.buffers = {{"parameter", Role::in_out, {count}},
                    {"gradient", Role::input, {count}, -2, 2},
                    {"m", Role::in_out, {count}, -0.5, 0.5},
                    {"v", Role::in_out, {count}, 0, 0.5},
                    {"scale", Role::input, {1}, 0.5, 0.5},
                    integer_buffer("step", Role::input, {1}, static_cast<double>(step),
                                   static_cast<double>(step)),
                    {"rate", Role::input, {1}, kLearningRate, kLearningRate}};
  result.buffers[4].always_double = true;
  result.buffers[6].always_double = true;
  run_on_all_devices(result, [=](void* const* d, DType dtype, const auto& context) {
    AdamW p{d[0],   d[1],   d[2], d[3],  count,          step,  kLearningRate,
            kBeta1, kBeta2, kEps, decay, gradient_scale, dtype, decoupled};
    if (in_memory) {
      p.step = 0;
      p.lr = 0;
      p.gradient_scale = 2 * gradient_scale;
      p.gradient_scale_pointer = doubles(d[4]);
      p.step_pointer = integers(d[5]);
      p.lr_pointer = doubles(d[6]);
    }
    return adamw(p, context);
  });
  result.reference = [=](void* const* d) {
    const double correction1 = 1 - std::pow(kBeta1, static_cast<double>(step));
    const double correction2 = 1 - std::pow(kBeta2, static_cast<double>(step));
    for (std::int64_t i = 0; i < count; ++i) {
      double& parameter = doubles(d[0])[i];
      const double g = gradient_scale * doubles(d[1])[i] + (decoupled ? 0 : decay * parameter);
      double& m = doubles(d[2])[i];
      double& v = doubles(d[3])[i];
      m = kBeta1 * m + (1 - kBeta1) * g;
      v = kBeta2 * v + (1 - kBeta2) * g * g;
      parameter -= decoupled ? kLearningRate * decay * parameter : 0;
      parameter -= kLearningRate * (m / correction1) / (std::sqrt(v / correction2) + kEps);
    }
  };
  const auto n = static_cast<double>(count);
  result.cost = {15 * n, 7 * n, 0};
  return result;
}

// f32: a handful of roundings of numbers below 1.
const RegisterKernel entry({"adamw",
                            "one AdamW update of one array",
                            {{1, "loop", "one pass over parameter, gradient and both moments"}},
                            [](const CpuContext&) {
                              return std::vector{
                                  adamw_case("step1", 1, 0.1, 1),
                                  adamw_case("step1000", 1000, 0.1, 1),
                                  adamw_case("no_decay", 7, 0, 1),
                                  adamw_case("clipped", 7, 0.1, 0.03125),
                                  adamw_case("adam", 7, 0.1, 1, false),
                                  adamw_case("in_memory", 7, 0.1, 0.03125, true, kCount, true)};
                            },
                            4e-7,
                            2e-15});

const RegisterSizes sizes("adamw", {{"n", 1 << 22, "parameters"}},
                          [](const Sizes& s, const CpuContext&) {
                            return adamw_case("", 1000, 0.1, 1, true, s.at("n"));
                          });

}  // namespace

}  // namespace basin::kernels::adamw_table
