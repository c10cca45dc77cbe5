#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "autograd/product_precision.h"
#include "tensor/allocator.h"
#include "tensor/error.h"
#include "tensor/io/npy.h"
#include "tensor/rng.h"
#include "tools/profile_kernels/circumstances.h"
#include "tools/profile_kernels/commands.h"
#include "tools/profile_kernels/on_request.h"
#include "tools/profile_kernels/progress.h"
#include "tools/profile_kernels/repeated_calls.h"
#include "tools/profile_kernels/selection.h"
#include "tools/profile_kernels/timed_operations.h"
#include "tools/profile_kernels/training_step.h"
#include "tools/report/text_file.h"
#include "tools/trainer/suggest.h"
#include "tools/trainer/usage_error.h"

namespace basin::profile_kernels {

namespace {

using Json = nlohmann::ordered_json;
using trainer::wrong_usage;

constexpr const char* kOperationFormat = "basin profile_kernels operation";

Syntax operation_syntax() {
  std::string names;
  for (const TimedOperation& operation : timed_operations()) {
    std::string sizes;
    for (const kernels::SizeParameter& size : operation.parameters) {
      sizes += fmt::format("{}{}={}", sizes.empty() ? "" : ",", size.name, size.standard);
    }
    names += fmt::format("  {:<21} {} [{}]\n", operation.name, operation.summary, sizes);
  }
  return {
      "profile_kernels operation",
      "Measures a differentiable operation on f32 as a model calls it, with memory from the\n"
      "allocator: the forward pass without a graph, or forward and backward pass together. The\n"
      "operations with their sizes:\n" +
          names,
      {{"shape", "NAME=VALUE,...", "sizes of the problem"},
       {"backward", "", "forward and backward pass, with gradients of all inputs"},
       precision_option(),
       {"rounds", "N", "samples, at least 2 [15]"},
       {"min-time", "MS", "length of a sample in milliseconds, at least [20]"},
       on_request_option(),
       {"arrays", "FOLDER", "write inputs, output and gradients as .npy"},
       device_option(),
       threads_option(),
       {"json", "FILE", "write everything"}},
      "NAME",
      "  profile_kernels operation attention --shape B=1,H=4,L=2048,D=64,causal=1 --backward\n"};
}

const TimedOperation& chosen_operation(const Options& options) {
  if (options.operands().size() != 1) {
    wrong_usage("operation needs one name; 'profile_kernels operation --help' lists them");
  }
  const std::string& name = options.operands().front();
  std::vector<std::string> names;
  for (const TimedOperation& operation : timed_operations()) {
    if (operation.name == name) {
      return operation;
    }
    names.push_back(operation.name);
  }
  wrong_usage("there is no operation '{}'{}", name, trainer::suggestion(name, names));
}

bool same_bytes(const Tensor& a, const Tensor& b) {
  const Tensor x = a.to(Device::cpu).contiguous();
  const Tensor y = b.to(Device::cpu).contiguous();
  const std::size_t bytes = static_cast<std::size_t>(x.numel()) * size_of(x.dtype());
  return x.dtype() == y.dtype() && std::memcmp(x.raw(), y.raw(), bytes) == 0;
}

// An operation called again and again on the same inputs.
class Calls {
 public:
  Calls(OperationProblem problem, bool backward, Precision precision, Device device)
      : problem_(std::move(problem)), backward_(backward), precision_(precision) {
    problem_.to(device);
    const NoGrad no_grad;
    const Tensor out = forward().value();
    if (precision_ != Precision::f32) {
      refuse_without_effect(out);
    }
    seed_ = Rng(2).normal(out.shape(), 1.0, out.dtype()).to(device);
  }

  void once() {
    if (!backward_) {
      const NoGrad no_grad;
      (void)forward();
      return;
    }
    clear();
    forward().backward(seed_);
  }

  void write_arrays(const std::string& folder) {
    make_folder(folder);
    const auto write = [&](const std::string& name, const Tensor& tensor) {
      write_npy(folder + "/" + name + ".npy", tensor);
    };
    for (const auto& [name, ids] : problem_.ids) {
      write(name, ids);
    }
    for (const auto& [name, input] : problem_.inputs) {
      write(name, input.value());
    }
    clear();
    const Variable out = forward();
    write("out", out.value());
    if (backward_) {
      out.backward(seed_);
      write("dout", seed_);
      for (const auto& [name, input] : problem_.inputs) {
        write("d" + name, input.grad());
      }
    }
  }

 private:
  void clear() {
    for (auto& [name, input] : problem_.inputs) {
      input.clear_grad();
    }
  }

  Variable forward() const {
    const ProductPrecision scope(precision_);
    return problem_.forward();
  }

  // Tried and not looked up: which operation multiplies in which precision on which device is known
  // where it does.
  void refuse_without_effect(const Tensor& out) const {
    const ProductPrecision scope(Precision::f32);
    if (same_bytes(problem_.forward().value(), out)) {
      wrong_usage("--precision {}: nothing in this operation is multiplied in it",
                  name_of(precision_));
    }
  }

  OperationProblem problem_;
  bool backward_;
  Precision precision_;
  Tensor seed_;
};

Json memory_json(Device device) {
  return {{"peak_allocated_bytes", allocator_of(device)->stats().peak},
          {"peak_resident_bytes", origin::peak_resident_bytes()}};
}

}  // namespace

void operation_command(const std::vector<std::string>& words) {
  const Options options(operation_syntax(), words);
  if (options.has("help")) {
    fmt::print("{}", help_text(operation_syntax()));
    return;
  }
  const TimedOperation& operation = chosen_operation(options);
  const kernels::Sizes sizes =
      chosen_sizes(operation.name, operation.parameters, options.value_or("shape", ""));
  const std::int64_t rounds = options.number_or("rounds", 15, 2, 100000);
  const double min_seconds = options.real_or("min-time", 20, 0.001, 1e6) / 1e3;
  const bool backward = options.has("backward");
  const Precision precision = chosen_precision(options);
  for (const char* option : {"rounds", "json"}) {
    if (options.has("on-request") && options.has(option)) {
      wrong_usage("--on-request and --{} do not go together: who asks decides", option);
    }
  }
  const Device device = set_up_device(options);
  if (options.has("json")) {
    report::check_writable(options.value("json"));
  }
  Calls calls(operation.make(sizes), backward, precision, device);
  if (options.has("arrays")) {
    calls.write_arrays(options.value("arrays"));
  }
  RepeatedCalls repeated([&] { calls.once(); }, min_seconds, device);
  Json document = head_json(kOperationFormat, 1, results_of_now(device));
  document["operation"] = operation.name;
  document["sizes"] = kernels::sizes_text(operation.parameters, sizes);
  document["backward"] = backward;
  document["precision"] = name_of(precision);
  document["calls_per_sample"] = repeated.calls();
  allocator_of(device)->reset_peak();
  if (options.has("on-request")) {
    answer_requests(document, [&] {
      Json answer = {{"seconds", repeated.seconds_per_call()}};
      answer.update(memory_json(device));
      return answer;
    });
    return;
  }
  std::vector<double> seconds;
  {
    Progress progress;
    for (std::int64_t n = 0; n < rounds; ++n) {
      progress.tell(fmt::format("{}: round {} of {}", operation.name, n + 1, rounds));
      seconds.push_back(repeated.seconds_per_call());
    }
  }
  const Spread spread = spread_of(seconds);
  document["seconds"] = spread_json(spread);
  document.update(memory_json(device));
  fmt::print(
      "{} {}, {}{}; {} with {} thread{}, kernels for {}\n"
      "{:.4g} ms (p10 {:.4g}, p90 {:.4g}); allocated {:.4g} MB, resident {:.4g} MB\n",
      operation.name, document["sizes"].get<std::string>(),
      backward ? "forward and backward" : "forward",
      precision == Precision::f32 ? "" : fmt::format(", products in {}", name_of(precision)),
      name_of(device), document["threads"].get<int>(), document["threads"] == 1 ? "" : "s",
      document["isa"].get<std::string>(), 1e3 * spread.median, 1e3 * spread.p10, 1e3 * spread.p90,
      document["peak_allocated_bytes"].get<double>() / 1e6,
      document["peak_resident_bytes"].get<double>() / 1e6);
  if (options.has("json")) {
    report::write_text(options.value("json"), document.dump(2) + "\n");
  }
}

}  // namespace basin::profile_kernels
