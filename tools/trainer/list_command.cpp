#include <fmt/ranges.h>

#include <fstream>

#include "kernels/cuda/libraries.h"
#include "nn/backbone.h"
#include "nn/mechanisms.h"
#include "tasks/experiments/experiment.h"
#include "tasks/task.h"
#include "tasks/tokenizers/tokenizer.h"
#include "tensor/device.h"
#include "tools/trainer/arguments.h"
#include "tools/trainer/commands.h"
#include "tools/trainer/usage_error.h"
#include "tools/trainer/values.h"

namespace basin::trainer {

namespace {

const Syntax kListSyntax = {
    "list",
    "Shows the tasks, the backbones, the mechanisms of retrieval, the tokenizers,\n"
    "the devices and the experiments, or one of these. TOPIC: tasks, backbones,\n"
    "mechanisms, tokenizers, devices or experiments.",
    "[TOPIC]",
    {},
    false};

void list_tasks() {
  fmt::print("Tasks (--task)\n");
  for (const tasks::TaskKind& kind : tasks::task_kinds()) {
    fmt::print("  {:<23} {}\n", kind.name, kind.description);
  }
}

void list_backbones() {
  fmt::print("Backbones (--backbone), L: the length\n");
  for (const nn::BackboneKind& kind : nn::backbone_kinds()) {
    fmt::print("  {:<23} {}\n", kind.name, kind.description);
  }
}

void list_mechanisms() {
  fmt::print("Mechanisms of retrieval; L queries, M keys, D their width, per head\n");
  for (const nn::Mechanism& mechanism : nn::mechanisms()) {
    fmt::print("  {:<13} {}\n", mechanism.name, mechanism.how);
    fmt::print("  {:<13} {}\n", "", mechanism.what);
    fmt::print("  {:<13} {}\n", "", mechanism.cost);
  }
}

void list_tokenizers() {
  fmt::print("Tokenizers (--tokenizer, of the task 'text'), or a folder with the files of one\n");
  for (const tasks::TokenizerKind& kind : tasks::tokenizer_kinds()) {
    const std::string files =
        kind.files.empty() ? "" : fmt::format(" (files: {})", fmt::join(kind.files, ", "));
    fmt::print("  {:<23} {}{}\n", kind.name, kind.description, files);
  }
}

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (line.compare(0, 10, "model name") == 0 && colon != std::string::npos) {
      return fmt::format(", {}", line.substr(colon + 2));
    }
  }
  return "";
}

void list_devices() {
  fmt::print("Devices\n");
  for (const Device device : {Device::cpu, Device::cuda, Device::simt}) {
    const std::string problem = why_unavailable(device);
    fmt::print("  {:<23} {}{}\n", name_of(device),
               problem.empty() ? describe_device(device) : "not available: " + problem,
               device == Device::cpu ? processor_name() : "");
  }
  if constexpr (kernels::kCudaBuilt) {
    fmt::print("\nLibraries of the device cuda, opened when they are needed\n");
    for (const kernels::CudaLibrary& library : kernels::cuda_libraries()) {
      fmt::print("  {:<23} {}\n", library.name,
                 library.problem.empty()
                     ? fmt::format("{}, {}, for {}", library.version, library.path, library.purpose)
                     : fmt::format("not available for {}: {}", library.purpose, library.problem));
    }
  }
}

void list_experiments() {
  fmt::print("Experiments (trainer reproduce)\n");
  for (const experiments::Experiment& experiment : experiments::experiments()) {
    fmt::print("  {:<23} {}\n", experiment.name, experiment.question);
    fmt::print("  {:<23} after: {}{}\n", "", experiment.source,
               experiment.data.empty() ? "" : "; needs data: " + experiment.data);
  }
}

}  // namespace

void list_command(const std::vector<std::string>& words) {
  const Arguments arguments(kListSyntax, words);
  if (arguments.has("help")) {
    fmt::print("{}", help_text(kListSyntax));
    return;
  }
  void (*const topics[])() = {list_tasks,      list_backbones, list_mechanisms,
                              list_tokenizers, list_devices,   list_experiments};
  const std::vector<std::string> names = {"tasks",      "backbones", "mechanisms",
                                          "tokenizers", "devices",   "experiments"};
  if (arguments.operands().size() > 1) {
    wrong_usage("'list' takes one topic, not {}", arguments.operands().size());
  }
  if (!arguments.operands().empty()) {
    topics[read_choice(arguments.operands().front(), names, "the topic")]();
    return;
  }
  for (std::size_t n = 0; n < names.size(); ++n) {
    fmt::print("{}", n == 0 ? "" : "\n");
    topics[n]();
  }
}

}  // namespace basin::trainer
