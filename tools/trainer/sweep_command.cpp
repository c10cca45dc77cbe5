#include "tensor/error.h"
#include "tools/report/text_file.h"
#include "tools/trainer/arguments.h"
#include "tools/trainer/commands.h"
#include "tools/trainer/sweep_runner.h"
#include "tools/trainer/usage_error.h"
#include "tools/trainer/values.h"

namespace basin::trainer {

namespace {

const Syntax kSweepSyntax = {
    "sweep",
    "Trains many configurations, each with several seeds, as processes of their own, and puts "
    "them\n"
    "into one table: mean, standard deviation and 95 % interval over the seeds, sorted by the\n"
    "validation split. The sweep file has lines 'name = value' for what all runs share, 'seeds = "
    "3'\n"
    "or 'seeds = 4, 7', and two sections:\n"
    "\n"
    "  [grid]                                  every combination of the values\n"
    "  backbone = rnn, hopfield\n"
    "  learning-rate = 1e-3, 3e-3\n"
    "\n"
    "  [random]                                drawn for each trial\n"
    "  dropout = uniform 0 0.3                 also: log-uniform 1e-4 1e-2, integer 1 4,\n"
    "  trials = 5                                    choice 32, 64\n"
    "  sweep-seed = 1",
    "",
    {{"config", "FILE", "the sweep file; settings on the command line go before its lines"},
     {"out", "DIR", "the folder of the sweep; created if it is not there"},
     {"seeds", "N|A,B,...", "every configuration with the seeds 0 to N-1, or with these"},
     {"jobs", "N",
      "runs at once; their threads share the cores [as many as fit with the threads of a run, "
      "which "
      "by default takes all cores]"},
     {"resume", "", "skip finished runs, continue interrupted ones, start the others"},
     {"overwrite", "", "replace the runs of the sweep that the folder holds"},
     {"quiet", "", "print nothing but errors"}},
    true,
    false};

SweepFile asked_sweep(const Arguments& arguments, bool resume) {
  if (arguments.has("config")) {
    const std::string& path = arguments.value("config");
    std::string text;
    try {
      text = report::read_text(path);
    } catch (const FileError& error) {
      throw FileError(fmt::format("--config {}", error.what()));
    }
    return parse_sweep(text, path);
  }
  return resume ? stored_sweep(arguments.value("out")) : SweepFile();
}

}  // namespace

void sweep_command(const std::vector<std::string>& words) {
  const Arguments arguments(kSweepSyntax, words);
  if (arguments.has("help")) {
    fmt::print("{}", help_text(kSweepSyntax));
    return;
  }
  SweepRequest request;
  request.out = arguments.value("out");
  request.resume = arguments.has("resume");
  request.overwrite = arguments.has("overwrite");
  request.quiet = arguments.has("quiet");
  if (request.resume && request.overwrite) {
    wrong_usage("--resume and --overwrite exclude each other");
  }
  if (arguments.has("jobs")) {
    request.jobs = read_whole(arguments.value("jobs"), 1, 1024, "--jobs");
  }
  request.sweep = asked_sweep(arguments, request.resume);
  override_fixed(request.sweep, arguments.settings());
  if (arguments.has("seeds")) {
    set_seeds(request.sweep, arguments.value("seeds"));
  }
  run_sweep(request);
}

}  // namespace basin::trainer
