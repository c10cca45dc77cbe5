#include "tools/profile_kernels/ladder.h"

#include <fmt/format.h>

#include "tools/trainer/usage_error.h"

namespace basin::profile_kernels {

namespace {

struct Step {
  const char* kernel;
  int variant;
  DType dtype;
};

std::vector<Step> steps_of(const std::string& name, Device device) {
  if (name == "gemm") {
    return {{"gemm", 1, DType::f32}, {"gemm", 2, DType::f32}, {"gemm", 3, DType::f32}};
  }
  if (name != "attention") {
    trainer::wrong_usage("--ladder: there is no ladder '{}'; there are attention and gemm", name);
  }
  if (device == Device::cpu) {
    return {{"attention_forward", 1, DType::f32},
            {"attention_forward", 2, DType::f32},
            {"attention_forward", 3, DType::f32}};
  }
  return {
      {"attention_forward", 1, DType::f32},         {"attention_forward", 2, DType::f32},
      {"split_attention_forward", 1, DType::f32},   {"tf32_attention_forward", 1, DType::f32},
      {"tensor_attention_forward", 1, DType::bf16}, {"tensor_attention_forward", 2, DType::bf16}};
}

}  // namespace

std::string Rung::name(Device device) const {
  return fmt::format("{} {} {} {}", entry->name, variant, variant_name(*entry, variant, device),
                     name_of(dtype));
}

std::vector<Rung> ladder_of(const std::string& name, Device device) {
  std::vector<Rung> rungs;
  for (const Step& step : steps_of(name, device)) {
    const KernelEntry* const entry = chosen_kernels({step.kernel}).front();
    std::string adds;
    for (const kernels::KernelVariant& variant : variants_on(*entry, device)) {
      adds = variant.number == step.variant ? variant.adds : adds;
    }
    rungs.push_back({entry, step.variant, step.dtype, adds});
  }
  return rungs;
}

std::string ladder_name(const Options& options, const std::vector<std::string>& fixed) {
  if (options.operands().size() != 1) {
    trainer::wrong_usage("--ladder needs one name: attention or gemm");
  }
  for (const std::string& option : fixed) {
    if (options.has(option)) {
      trainer::wrong_usage("--ladder and --{} do not go together", option);
    }
  }
  return options.operands().front();
}

Option ladder_option(const std::string& what) {
  return {"ladder", "", "attention or gemm from the plainest kernel on, " + what};
}

}  // namespace basin::profile_kernels
