#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "tensor/device.h"
#include "tensor/error.h"
#include "tools/profile_kernels/circumstances.h"
#include "tools/profile_kernels/commands.h"
#include "tools/profile_kernels/comparison.h"
#include "tools/profile_kernels/correctness.h"
#include "tools/profile_kernels/device_ceilings.h"
#include "tools/profile_kernels/ladder.h"
#include "tools/profile_kernels/measurement.h"
#include "tools/profile_kernels/on_request.h"
#include "tools/profile_kernels/progress.h"
#include "tools/profile_kernels/repeated_calls.h"
#include "tools/profile_kernels/results.h"
#include "tools/profile_kernels/selection.h"
#include "tools/report/table.h"
#include "tools/report/text_file.h"
#include "tools/trainer/usage_error.h"
#include "tools/trainer/values.h"

namespace basin::profile_kernels {

namespace {

using kernels::KernelCase;
using trainer::wrong_usage;

// Up to here the reference of the timed problem itself is computed: a fraction of a second.
constexpr double kAffordableWork = 1e8;
// More add nothing to the best of them.
constexpr std::int64_t kCeilingRounds = 15;

Syntax time_syntax() {
  return {
      "profile_kernels time",
      "Measures how long kernels take. Each is first compared with its reference: on the same\n"
      "problem, or a smaller one where the reference would take long. Then all variants are run "
      "in\n"
      "turn, round by round; medians and the spread from the 10th to the 90th percentile are "
      "told.\n"
      "'% of ceiling' is the time that the useful work needs at least, by what this machine was\n"
      "measured to do (multiply-adds in registers, exponentials in the first-level cache, memcpy\n"
      "beyond the last-level cache; the slowest of the three counts), over the time it took. "
      "Small\n"
      "problems whose arrays stay in a cache can be above 100.",
      {{"shape", "NAME=VALUE,...", "sizes of the problem; 'list' shows names and defaults"},
       variant_option("0"),
       dtype_option("f32"),
       ladder_option("and how much each rung brings; on simt what it moves"),
       {"rounds", "N", "samples of each variant, at least 3 [15]"},
       {"min-time", "MS", "length of a sample in milliseconds, at least [20]"},
       {"no-ceilings", "", "do not measure what the machine can do; '% of ceiling' stays empty"},
       {"cold", "", "use several copies of the arrays in turn, more than the caches hold"},
       device_option(),
       threads_option(),
       {"json", "FILE", "write everything for 'compare'"},
       {"csv", "FILE", "write the rows for spreadsheets"},
       {"markdown", "FILE", "write what is printed, as Markdown"},
       {"compare", "FILE", "compare with a JSON file of before"},
       on_request_option()},
      "[KERNEL...]",
      "  profile_kernels time gemm --variant all --shape m=512,n=512,k=512\n"
      "  profile_kernels time attention_forward --shape B=1,H=4,L=2048,D=64,causal=1 --threads 1\n"
      "  profile_kernels time attention --ladder --shape B=1,H=4,L=1024,D=64\n"
      "  profile_kernels time --json before.json\n"
      "  profile_kernels time --compare before.json\n"};
}

// A kernel in some of its variants.
struct Item {
  const KernelEntry* entry;
  std::vector<int> variants;
  DType dtype;
};

struct TimePlan {
  Device device = Device::cpu;
  std::vector<Item> items;
  std::vector<Rung> ladder;  // if that is what the items are
  std::string shape;
  MeasurementSettings measurement;
  bool cold = false;
  bool ceilings = true;
};

std::vector<Item> chosen_items(const Options& options, Device device) {
  const DType dtype = chosen_dtypes(options.value_or("dtype", "f32"), false).front();
  std::vector<Item> items;
  for (const KernelEntry* entry :
       those_on(device, {dtype}, chosen_kernels(options.operands()), !options.operands().empty())) {
    items.push_back(
        {entry, chosen_variants(*entry, options.value_or("variant", "0"), device), dtype});
  }
  return items;
}

TimePlan time_plan_of(const Options& options) {
  TimePlan plan;
  plan.device = set_up_device(options);
  plan.shape = options.value_or("shape", "");
  if (options.has("ladder")) {
    plan.ladder = ladder_of(ladder_name(options, {"variant", "dtype", "on-request"}), plan.device);
    for (const Rung& rung : plan.ladder) {
      plan.items.push_back({rung.entry, {rung.variant}, rung.dtype});
    }
  } else {
    plan.items = chosen_items(options, plan.device);
  }
  plan.measurement.rounds = options.number_or("rounds", 15, 3, 100000);
  plan.measurement.min_seconds = options.real_or("min-time", 20, 0.001, 1e6) / 1e3;
  plan.cold = options.has("cold");
  plan.ceilings = !options.has("no-ceilings");
  for (const Item& item : plan.items) {
    (void)chosen_sizes(*item.entry, plan.shape);
  }
  if (options.has("on-request")) {
    for (const char* option : {"rounds", "no-ceilings", "json", "csv", "markdown", "compare"}) {
      if (options.has(option)) {
        wrong_usage("--on-request and --{} do not go together: who asks decides", option);
      }
    }
    if (plan.items.size() != 1 || plan.items.front().variants.size() != 1) {
      wrong_usage("--on-request is for one kernel in one variant");
    }
  }
  return plan;
}

// The verdicts of all variants, and on which sizes.
struct Checked {
  std::vector<double> errors;
  double tolerance = 0;
  std::string on;
};

Checked checked(const Item& item, const Sizes& sizes, const TimePlan& plan) {
  const KernelEntry& entry = *item.entry;
  const DType dtype = item.dtype;
  const Sizes small = kernels::affordable(entry, sizes, kAffordableWork, cpu_context());
  const KernelCase problem = kernels::sized_case(entry, small, cpu_context());
  const Correctness correctness(problem, dtype, plan.device);
  Checked result{{},
                 kernels::allowed_error(entry, problem, dtype, kernels::kSizedTolerance),
                 small == sizes ? "same" : problem.name};
  for (const int variant : item.variants) {
    const auto verdict = correctness.check(variant, result.tolerance);
    if (!verdict.complaint.empty()) {
      fail("{} variant {} {} on {}: {}; what is wrong is not timed", entry.name, variant,
           name_of(dtype), problem.name, verdict.complaint);
    }
    result.errors.push_back(verdict.error);
  }
  return result;
}

// Of the device: arrays that are larger do not stay in it between two calls.
std::int64_t last_cache(Device device) {
  return device == Device::cuda ? gpu_cache() : origin::this_machine().last_level_cache;
}

std::int64_t saturated(std::size_t bytes) {
  constexpr auto most = static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max());
  return static_cast<std::int64_t>(std::min(bytes, most));
}

// Copies of the arrays until twice the cache lies between two uses of one.
std::int64_t copies_for(const MemoryNeeds& needs, std::int64_t cache, const TimePlan& plan) {
  const std::int64_t bytes = std::max<std::int64_t>(1, needs.arrays);
  const std::int64_t copies = plan.cold ? 1 + 2 * cache / bytes : 1;
  // Poisoned, guarded and drawn arrays of a check are far smaller. A copy for a GPU is drawn here.
  const std::int64_t available =
      std::min(origin::available_bytes(), saturated(free_memory(plan.device)));
  if (static_cast<double>(needs.arrays + needs.workspace) * static_cast<double>(copies) >
      static_cast<double>(available)) {
    fail("the arrays need {:.1f} GB{}, and {:.1f} GB are available; make the problem smaller",
         static_cast<double>(needs.arrays + needs.workspace) * static_cast<double>(copies) / 1e9,
         copies > 1 ? fmt::format(" in {} copies", copies) : "",
         static_cast<double>(available) / 1e9);
  }
  return copies;
}

std::vector<Row> rows_of(const Item& item, const TimePlan& plan, const std::string& label,
                         Progress& progress) {
  const KernelEntry& entry = *item.entry;
  const std::vector<int>& variants = item.variants;
  const Sizes sizes = chosen_sizes(entry, plan.shape);
  const KernelCase problem = kernels::sized_case(entry, sizes, cpu_context());
  const MemoryNeeds needs = memory_of(problem, item.dtype);
  const std::int64_t cache = last_cache(plan.device);
  MeasurementSettings settings = plan.measurement;
  settings.copies = copies_for(needs, cache, plan);
  progress.tell(fmt::format("{}: checking", label));
  const Checked verdict = checked(item, sizes, plan);
  const Measurement found =
      measure(problem, item.dtype, variants, settings, plan.device, [&](std::int64_t round) {
        progress.tell(fmt::format("{}: round {} of {}", label, round, settings.rounds));
      });

  std::vector<Row> rows;
  for (std::size_t v = 0; v < variants.size(); ++v) {
    Row row;
    row.kernel = entry.name;
    row.variant = variants[v];
    row.variant_name = variant_name(entry, variants[v], plan.device);
    row.sizes = problem.name;
    row.dtype = name_of(item.dtype);
    row.cold = found.copies * needs.arrays >= 2 * cache;
    row.seconds = found.variants[v].seconds;
    row.calls = found.variants[v].calls;
    row.flops = problem.cost.flops;
    row.ceiling = problem.cost.tensor_cores ? "tensor" : "fma";  // until it is known
    row.exps = problem.cost.exps;
    row.bytes = problem.cost.elements_moved * static_cast<double>(size_of(item.dtype));
    row.array_bytes = needs.arrays;
    row.workspace_bytes = needs.workspace;
    row.copies = found.copies;
    row.peak_resident_bytes = origin::peak_resident_bytes();
    row.self = found.self;
    row.error = verdict.errors[v];
    row.tolerance = verdict.tolerance;
    row.checked_on = verdict.on;
    rows.push_back(std::move(row));
  }
  return rows;
}

Results measured(const TimePlan& plan, const Options& options) {
  Progress progress;
  Results results = results_of_now(plan.device);
  results.settings = {{"rounds", fmt::format("{}", plan.measurement.rounds)},
                      {"min-time", fmt::format("{}", plan.measurement.min_seconds * 1e3)},
                      {"variant", options.value_or("variant", "0")},
                      {"shape", plan.shape},
                      {"dtype", options.value_or("dtype", "f32")},
                      {"ladder", options.has("ladder") ? "true" : "false"},
                      {"cold", plan.cold ? "true" : "false"},
                      {"no-ceilings", plan.ceilings ? "false" : "true"}};
  std::set<DType> dtypes;
  for (const Item& item : plan.items) {
    dtypes.insert(item.dtype);
  }
  const auto measure_once_more = [&] {
    for (const DType dtype : dtypes) {
      Ceilings& ceilings = results.ceilings[name_of(dtype)];
      if (!plan.ceilings) {
        continue;
      }
      ceilings =
          highest(ceilings, measure_ceilings(plan.device, dtype, last_cache(plan.device),
                                             std::min(plan.measurement.rounds, kCeilingRounds),
                                             plan.measurement.min_seconds,
                                             [&] { progress.tell("measuring the ceilings"); }));
    }
  };
  // Before and after: what slows the machine down for a while is not what it can do.
  measure_once_more();
  for (std::size_t n = 0; n < plan.items.size(); ++n) {
    const std::string label =
        fmt::format("[{}/{}] {}", n + 1, plan.items.size(), plan.items[n].entry->name);
    const std::vector<Row> rows = rows_of(plan.items[n], plan, label, progress);
    results.rows.insert(results.rows.end(), rows.begin(), rows.end());
  }
  measure_once_more();
  for (Row& row : results.rows) {
    const Floor floor = floor_of(row.flops, row.exps, row.bytes, row.ceiling == "tensor",
                                 results.ceilings.at(row.dtype));
    row.ceiling = floor.ceiling;
    row.share = floor.seconds / row.seconds.median;
  }
  return results;
}

// Rung by rung, each with how many times faster it is than the one before it.
std::string ladder_text(const TimePlan& plan, const Results& results) {
  constexpr report::Table::Align right = report::Table::Align::right;
  report::Table table(
      {{"rung"}, {"adds"}, {"ms", right}, {"GFLOP/s", right}, {"faster by", right}});
  for (std::size_t n = 0; n < plan.ladder.size(); ++n) {
    const Row& row = results.rows[n];
    table.add(
        {plan.ladder[n].name(plan.device), plan.ladder[n].adds,
         fmt::format("{:.4g}", 1e3 * row.seconds.median),
         fmt::format("{:.4g}", row.flops / row.seconds.median / 1e9),
         n == 0 ? std::string("-")
                : fmt::format("{:.2f}x", results.rows[n - 1].seconds.median / row.seconds.median)});
  }
  return table.text();
}

// What `time --ladder` is on the executor, where times mean nothing.
std::vector<std::string> words_to_count(const Options& options) {
  std::vector<std::string> words = {options.operands().front(), "--ladder"};
  for (const char* option :
       {"rounds", "min-time", "no-ceilings", "cold", "csv", "markdown", "compare"}) {
    if (options.has(option)) {
      wrong_usage("--ladder on the executor counts what is moved; --{} has no meaning there",
                  option);
    }
  }
  for (const char* option : {"shape", "json"}) {
    if (options.has(option)) {
      words.insert(words.end(), {fmt::format("--{}", option), options.value(option)});
    }
  }
  return words;
}

// The one kernel of the plan, a sample for each request.
void serve(const TimePlan& plan) {
  const Item& item = plan.items.front();
  const KernelEntry& entry = *item.entry;
  const Sizes sizes = chosen_sizes(entry, plan.shape);
  const KernelCase problem = kernels::sized_case(entry, sizes, cpu_context());
  nlohmann::ordered_json ready =
      head_json("basin profile_kernels time", 1, results_of_now(plan.device));
  const std::int64_t copies =
      copies_for(memory_of(problem, item.dtype), last_cache(plan.device), plan);
  const Checked verdict = checked(item, sizes, plan);
  KernelCaller caller(problem, item.dtype, copies, plan.device);
  const RepeatedCalls calls([&] { caller.call(item.variants.front()); },
                            plan.measurement.min_seconds, plan.device);
  ready.update({{"kernel", entry.name},
                {"variant", item.variants.front()},
                {"sizes", problem.name},
                {"dtype", name_of(item.dtype)},
                {"copies_of_arrays", copies},
                {"calls_per_sample", calls.calls()},
                {"flops", problem.cost.flops},
                {"error", verdict.errors.front()},
                {"tolerance", verdict.tolerance},
                {"checked_on", verdict.on}});
  answer_requests(ready, [&]() -> nlohmann::ordered_json {
    return {{"seconds", calls.seconds_per_call()},
            {"peak_resident_bytes", origin::peak_resident_bytes()}};
  });
}

}  // namespace

void time_command(const std::vector<std::string>& words) {
  const Options options(time_syntax(), words);
  if (options.has("help")) {
    fmt::print("{}", help_text(time_syntax()));
    return;
  }
  const TimePlan plan = time_plan_of(options);
  if (options.has("on-request")) {
    serve(plan);
    return;
  }
  if (options.has("ladder") && plan.device == Device::simt) {
    count_command(words_to_count(options));
    return;
  }
  struct Output {
    const char* option;
    std::string (*text)(const Results&);
  };
  constexpr Output kOutputs[] = {{"json", to_json}, {"csv", to_csv}, {"markdown", to_markdown}};
  std::set<std::string> paths;
  for (const Output& output : kOutputs) {
    if (options.has(output.option)) {
      const std::string& path = options.value(output.option);
      if (!paths.insert(path).second) {
        wrong_usage("--{}: {} is written by another option, too", output.option, path);
      }
      report::check_writable(path);
    }
  }
  // What it is compared with may be the file that is written.
  Results before;
  if (options.has("compare")) {
    before = read_results(options.value("compare"));
  }
  const Results results = measured(plan, options);
  fmt::print("{}", to_text(results));
  if (!plan.ladder.empty()) {
    fmt::print("\n{}", ladder_text(plan, results));
  }
  // A key pressed now must not leave half of the files.
  const trainer::Interrupt held;
  for (const Output& output : kOutputs) {
    if (options.has(output.option)) {
      report::write_text(options.value(output.option), output.text(results));
    }
  }
  if (options.has("compare")) {
    fmt::print("\n{}", comparison_text(before, results));
  }
}

}  // namespace basin::profile_kernels
