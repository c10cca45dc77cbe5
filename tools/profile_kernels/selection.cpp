#include "tools/profile_kernels/selection.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "tensor/device.h"
#include "tensor/error.h"
#include "tools/profile_kernels/case_on_device.h"
#include "tools/trainer/suggest.h"
#include "tools/trainer/usage_error.h"
#include "tools/trainer/values.h"

namespace basin::profile_kernels {

using kernels::KernelVariant;
using kernels::SizeParameter;
using trainer::wrong_usage;

Option variant_option(const std::string& standard) {
  return {"variant", "N", "a number that 'list' shows, 0: the best one, or all [" + standard + "]"};
}

Option dtype_option(const std::string& standard) {
  return {"dtype", "NAME", "f32, f64 or bf16, where the kernel has it [" + standard + "]"};
}

Option device_option() {
  return {"device", "NAME",
          "cpu, cuda, simt (the CUDA kernels on the CPU) or auto: cuda if a GPU works [cpu]"};
}

Option threads_option() {
  return {"threads", "N", "[the cores this process may use, or BASIN_THREADS]"};
}

Option precision_option() { return {"precision", "NAME", "of products: f32, tf32 or bf16 [f32]"}; }

Precision chosen_precision(const Options& options) {
  constexpr Precision kAll[] = {Precision::f32, Precision::tf32, Precision::bf16};
  return kAll[trainer::read_choice(options.value_or("precision", "f32"), {"f32", "tf32", "bf16"},
                                   "--precision")];
}

std::vector<const KernelEntry*> chosen_kernels(const std::vector<std::string>& names) {
  std::vector<const KernelEntry*> chosen;
  if (names.empty()) {
    for (const KernelEntry& entry : kernels::kernel_table()) {
      chosen.push_back(&entry);
    }
    return chosen;
  }
  for (const std::string& name : names) {
    const auto& table = kernels::kernel_table();
    const auto found = std::find_if(table.begin(), table.end(),
                                    [&](const KernelEntry& entry) { return entry.name == name; });
    if (found == table.end()) {
      std::vector<std::string> known;
      for (const KernelEntry& entry : table) {
        known.push_back(entry.name);
      }
      wrong_usage("there is no kernel '{}'{}", name, trainer::suggestion(name, known));
    }
    if (std::find(chosen.begin(), chosen.end(), &*found) != chosen.end()) {
      wrong_usage("the kernel '{}' is named twice", name);
    }
    chosen.push_back(&*found);
  }
  return chosen;
}

const std::vector<KernelVariant>& variants_on(const KernelEntry& entry, Device device) {
  return device == Device::cpu ? entry.variants : entry.device_variants;
}

std::vector<int> chosen_variants(const KernelEntry& entry, const std::string& text, Device device) {
  std::vector<int> all = {0};
  for (const KernelVariant& variant : variants_on(entry, device)) {
    all.push_back(variant.number);
  }
  if (text == "all") {
    return all;
  }
  const std::int64_t number = trainer::read_whole(text, 0, 1000, "--variant");
  if (std::find(all.begin(), all.end(), number) == all.end()) {
    wrong_usage("--variant: '{}' has the variants {} on {}, not {}", entry.name,
                fmt::join(all, ", "), name_of(device), number);
  }
  return {static_cast<int>(number)};
}

std::string variant_name(const KernelEntry& entry, int variant, Device device) {
  for (const KernelVariant& known : variants_on(entry, device)) {
    if (known.number == variant) {
      return known.name;
    }
  }
  return "best";
}

std::vector<DType> chosen_dtypes(const std::string& text, bool several) {
  const std::vector<DType> all = {DType::f32, DType::f64, DType::bf16};
  std::vector<std::string> names;
  for (const DType dtype : all) {
    names.emplace_back(name_of(dtype));
  }
  if (several) {
    names.emplace_back("all");
  }
  const std::size_t chosen = trainer::read_choice(text, names, "--dtype");
  return chosen == all.size() ? all : std::vector<DType>{all[chosen]};
}

std::vector<DType> dtypes_of(const KernelEntry& entry) {
  std::vector<DType> found;
  for (const kernels::KernelCase& problem : entry.cases(cpu_context())) {
    for (const DType dtype : problem.dtypes) {
      if (std::find(found.begin(), found.end(), dtype) == found.end()) {
        found.push_back(dtype);
      }
    }
  }
  return found;
}

Device set_up_device(const Options& options) {
  const std::string name = options.value_or("device", "cpu");
  Device device = Device::cpu;
  if (name == "auto") {
    device = best_device();
  } else if (!parse(name, device)) {
    wrong_usage("--device: there is no device '{}'; there are auto, cpu, cuda and simt", name);
  }
  if (options.has("threads")) {
    set_threads(static_cast<int>(options.number_or("threads", 1, 1, 1024)));
  }
  require(device);
  return device;
}

std::vector<const KernelEntry*> those_on(Device device, const std::vector<DType>& dtypes,
                                         std::vector<const KernelEntry*> entries, bool named) {
  const auto on_device = [&](const KernelEntry* entry) {
    return exists_on(entry->cases(cpu_context()).front(), device);
  };
  const auto in_dtype = [&](const KernelEntry* entry) {
    const std::vector<DType> existing = dtypes_of(*entry);
    return std::find_first_of(existing.begin(), existing.end(), dtypes.begin(), dtypes.end()) !=
           existing.end();
  };
  if (named) {
    for (const KernelEntry* entry : entries) {
      if (!on_device(entry)) {
        fail("the kernel '{}' exists for {} only, not for {}", entry->name,
             device == Device::cpu ? "GPUs (--device cuda or simt)" : "the CPU", name_of(device));
      }
      if (!in_dtype(entry)) {
        std::vector<std::string> names;
        for (const DType dtype : dtypes_of(*entry)) {
          names.emplace_back(name_of(dtype));
        }
        fail("the kernel '{}' exists in {}, not in {}", entry->name, fmt::join(names, " and "),
             name_of(dtypes.front()));
      }
    }
    return entries;
  }
  std::erase_if(entries,
                [&](const KernelEntry* entry) { return !on_device(entry) || !in_dtype(entry); });
  return entries;
}

namespace {

std::int64_t read_size(const SizeParameter& parameter, const std::string& text) {
  const std::string origin = "--shape: " + parameter.name;
  if (!parameter.choices.empty()) {
    return static_cast<std::int64_t>(trainer::read_choice(text, parameter.choices, origin));
  }
  return trainer::read_whole(text, parameter.least, std::int64_t{1} << 40, origin);
}

}  // namespace

Sizes chosen_sizes(const std::string& name, const std::vector<SizeParameter>& parameters,
                   const std::string& shape) {
  Sizes sizes = kernels::standard_sizes(parameters);
  std::vector<std::string> given;
  for (std::size_t begin = 0; begin < shape.size();) {
    const std::size_t end = std::min(shape.find(',', begin), shape.size());
    const std::string pair = shape.substr(begin, end - begin);
    const std::size_t equals = pair.find('=');
    if (equals == std::string::npos) {
      wrong_usage("--shape must be name=value,name=value; got '{}'", shape);
    }
    const std::string size = pair.substr(0, equals);
    std::vector<std::string> names;
    const SizeParameter* found = nullptr;
    for (const SizeParameter& parameter : parameters) {
      names.push_back(parameter.name);
      found = parameter.name == size ? &parameter : found;
    }
    if (found == nullptr) {
      wrong_usage("--shape: '{}' has no size '{}'; it has {}", name, size, fmt::join(names, ", "));
    }
    if (std::find(given.begin(), given.end(), size) != given.end()) {
      wrong_usage("--shape: {} is given more than once", size);
    }
    given.push_back(size);
    sizes[size] = read_size(*found, pair.substr(equals + 1));
    begin = end + 1;
  }
  return sizes;
}

}  // namespace basin::profile_kernels
