#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iterator>

#include "tasks/experiments/experiment.h"
#include "tensor/error.h"
#include "tools/trainer/arguments.h"
#include "tools/trainer/commands.h"
#include "tools/trainer/reproduction_runs.h"
#include "tools/trainer/shell_word.h"
#include "tools/trainer/usage_error.h"
#include "tools/trainer/values.h"

namespace basin::trainer {

namespace {

using experiments::Protocol;
using experiments::Size;

const Syntax kReproduceSyntax = {
    "reproduce",
    "Computes experiments of published work anew and puts the results beside the published\n"
    "numbers, with a judgement and the statistics behind it. NAME: one or more of those that\n"
    "'trainer list experiments' shows, or 'all'.\n"
    "\n"
    "Writes into DIR for each: NAME.html (one page with everything), NAME.md, NAME.csv with all\n"
    "digits, pictures as SVG and PNG with their gnuplot scripts, and index.html over all of them.\n"
    "Results are kept part by part in NAME.journal: the same command goes on after Ctrl-C or a\n"
    "crash, and draws again without computing anything once all is done. Settings that are left\n"
    "out are then those of the journal; other settings than those are an error.\n"
    "\n"
    "Of several experiments one that cannot be done, for want of data or for another reason, does\n"
    "not stop the others; it is named in the index and the exit status is 1.",
    "NAME...",
    {{"out", "DIR", "the folder for everything; created if it is not there"},
     {"size", "smoke|short|gpu|full",
      "smoke: seconds, decides nothing; short: up to 20 minutes on two cores; gpu: up to 10 "
      "minutes "
      "on a card; full: as published [short]"},
     {"protocol", "corrected|as-coded",
      "with the mistakes of the published code mended, or with them, for experiments that have "
      "both; of all those that have them [corrected]"},
     {"seed", "N", "the first seed [0]"},
     {"data", "DIR", "the folder of real data [the variable BASIN_DATA]"},
     {"device", "cpu|cuda|simt|auto",
      "for experiments that can use one [auto: a GPU if one works]"},
     {"threads", "N", "of the CPU; results do not depend on it [one per core]"},
     {"overwrite", "", "compute everything anew"},
     {"quiet", "", "print nothing but errors"}},
    false};

// `all` means those that have the protocol.
std::vector<const experiments::Experiment*> chosen(const std::vector<std::string>& names,
                                                   bool as_coded) {
  if (names.empty()) {
    wrong_usage("the name of an experiment is missing; 'trainer list experiments' shows them");
  }
  std::vector<const experiments::Experiment*> list;
  const auto add = [&](const experiments::Experiment& experiment) {
    if (std::find(list.begin(), list.end(), &experiment) == list.end()) {
      list.push_back(&experiment);
    }
  };
  std::vector<std::string> known = {"all"};
  for (const experiments::Experiment& experiment : experiments::experiments()) {
    known.push_back(experiment.name);
  }
  for (const std::string& name : names) {
    const std::size_t at = read_choice(name, known, "the experiment");
    for (std::size_t n = 0; n + 1 < known.size(); ++n) {
      const experiments::Experiment& experiment = experiments::experiments()[n];
      if (at == n + 1 || (at == 0 && (!as_coded || !experiment.as_coded.empty()))) {
        add(experiment);
      }
    }
  }
  return list;
}

Device read_device(const std::string& text) {
  if (text == "auto") {
    return best_device();
  }
  Device device = Device::cpu;
  if (!parse(text, device)) {
    wrong_usage("--device must be cpu, cuda, simt or auto, not '{}'", text);
  }
  require(device);
  return device;
}

// As an absolute path, so that it means the same in every folder.
std::string data_folder(const Arguments& arguments) {
  const char* const variable = std::getenv("BASIN_DATA");
  const std::string path = arguments.has("data") ? arguments.value("data")
                           : variable != nullptr ? std::string(variable)
                                                 : std::string();
  if (path.empty()) {
    return "";
  }
  std::error_code code;
  if (arguments.has("data") && !std::filesystem::is_directory(path, code)) {
    throw FileError(fmt::format("--data {}: there is no such folder", path));
  }
  return std::filesystem::absolute(path).lexically_normal().string();
}

GivenSettings read_settings(const Arguments& arguments) {
  GivenSettings given;
  if (arguments.has("size")) {
    given.size = static_cast<Size>(
        read_choice(arguments.value("size"), {"smoke", "short", "gpu", "full"}, "--size"));
  }
  if (arguments.has("protocol")) {
    given.protocol = static_cast<Protocol>(
        read_choice(arguments.value("protocol"), {"corrected", "as-coded"}, "--protocol"));
  }
  if (arguments.has("seed")) {
    given.seed = read_whole(arguments.value("seed"), 0, INT64_C(1) << 53, "--seed");
  }
  if (arguments.has("device")) {
    given.device = read_device(arguments.value("device"));
  }
  given.data = data_folder(arguments);
  return given;
}

// Of `all` there may be some that an option does nothing for, or none at the moment.
void check_effects(const Arguments& arguments, const ReproductionRequest& request) {
  const auto any = [&](auto has) {
    return std::any_of(request.experiments.begin(), request.experiments.end(), has);
  };
  if (request.experiments.empty()) {
    wrong_usage("--protocol as-coded: no experiment has it");
  }
  const std::vector<std::string>& names = arguments.operands();
  if (std::find(names.begin(), names.end(), "all") != names.end()) {
    return;
  }
  if (arguments.has("data") &&
      !any([](const experiments::Experiment* e) { return !e->data.empty(); })) {
    wrong_usage("--data would have no effect: {} reads no data", fmt::join(names, ", "));
  }
  if (request.given.device.value_or(Device::cpu) != Device::cpu &&
      !any([](const experiments::Experiment* e) { return e->uses_device; })) {
    wrong_usage("--device {} would have no effect: {} runs on the CPU only",
                basin::name_of(*request.given.device), fmt::join(names, ", "));
  }
}

}  // namespace

void reproduce_command(const std::vector<std::string>& words) {
  const Arguments arguments(kReproduceSyntax, words);
  if (arguments.has("help")) {
    fmt::print("{}", help_text(kReproduceSyntax));
    return;
  }
  ReproductionRequest request;
  request.given = read_settings(arguments);
  request.experiments = chosen(arguments.operands(), request.given.protocol == Protocol::as_coded);
  check_effects(arguments, request);
  request.out = arguments.value("out");
  request.overwrite = arguments.has("overwrite");
  request.quiet = arguments.has("quiet");
  if (arguments.has("threads")) {
    set_threads(static_cast<int>(read_whole(arguments.value("threads"), 1, 1024, "--threads")));
  } else {
    (void)threads();  // complains about a BASIN_THREADS that cannot be
  }
  std::vector<std::string> again = {"reproduce"};
  std::copy_if(words.begin(), words.end(), std::back_inserter(again),
               [](const std::string& word) { return word != "--overwrite"; });
  request.go_on = shell_command(again);
  run_reproductions(request);
}

}  // namespace basin::trainer
