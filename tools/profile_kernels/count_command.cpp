#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "kernels/simt/counting/access_counter.h"
#include "kernels/table/case_arrays.h"
#include "tensor/device.h"
#include "tensor/error.h"
#include "tools/profile_kernels/circumstances.h"
#include "tools/profile_kernels/commands.h"
#include "tools/profile_kernels/ladder.h"
#include "tools/profile_kernels/progress.h"
#include "tools/profile_kernels/selection.h"
#include "tools/report/table.h"
#include "tools/report/text_file.h"
#include "tools/trainer/usage_error.h"

namespace basin::profile_kernels {

namespace {

using kernels::simt::AccessCounter;
using kernels::simt::GlobalTraffic;
using kernels::simt::KernelAccesses;
using kernels::simt::SharedTraffic;
using Json = nlohmann::ordered_json;
using report::Table;

Syntax count_syntax() {
  return {"profile_kernels count",
          "Runs CUDA kernels by the executor on the CPU and counts what each launch reads and "
          "writes, as\n"
          "the warps of a GPU would. Global memory: bytes that threads ask for, and sectors of 32 "
          "bytes\n"
          "that move for them (before any cache); 'used' is the share of these that somebody asked "
          "for.\n"
          "Shared memory: bytes, and passes through the 32 banks for each one needed (1.00: no "
          "conflicts).\n"
          "Counts say how a kernel is written, not how fast it is.",
          {{"shape", "NAME=VALUE,...", "sizes of the problem; 'list' shows names and defaults"},
           variant_option("0"),
           dtype_option("f32"),
           ladder_option("and what each rung saves"),
           {"arrays", "", "also show how often each array was moved"},
           {"json", "FILE", "write the counts as JSON"}},
          "KERNEL...",
          "  profile_kernels count gemm --variant all --shape m=128,n=128,k=128\n"
          "  profile_kernels count attention_forward --shape B=1,H=1,L=256,D=64 --arrays\n"
          "  profile_kernels count attention --ladder --shape B=1,H=1,L=256,D=64\n"};
}

// This program has no hooks; the one beside it does.
[[noreturn]] void start_counting_program(const std::vector<std::string>& words) {
  std::error_code code;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", code);
  const std::string path = (self.parent_path() / "profile_kernels_counting").string();
  if (code || ::access(path.c_str(), X_OK) != 0) {
    fail(
        "'count' needs the program profile_kernels_counting beside this one ({}); build the target "
        "of that name (there is none in builds with sanitizers and in the portable one)",
        path);
  }
  std::vector<char*> arguments;
  std::vector<std::string> all = {"profile_kernels_counting", "count"};
  all.insert(all.end(), words.begin(), words.end());
  for (std::string& word : all) {
    arguments.push_back(word.data());
  }
  arguments.push_back(nullptr);
  ::execv(path.c_str(), arguments.data());
  fail("{} cannot be started: {}", path, std::strerror(errno));
}

std::string bytes_text(std::int64_t bytes) {
  const double value = static_cast<double>(bytes);
  return bytes < 10'000       ? fmt::format("{} B", bytes)
         : bytes < 10'000'000 ? fmt::format("{:.1f} kB", value / 1e3)
                              : fmt::format("{:.1f} MB", value / 1e6);
}

std::string used_text(const GlobalTraffic& traffic) {
  return traffic.sectors == 0 ? "-" : fmt::format("{:.0f} %", 100 * traffic.efficiency());
}

std::string ways_text(const SharedTraffic& traffic) {
  return traffic.fewest == 0 ? "-" : fmt::format("{:.2f}", traffic.ways());
}

Json json_of(const GlobalTraffic& t) {
  return {{"instructions", t.instructions},
          {"requested_bytes", t.requested},
          {"distinct_bytes", t.distinct},
          {"sectors", t.sectors}};
}

Json json_of(const SharedTraffic& t) {
  return {{"instructions", t.instructions},
          {"bytes", t.bytes},
          {"passes", t.passes},
          {"fewest_passes", t.fewest}};
}

Json json_of(const std::string& name, const KernelAccesses& a) {
  return {{"name", name},
          {"launches", a.launches},
          {"blocks", a.blocks},
          {"threads", a.threads},
          {"global_reads", json_of(a.reads)},
          {"global_writes", json_of(a.writes)},
          {"shared_reads", json_of(a.shared_reads)},
          {"shared_writes", json_of(a.shared_writes)},
          {"atomics", a.atomics},
          {"barriers", a.barriers},
          {"warp_collectives", a.warp_collectives},
          {"async_bytes", a.async_bytes}};
}

// One variant of one kernel.
struct Counted {
  std::map<std::string, KernelAccesses> kernels;
  std::vector<std::string> arrays;  // names
  std::vector<std::int64_t> array_bytes;
};

Counted count(const kernels::KernelCase& problem, DType dtype, int variant) {
  if (!problem.run_simt) {
    fail("'{}' is too large for the executor", problem.name);
  }
  kernels::CaseArrays arrays(problem, dtype, cpu_context());
  if (!arrays.status().ok()) {
    fail("{}: its inputs cannot be prepared: {}", problem.name, arrays.status().message);
  }
  AccessCounter counter;
  Counted result;
  for (std::size_t n = 0; n < problem.buffers.size(); ++n) {
    const std::int64_t bytes =
        arrays.elements(n) * static_cast<std::int64_t>(size_of(arrays.dtype_of_buffer(n)));
    counter.watch(arrays.data()[n], static_cast<std::size_t>(bytes));
    result.arrays.push_back(problem.buffers[n].name);
    result.array_bytes.push_back(bytes);
  }
  const kernels::Status status =
      problem.run_simt(arrays.data(), dtype, variant, kernels::SimtContext{});
  if (!status.ok()) {
    fail("{}: {}", problem.name, status.message);
  }
  result.kernels = counter.kernels();
  return result;
}

Table launches_table() {
  constexpr Table::Align right = Table::Align::right;
  return Table({{"launch"},
                {"blocks", right},
                {"threads of a block", right},
                {"global read", right},
                {"sectors read", right},
                {"used", right},
                {"global written", right},
                {"sectors written", right},
                {"used", right},
                {"shared read", right},
                {"passes each", right},
                {"shared written", right},
                {"passes each", right},
                {"barriers", right},
                {"atomics", right}});
}

void add_row(Table& table, const std::string& name, const KernelAccesses& a) {
  table.add({name + (a.launches > 1 ? fmt::format(" x {}", a.launches) : ""),
             fmt::format("{}", a.blocks), fmt::format("{}", a.threads / a.blocks),
             bytes_text(a.reads.requested), bytes_text(32 * a.reads.sectors), used_text(a.reads),
             bytes_text(a.writes.requested), bytes_text(32 * a.writes.sectors), used_text(a.writes),
             bytes_text(a.shared_reads.bytes), ways_text(a.shared_reads),
             bytes_text(a.shared_writes.bytes), ways_text(a.shared_writes),
             fmt::format("{}", a.barriers), fmt::format("{}", a.atomics)});
}

void print_arrays(const Counted& counted) {
  Table table({{"array"},
               {"bytes", Table::Align::right},
               {"sectors read / bytes", Table::Align::right},
               {"sectors written / bytes", Table::Align::right}});
  for (std::size_t n = 0; n < counted.arrays.size(); ++n) {
    std::int64_t moved[2] = {};
    for (const auto& [name, accesses] : counted.kernels) {
      for (std::size_t way = 0; way < 2; ++way) {
        moved[way] += 32 * accesses.of_arrays.at(n)[way];
      }
    }
    if (moved[0] + moved[1] > 0) {
      const auto times = [&](std::int64_t bytes) {
        return fmt::format(
            "{:.2f}", static_cast<double>(bytes) / static_cast<double>(counted.array_bytes[n]));
      };
      table.add({counted.arrays[n], bytes_text(counted.array_bytes[n]), times(moved[0]),
                 times(moved[1])});
    }
  }
  fmt::print("\n{}", table.text());
}

// What is counted: by name, or the rungs of a ladder.
std::vector<Rung> chosen_rungs(const Options& options) {
  if (options.has("ladder")) {
    return ladder_of(ladder_name(options, {"variant", "dtype"}), Device::simt);
  }
  if (options.operands().empty()) {
    trainer::wrong_usage("'count' needs the name of a kernel; 'list' shows them");
  }
  const DType dtype = chosen_dtypes(options.value_or("dtype", "f32"), false).front();
  std::vector<Rung> rungs;
  for (const KernelEntry* entry :
       those_on(Device::simt, {dtype}, chosen_kernels(options.operands()), true)) {
    for (const int variant :
         chosen_variants(*entry, options.value_or("variant", "0"), Device::simt)) {
      rungs.push_back({entry, variant, dtype, ""});
    }
  }
  return rungs;
}

KernelAccesses sum_of(const Counted& counted) {
  KernelAccesses sum;
  for (const auto& [name, a] : counted.kernels) {
    for (const auto& [to, from] : {std::pair(&sum.reads, &a.reads), {&sum.writes, &a.writes}}) {
      to->sectors += from->sectors;
      to->distinct += from->distinct;
    }
    for (const auto& [to, from] :
         {std::pair(&sum.shared_reads, &a.shared_reads), {&sum.shared_writes, &a.shared_writes}}) {
      to->bytes += from->bytes;
      to->passes += from->passes;
      to->fewest += from->fewest;
    }
    sum.barriers += a.barriers;
  }
  return sum;
}

// Rung by rung, each with what moves less than on the one before it.
std::string ladder_text(const std::vector<Rung>& rungs, const std::vector<KernelAccesses>& sums) {
  constexpr Table::Align right = Table::Align::right;
  Table table({{"rung"},
               {"adds"},
               {"sectors read", right},
               {"less by", right},
               {"sectors written", right},
               {"less by", right},
               {"shared passes", right},
               {"less by", right},
               {"barriers", right}});
  const auto passes = [](const KernelAccesses& a) {
    return a.shared_reads.passes + a.shared_writes.passes;
  };
  const auto less = [&](std::int64_t before, std::int64_t now) {
    return before == 0 || now == 0
               ? std::string("-")
               : fmt::format("{:.2f}x", static_cast<double>(before) / static_cast<double>(now));
  };
  for (std::size_t n = 0; n < rungs.size(); ++n) {
    const KernelAccesses& now = sums[n];
    const KernelAccesses before = n == 0 ? KernelAccesses{} : sums[n - 1];
    table.add({rungs[n].name(Device::simt), rungs[n].adds, bytes_text(32 * now.reads.sectors),
               less(before.reads.sectors, now.reads.sectors), bytes_text(32 * now.writes.sectors),
               less(before.writes.sectors, now.writes.sectors), fmt::format("{}", passes(now)),
               less(passes(before), passes(now)), fmt::format("{}", now.barriers)});
  }
  return table.text();
}

// Prints one rung and adds it to the document.
Counted count_rung(const Rung& rung, const Options& options, Json& json) {
  const kernels::KernelCase problem = kernels::sized_case(
      *rung.entry, chosen_sizes(*rung.entry, options.value_or("shape", "")), cpu_context());
  Counted counted;
  {
    Progress progress;
    progress.tell(
        fmt::format("counting {} variant {} {}", rung.entry->name, rung.variant, problem.name));
    counted = count(problem, rung.dtype, rung.variant);
  }
  const double least = problem.cost.elements_moved * static_cast<double>(size_of(rung.dtype));
  fmt::print("{}{}, variant {} ({}), {} {}; at least {} must move\n\n",
             json["cases"].empty() ? "" : "\n", rung.entry->name, rung.variant,
             variant_name(*rung.entry, rung.variant, Device::simt), problem.name,
             name_of(rung.dtype), bytes_text(static_cast<std::int64_t>(least)));
  Table table = launches_table();
  Json launches = Json::array();
  for (const auto& [name, accesses] : counted.kernels) {
    add_row(table, name, accesses);
    launches.push_back(json_of(name, accesses));
  }
  fmt::print("{}", table.text());
  if (counted.kernels.empty()) {
    fmt::print(
        "No kernel was launched: this variant is a library's, for which the executor takes "
        "the CPU's kernel.\n");
  }
  if (options.has("arrays")) {
    print_arrays(counted);
  }
  json["cases"].push_back({{"kernel", rung.entry->name},
                           {"variant", rung.variant},
                           {"dtype", name_of(rung.dtype)},
                           {"sizes", problem.name},
                           {"least_bytes", least},
                           {"launches", launches}});
  return counted;
}

}  // namespace

void count_command(const std::vector<std::string>& words) {
  const Options options(count_syntax(), words);
  if (options.has("help")) {
    fmt::print("{}", help_text(count_syntax()));
    return;
  }
  const std::vector<Rung> rungs = chosen_rungs(options);
  for (const Rung& rung : rungs) {
    (void)chosen_sizes(*rung.entry, options.value_or("shape", ""));
  }
  if (!kernels::simt::counts_accesses()) {
    start_counting_program(words);
  }
  if (options.has("json")) {
    report::check_writable(options.value("json"));
  }
  Json json = head_json("basin counts", 1, results_of_now(Device::simt));
  json["dtype"] = name_of(rungs.front().dtype);
  json["cases"] = Json::array();
  std::vector<KernelAccesses> sums;
  for (const Rung& rung : rungs) {
    sums.push_back(sum_of(count_rung(rung, options, json)));
  }
  if (options.has("ladder")) {
    fmt::print("\n{}", ladder_text(rungs, sums));
  }
  if (options.has("json")) {
    report::write_text(options.value("json"), json.dump(2) + "\n");
  }
}

}  // namespace basin::profile_kernels
