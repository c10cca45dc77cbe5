#include <fmt/format.h>

#include <filesystem>

#include "tensor/error.h"
#include "tensor/io/association_group.h"
#include "tensor/io/hdf5.h"
#include "tools/profile_kernels/association_run.h"
#include "tools/profile_kernels/commands.h"
#include "tools/profile_kernels/selection.h"
#include "tools/report/text_file.h"
#include "tools/trainer/interrupt.h"
#include "tools/trainer/suggest.h"
#include "tools/trainer/usage_error.h"

namespace basin::profile_kernels {

namespace {

using trainer::wrong_usage;

Syntax run_syntax() {
  return {
      "profile_kernels run",
      "Runs a kernel on arrays from an HDF5 group and writes what it computes.\n"
      "KERNEL: attention, or kernel_attention (linear or random features).\n"
      "The group holds q (B,H,L,D), k (B,H,M,D), v (B,H,M,Dv) and for --backward dout\n"
      "(B,H,L,Dv); if wanted key_lengths (B), beta_per_head (H), alpha_per_head (H) and mask\n"
      "(B or 1,H or 1,L,M). Its attributes are 'mechanism' = softmax, sparsemax, entmax or\n"
      "polynomial, or 'features' = elu1, prf, relu, and if wanted beta, alpha, degree, causal,\n"
      "window_radius, dilation, global_tokens, top_k, top_k_fraction, normalise, random_keep,\n"
      "random_grain, random_key, update_steps, tolerance, eps. The output holds out, dq, dk, dv\n"
      "(dbeta, dalpha where they were given per head) and these attributes.",
      {{"input", "FILE:/GROUP", "where the arrays are"},
       {"output", "FILE", "the HDF5 file to write"},
       {"overwrite", "", "replace an output that exists"},
       {"backward", "", "gradients, too"},
       dtype_option("that of q"),
       {"variant", "N", "a number that 'list' shows, 0: the best one [0]"},
       device_option(),
       threads_option()},
      "KERNEL",
      "  profile_kernels run attention --input tests/golden/reference.h5:/attention/"
      "softmax_causal \\\n      --backward --output out.h5\n"};
}

struct Runnable {
  const char* name;
  bool linear;
};
constexpr Runnable kRunnable[] = {{"attention", false}, {"kernel_attention", true}};

const Runnable& chosen(const Options& options) {
  if (options.operands().size() != 1) {
    wrong_usage("'profile_kernels run' needs one kernel, attention or kernel_attention; got {}",
                options.operands().size());
  }
  std::vector<std::string> names;
  for (const Runnable& runnable : kRunnable) {
    if (options.operands().front() == runnable.name) {
      return runnable;
    }
    names.emplace_back(runnable.name);
  }
  wrong_usage("'run' knows no kernel '{}'{}", options.operands().front(),
              trainer::suggestion(options.operands().front(), names));
}

void check_output(const std::string& output, const std::string& input, bool overwrite) {
  std::error_code ignored;
  if (std::filesystem::equivalent(output, input, ignored)) {
    wrong_usage("--output: {} is the input", output);
  }
  if (!overwrite && std::filesystem::exists(output, ignored)) {
    fail("{} exists; --overwrite replaces it", output);
  }
  report::check_writable(output);
}

void write(const std::string& path, const Runnable& kernel, const AssociationArrays& arrays,
           const AssociationOutputs& outputs, int variant, Device device,
           const std::string& source) {
  // A key pressed now must not leave half a file.
  const trainer::Interrupt held;
  Hdf5Writer file(path);
  write_association_options(file, "/", arrays.options, arrays.q.shape()[3]);
  if (arrays.options.separation == Separation::linear) {
    file.set_number("/", "eps", arrays.eps);
  }
  if (arrays.options.random_keep < 1) {
    file.set_integer("/", "random_key", static_cast<std::int64_t>(arrays.random_key));
  }
  file.set_text("/", "kernel", kernel.name);
  file.set_integer("/", "variant", variant);
  file.set_text("/", "dtype", name_of(arrays.dtype));
  file.set_text("/", "device", name_of(device));
  file.set_text("/", "input", source);
  const bool per_head = arrays.options.learned_beta == LearnedBeta::head;
  const std::pair<const char*, Tensor> datasets[] = {
      {"out", outputs.out},
      {"dq", outputs.dq},
      {"dk", outputs.dk},
      {"dv", outputs.dv},
      {"dbeta", per_head ? outputs.dbeta : Tensor()},
      {"beta_per_head", per_head ? arrays.beta : Tensor()},
      {"dalpha", arrays.options.learned_alpha ? outputs.dalpha : Tensor()},
      {"projection", arrays.projection},
      {"alpha_per_head", arrays.options.learned_alpha ? arrays.alpha : Tensor()}};
  for (const auto& [name, tensor] : datasets) {
    if (tensor.defined()) {
      file.write(name, tensor);
    }
  }
  file.commit();
}

}  // namespace

void run_command(const std::vector<std::string>& words) {
  const Options options(run_syntax(), words);
  if (options.has("help")) {
    fmt::print("{}", help_text(run_syntax()));
    return;
  }
  const Runnable& kernel = chosen(options);
  const std::string& source = options.value("input");
  const std::string& output = options.value("output");
  const std::string dtype = options.has("dtype") ? options.value("dtype") : "";
  if (!dtype.empty()) {
    (void)chosen_dtypes(dtype, false);
  }
  const std::string number = options.value_or("variant", "0");
  if (number == "all") {
    wrong_usage("--variant: 'run' runs one variant; give its number");
  }
  const Device device = set_up_device(options);
  const bool backward = options.has("backward");
  const AssociationArrays arrays = read_association_arrays(source, dtype, backward);
  if (is_kernelised(arrays.options.separation) != kernel.linear) {
    fail("{} describes {} separation; that is for 'run {}'", source,
         name_of(arrays.options.separation), kRunnable[kernel.linear ? 0 : 1].name);
  }
  const KernelEntry& entry =
      *those_on(device, {arrays.dtype}, chosen_kernels({entry_for(arrays)}), true).front();
  const int variant = chosen_variants(entry, number, device).front();
  check_output(output, file_of(source), options.has("overwrite"));
  const AssociationOutputs outputs = run_association(arrays, variant, device);
  write(output, kernel, arrays, outputs, variant, device, source);
  fmt::print("{}: {} {}\n", output, kernel.name, describe(outputs.out));
}

}  // namespace basin::profile_kernels
