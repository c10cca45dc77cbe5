#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "tensor/device.h"
#include "tools/profile_kernels/case_on_device.h"
#include "tools/profile_kernels/commands.h"
#include "tools/profile_kernels/selection.h"

namespace basin::profile_kernels {

namespace {

using Json = nlohmann::ordered_json;
using kernels::KernelVariant;
using kernels::SizeParameter;

Syntax list_syntax() {
  return {"profile_kernels list",
          "Shows kernels with what they compute, their variants with what each adds, the sizes\n"
          "that --shape of 'time' knows with their defaults, and the cases of 'check' with the\n"
          "element types in which they exist.",
          {{"json", "", "everything as JSON"}},
          "[KERNEL...]",
          "  profile_kernels list\n  profile_kernels list gemm --json\n"};
}

std::string standard_text(const SizeParameter& parameter) {
  return parameter.choices.empty()
             ? fmt::format("{}", parameter.standard)
             : parameter.choices[static_cast<std::size_t>(parameter.standard)];
}

std::string meaning_text(const SizeParameter& parameter) {
  return parameter.choices.empty()
             ? parameter.meaning
             : fmt::format("{}: {}", parameter.meaning, fmt::join(parameter.choices, ", "));
}

std::vector<std::string> dtype_names(const KernelEntry& entry) {
  std::vector<std::string> names;
  for (const DType dtype : dtypes_of(entry)) {
    names.emplace_back(name_of(dtype));
  }
  return names;
}

Json entry_json(const KernelEntry& entry) {
  Json variants = Json::array();
  for (const KernelVariant& variant : entry.variants) {
    variants.push_back(
        {{"number", variant.number}, {"name", variant.name}, {"adds", variant.adds}});
  }
  Json device_variants = Json::array();
  for (const KernelVariant& variant : entry.device_variants) {
    device_variants.push_back(
        {{"number", variant.number}, {"name", variant.name}, {"adds", variant.adds}});
  }
  Json sizes = Json::array();
  for (const SizeParameter& parameter : entry.sized.parameters) {
    Json size = {{"name", parameter.name},
                 {"default", standard_text(parameter)},
                 {"meaning", parameter.meaning}};
    if (!parameter.choices.empty()) {
      size["choices"] = parameter.choices;
    }
    sizes.push_back(std::move(size));
  }
  Json cases = Json::array();
  for (const kernels::KernelCase& problem : entry.cases(cpu_context())) {
    cases.push_back(problem.name);
  }
  return {{"name", entry.name},
          {"summary", entry.summary},
          {"dtypes", dtype_names(entry)},
          {"variants", variants},
          {"cpu", exists_on(entry.cases(cpu_context()).front(), Device::cpu)},
          {"cuda", exists_on(entry.cases(cpu_context()).front(), Device::simt)},
          {"cuda_variants", device_variants},
          {"sizes", sizes},
          {"cases", cases},
          {"tolerance", {{"f32", entry.tolerance_f32}, {"f64", entry.tolerance_f64}}}};
}

void print_entry(const KernelEntry& entry, bool cases) {
  fmt::print("{}\n  {}\n", entry.name, entry.summary);
  for (const KernelVariant& variant : entry.variants) {
    fmt::print("  variant {} {}: {}\n", variant.number, variant.name, variant.adds);
  }
  if (exists_on(entry.cases(cpu_context()).front(), Device::simt)) {
    fmt::print("  exists for CUDA{}\n",
               exists_on(entry.cases(cpu_context()).front(), Device::cpu) ? "" : " only");
  }
  for (const KernelVariant& variant : entry.device_variants) {
    fmt::print("  CUDA variant {} {}: {}\n", variant.number, variant.name, variant.adds);
  }
  for (const SizeParameter& parameter : entry.sized.parameters) {
    fmt::print("  {}={}: {}\n", parameter.name, standard_text(parameter), meaning_text(parameter));
  }
  std::vector<std::string> names;
  for (const kernels::KernelCase& problem : entry.cases(cpu_context())) {
    names.push_back(problem.name);
  }
  if (cases) {
    fmt::print("  cases in {}: {}\n", fmt::join(dtype_names(entry), " and "),
               fmt::join(names, ", "));
  } else {
    fmt::print("  {} case{} in {}\n", names.size(), names.size() == 1 ? "" : "s",
               fmt::join(dtype_names(entry), " and "));
  }
}

}  // namespace

void list_command(const std::vector<std::string>& words) {
  const Options options(list_syntax(), words);
  if (options.has("help")) {
    fmt::print("{}", help_text(list_syntax()));
    return;
  }
  const std::vector<const KernelEntry*> entries = chosen_kernels(options.operands());
  Json all = Json::array();
  for (const KernelEntry* entry : entries) {
    if (options.has("json")) {
      all.push_back(entry_json(*entry));
    } else {
      // The names of cases are many; whoever names a kernel sees them.
      print_entry(*entry, !options.operands().empty());
    }
  }
  if (options.has("json")) {
    fmt::print("{}\n", all.dump(2));
  }
}

}  // namespace basin::profile_kernels
