#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "autograd/profiler.h"
#include "tensor/allocator.h"
#include "tensor/error.h"
#include "tools/profile_kernels/circumstances.h"
#include "tools/profile_kernels/commands.h"
#include "tools/profile_kernels/on_request.h"
#include "tools/profile_kernels/progress.h"
#include "tools/profile_kernels/selection.h"
#include "tools/profile_kernels/training_step.h"
#include "tools/report/table.h"
#include "tools/report/text_file.h"
#include "tools/trainer/usage_error.h"
#include "tools/trainer/values.h"

namespace basin::profile_kernels {

namespace {

using Json = nlohmann::ordered_json;
using Align = report::Table::Align;
using trainer::wrong_usage;

constexpr const char* kStepFormat = "basin profile_kernels step";
constexpr std::int64_t kMost = std::int64_t{1} << 40;

std::vector<std::string> backbone_names() {
  std::vector<std::string> names;
  for (const nn::BackboneKind& kind : nn::backbone_kinds()) {
    names.push_back(kind.name);
  }
  return names;
}

Syntax step_syntax() {
  return {
      "profile_kernels step",
      "Measures whole training steps of a language model on random tokens: forward pass, loss,\n"
      "backward pass, clipping, AdamW. One step before the first round warms caches up; on a "
      "device\n"
      "three do, in which the step becomes a graph. 'allocated' is the most that tensors held at\n"
      "once, 'resident' the most the process ever held. On a device 'kernels' are those of a "
      "step,\n"
      "'starts' how often the program had to start something for them.",
      {{"backbone", "NAME",
        fmt::format("{}, or all [attention]", fmt::join(backbone_names(), ", "))},
       {"layers", "N", "blocks [2]"},
       {"width", "N", "width of the states [256]"},
       {"heads", "N", "heads of the association kinds [4]"},
       {"batch", "N", "sequences [4]"},
       {"length", "N", "tokens of a sequence [1024]"},
       {"vocabulary", "N", "different tokens [50257]"},
       precision_option(),
       {"rounds", "N", "steps that are timed, at least 2 [5]"},
       {"step-graph", "MODE",
        "auto: on a device a step is one graph where it can be; on, or it is an error; off [auto]"},
       {"operations", "", "tell what the operations of one more step took"},
       on_request_option(),
       {"arrays", "FOLDER",
        "write initial weights, buffers, tokens and targets as .npy (one backbone)"},
       device_option(),
       threads_option(),
       {"json", "FILE", "write everything"}},
      "",
      "  profile_kernels step --backbone all --length 2048 --threads 1\n"
      "  profile_kernels step --backbone rnn --operations --json step.json\n"};
}

struct StepPlan {
  Device device = Device::cpu;
  std::vector<std::string> kinds;
  nn::BackboneOptions backbone;
  std::int64_t batch = 0, rounds = 0;
  bool operations = false;
  tasks::StepGraph graph = tasks::StepGraph::automatic;

  std::string sizes() const {
    return fmt::format("layers={} width={} heads={} batch={} length={} vocabulary={}{}",
                       backbone.layers, backbone.width, backbone.heads, batch, backbone.max_length,
                       backbone.vocabulary,
                       backbone.precision == Precision::f32
                           ? ""
                           : fmt::format(" precision={}", name_of(backbone.precision)));
  }
};

StepPlan plan_of(const Options& options) {
  StepPlan plan;
  std::vector<std::string> names = backbone_names();
  plan.kinds = names;
  names.emplace_back("all");
  const std::size_t chosen =
      trainer::read_choice(options.value_or("backbone", "attention"), names, "--backbone");
  if (chosen < plan.kinds.size()) {
    plan.kinds = {names[chosen]};
  }
  plan.backbone.layers = options.number_or("layers", 2, 1, 10000);
  plan.backbone.width = options.number_or("width", 256, 1, kMost);
  plan.backbone.heads = options.number_or("heads", 4, 1, kMost);
  plan.backbone.max_length = options.number_or("length", 1024, 1, kMost);
  plan.backbone.vocabulary = options.number_or("vocabulary", 50257, 1, kMost);
  plan.backbone.precision = chosen_precision(options);
  plan.batch = options.number_or("batch", 4, 1, kMost);
  plan.rounds = options.number_or("rounds", 5, 2, 100000);
  plan.operations = options.has("operations");
  for (const char* option : {"on-request", "arrays"}) {
    if (options.has(option) && plan.kinds.size() > 1) {
      wrong_usage("--{} is for one backbone, not for all", option);
    }
  }
  for (const char* option : {"rounds", "operations", "json"}) {
    if (options.has("on-request") && options.has(option)) {
      wrong_usage("--on-request and --{} do not go together: who asks decides", option);
    }
  }
  plan.device = set_up_device(options);
  using tasks::StepGraph;
  constexpr StepGraph kGraphs[] = {StepGraph::automatic, StepGraph::on, StepGraph::off};
  plan.graph = kGraphs[trainer::read_choice(options.value_or("step-graph", "auto"),
                                            {"auto", "on", "off"}, "--step-graph")];
  if (plan.graph == StepGraph::on && plan.device == Device::cpu) {
    wrong_usage("--step-graph on is for the devices cuda and simt; the CPU has no graphs");
  }
  return plan;
}

// Calls and seconds of one step by operation and phase, longest first.
Json operations_json(const Profiler& profiler) {
  std::map<std::pair<std::string, std::string>, std::pair<std::int64_t, double>> sums;
  for (const ProfileEvent& event : profiler.events()) {
    auto& [calls, seconds] = sums[{event.name, name_of(event.phase)}];
    ++calls;
    seconds += event.duration;
  }
  Json rows = Json::array();
  for (const auto& [key, sum] : sums) {
    rows.push_back({{"operation", key.first},
                    {"phase", key.second},
                    {"calls", sum.first},
                    {"seconds", sum.second}});
  }
  std::sort(rows.begin(), rows.end(), [](const Json& a, const Json& b) {
    return a["seconds"].get<double>() > b["seconds"].get<double>();
  });
  return rows;
}

// One backbone, warmed up.
class Contestant {
 public:
  Contestant(const StepPlan& plan, const std::string& kind, const std::string& arrays)
      : kind_(kind), plan_(plan) {
    allocator_of(plan.device)->release_cache();
    nn::BackboneOptions backbone = plan.backbone;
    backbone.kind = kind;
    step_.emplace(backbone, plan.batch, plan.device, plan.graph);
    if (!arrays.empty()) {
      step_->write_arrays(arrays);
    }
    (void)step_->run();
    losses_ = {step_->loss()};
    for (std::int64_t n = 1; n < step_->warm_up_steps(); ++n) {
      (void)step_->run();
      losses_.push_back(step_->loss());
    }
    allocator_of(plan.device)->reset_peak();
  }

  Json description() const {
    Json result = {{"backbone", kind_},
                   {"sizes", plan_.sizes()},
                   {"parameters", step_->parameter_count()},
                   {"first_loss", losses_.front()}};
    if (losses_.size() > 1) {
      result["second_loss"] = losses_[1];  // otherwise it is that of the first round
    }
    return result;
  }

  Json round() {
    const double seconds = step_->run();
    return {{"seconds", seconds},
            {"loss", step_->loss()},
            {"kernels", step_->kernels()},
            {"starts", step_->starts()},
            {"run_as", step_->how()},
            {"peak_allocated_bytes", allocator_of(plan_.device)->stats().peak},
            {"peak_resident_bytes", origin::peak_resident_bytes()}};
  }

  /// All rounds as a row of the document, and the table of operations if it is wanted.
  std::pair<Json, std::string> row(Progress& progress) {
    std::vector<double> seconds;
    std::vector<double> selves;
    Json last;
    for (std::int64_t n = 0; n < plan_.rounds; ++n) {
      progress.tell(fmt::format("{}: round {} of {}", kind_, n + 1, plan_.rounds));
      last = round();
      seconds.push_back(last["seconds"]);
      if (n > 0) {
        selves.push_back(seconds[seconds.size() - 1] / seconds[seconds.size() - 2]);
      }
    }
    Json row = description();
    row["last_loss"] = last["loss"];
    for (const char* name : {"kernels", "starts", "run_as"}) {
      row[name] = last[name];
    }
    row["seconds"] = spread_json(spread_of(seconds));
    row["self_ratio"] = spread_json(spread_of(selves));
    row["peak_allocated_bytes"] = last["peak_allocated_bytes"];
    row["peak_resident_bytes"] = last["peak_resident_bytes"];
    std::string operations;
    if (plan_.operations) {
      const Profiler profiler;
      (void)step_->run();
      row["operations"] = operations_json(profiler);
      operations = profiler.table();
    }
    return {row, operations};
  }

 private:
  std::string kind_;
  const StepPlan& plan_;
  std::optional<TrainingStep> step_;
  std::vector<double> losses_;  // of the steps that warmed up
};

report::Table table_of(const Json& rows, std::int64_t tokens) {
  report::Table table({{"backbone"},
                       {"parameters", Align::right},
                       {"ms", Align::right},
                       {"p10", Align::right},
                       {"p90", Align::right},
                       {"tokens/s", Align::right},
                       {"allocated MB", Align::right},
                       {"resident MB", Align::right},
                       {"kernels", Align::right},
                       {"starts", Align::right},
                       {"first loss", Align::right}});
  for (const Json& row : rows) {
    const auto ms = [&](const char* which) {
      return fmt::format("{:.4g}", 1e3 * row["seconds"][which].get<double>());
    };
    // The CPU's kernels are function calls, which nobody counts.
    const auto count = [&](const char* which) {
      const auto number = row[which].get<std::int64_t>();
      return number == 0 ? std::string("-") : fmt::format("{}", number);
    };
    const auto mega = [&](const char* which) {
      return fmt::format("{:.0f}", row[which].get<double>() / 1e6);
    };
    table.add({row["backbone"].get<std::string>(),
               fmt::format("{}", row["parameters"].get<std::int64_t>()), ms("median"), ms("p10"),
               ms("p90"),
               fmt::format("{:.0f}",
                           static_cast<double>(tokens) / row["seconds"]["median"].get<double>()),
               mega("peak_allocated_bytes"), mega("peak_resident_bytes"), count("kernels"),
               count("starts"), fmt::format("{:.4f}", row["first_loss"].get<double>())});
  }
  return table;
}

}  // namespace

void step_command(const std::vector<std::string>& words) {
  const Options options(step_syntax(), words);
  if (options.has("help")) {
    fmt::print("{}", help_text(step_syntax()));
    return;
  }
  const StepPlan plan = plan_of(options);
  const std::string arrays = options.value_or("arrays", "");
  Json document = head_json(kStepFormat, 1, results_of_now(plan.device));
  if (options.has("on-request")) {
    Contestant contestant(plan, plan.kinds.front(), arrays);
    document.update(contestant.description());
    answer_requests(document, [&] { return contestant.round(); });
    return;
  }
  if (options.has("json")) {
    report::check_writable(options.value("json"));
  }
  document["rounds"] = plan.rounds;
  document["rows"] = Json::array();
  std::string operations;
  {
    Progress progress;
    for (const std::string& kind : plan.kinds) {
      progress.tell(fmt::format("{}: first step", kind));
      const auto [row, text] = Contestant(plan, kind, arrays).row(progress);
      document["rows"].push_back(row);
      operations += plan.operations ? fmt::format("\n{}, one step\n{}", kind, text) : "";
    }
  }
  const Json& build = document["build"];
  fmt::print(
      "{}, {} cores; {} with {} thread{}, kernels for {}; basin {} {}\n{}; {} rounds\n\n{}{}",
      document["machine"]["processor"].get<std::string>(), document["machine"]["cores"].get<int>(),
      name_of(plan.device), document["threads"].get<int>(), document["threads"] == 1 ? "" : "s",
      document["isa"].get<std::string>(), build["version"].get<std::string>(),
      build["commit"].get<std::string>(), plan.sizes(), plan.rounds,
      table_of(document["rows"], plan.batch * plan.backbone.max_length).text(), operations);
  if (options.has("json")) {
    report::write_text(options.value("json"), document.dump(2) + "\n");
  }
}

}  // namespace basin::profile_kernels
