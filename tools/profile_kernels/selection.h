// What a command works on: kernels, variants, dtypes, sizes, and the device with its threads.
#pragma once

#include <string>
#include <vector>

#include "kernels/common/precision.h"
#include "kernels/table/kernel_table.h"
#include "tensor/device.h"
#include "tools/command_line/options.h"

namespace basin::profile_kernels {

using command_line::Option;
using command_line::Options;
using command_line::Syntax;
using kernels::KernelEntry;
using kernels::Sizes;

/// The options that several commands share.
Option variant_option(const std::string& standard);
Option dtype_option(const std::string& standard);
Option device_option();
Option threads_option();
Option precision_option();

/// --precision. Throws UsageError for another word.
Precision chosen_precision(const Options& options);

/// The named kernels in this order, or all. Throws UsageError for a name that is not in the table
/// or comes twice.
std::vector<const KernelEntry*> chosen_kernels(const std::vector<std::string>& names);

/// What a kernel has on a device besides variant 0: CUDA kernels have variants of their own.
const std::vector<kernels::KernelVariant>& variants_on(const KernelEntry& entry, Device device);

/// --variant: a number (0 is the best), or "all": 0 does not come then where a listed variant is it
/// by definition of the table, so 0 and every listed number. Throws UsageError if a kernel lacks
/// it.
std::vector<int> chosen_variants(const KernelEntry& entry, const std::string& text, Device device);

/// "best", or the name of a listed variant.
std::string variant_name(const KernelEntry& entry, int variant, Device device);

/// --dtype: f32, f64, bf16 or, where `several` is set, all.
std::vector<DType> chosen_dtypes(const std::string& text, bool several);

/// The dtypes in which some case of a kernel exists.
std::vector<DType> dtypes_of(const KernelEntry& entry);

/// --device (auto: the GPU if one works) and --threads, for which the pool is set up. Throws
/// UsageError for a device that does not exist and Error for one that cannot be used.
Device set_up_device(const Options& options);

/// The kernels that exist on the device in one of the dtypes. Throws Error if one that was named
/// does not.
std::vector<const KernelEntry*> those_on(Device device, const std::vector<DType>& dtypes,
                                         std::vector<const KernelEntry*> entries, bool named);

/// The standard sizes with those of --shape "name=value,name=value". Throws UsageError for names
/// and values that the kernel (or operation) does not have.
Sizes chosen_sizes(const std::string& name, const std::vector<kernels::SizeParameter>& parameters,
                   const std::string& shape);
inline Sizes chosen_sizes(const KernelEntry& entry, const std::string& shape) {
  return chosen_sizes(entry.name, entry.sized.parameters, shape);
}

}  // namespace basin::profile_kernels
