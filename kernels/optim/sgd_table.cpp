#include "kernels/optim/sgd.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels::sgd_table {

namespace {

using Role = CaseBuffer::Role;
constexpr std::int64_t kCount = 20011;
constexpr double kLearningRate = 3e-2;
constexpr double kMomentum = 0.9;

KernelCase sgd_case(const char* name, bool nesterov, double decay, double gradient_scale,
                    std::int64_t count = kCount) {
  KernelCase result;
  result.name = name;
  result.buffers = {{"parameter", Role::in_out, {count}},
                    {"gradient", Role::input, {count}, -2, 2},
                    {"u", Role::in_out, {count}, -0.5, 0.5},
                    {"scale", Role::input, {1}, 0.5, 0.5},
                    {"rate", Role::input, {1}, kLearningRate, kLearningRate}};
  result.buffers[3].always_double = true;
  result.buffers[4].always_double = true;
  // Half of the scale is read from memory, and of Nesterov's form the rate.
  run_on_all_devices(result, [=](void* const* d, DType dtype, const auto& context) {
    Sgd p{d[0],     d[1],          d[2],
          count,    kLearningRate, kMomentum,
          nesterov, decay,         2 * gradient_scale,
          dtype,    doubles(d[3])};
    if (nesterov) {
      p.lr = 0;
      p.lr_pointer = doubles(d[4]);
    }
    return sgd(p, context);
  });
  result.reference = [=](void* const* d) {
    for (std::int64_t i = 0; i < count; ++i) {
      double& parameter = doubles(d[0])[i];
      double& u = doubles(d[2])[i];
      const double g = gradient_scale * doubles(d[1])[i] + decay * parameter;
      u = kMomentum * u + g;
      parameter -= kLearningRate * (nesterov ? g + kMomentum * u : u);
    }
  };
  const auto n = static_cast<double>(count);
  result.cost = {8 * n, 5 * n, 0};
  return result;
}

// f32: a handful of roundings of numbers below 4.
const RegisterKernel entry({"sgd",
                            "one step of gradient descent with momentum",
                            {{1, "loop", "one pass over parameter, gradient and momentum"}},
                            [](const CpuContext&) {
                              return std::vector{sgd_case("plain", false, 0, 1),
                                                 sgd_case("nesterov", true, 0, 1),
                                                 sgd_case("decay", false, 0.1, 1),
                                                 sgd_case("clipped", true, 0.1, 0.03125)};
                            },
                            4e-7,
                            2e-15});

const RegisterSizes sizes("sgd", {{"n", 1 << 22, "parameters"}},
                          [](const Sizes& s, const CpuContext&) {
                            return sgd_case("", true, 0.1, 1, s.at("n"));
                          });

}  // namespace

}  // namespace basin::kernels::sgd_table
