#include "tools/trainer/reproduction_runs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <new>

#include "tensor/error.h"
#include "tools/report/text_file.h"
#include "tools/reproduction/files.h"
#include "tools/reproduction/index_page.h"
#include "tools/reproduction/journal.h"
#include "tools/reproduction/record.h"
#include "tools/reproduction/run.h"
#include "tools/reproduction/session.h"
#include "tools/reproduction/tables.h"
#include "tools/trainer/interrupt.h"
#include "tools/trainer/progress.h"
#include "tools/trainer/reproduce_progress.h"
#include "tools/trainer/run_folder.h"
#include "tools/trainer/shell_word.h"
#include "tools/trainer/terminal.h"
#include "tools/trainer/usage_error.h"

namespace basin::trainer {

namespace {

using experiments::Protocol;
using experiments::Settings;
using experiments::Size;
using reproduction::Journal;

constexpr std::size_t kPrintedRows = 40;

// An experiment of the request with its settings and what was computed before.
struct ReproductionRun {
  const experiments::Experiment* experiment;
  std::string path;  // of the journal
  Settings settings;
};

[[noreturn]] void contradicts(const ReproductionRun& run, const char* name,
                              const std::string& asked, const std::string& stored) {
  wrong_usage(
      "--{} {} contradicts {}, which was begun with {} {}; give that, another --out, or "
      "--overwrite",
      name, asked, run.path, name, stored);
}

void check_protocol(const experiments::Experiment& experiment, const Settings& settings) {
  if (settings.protocol == Protocol::as_coded && experiment.as_coded.empty()) {
    wrong_usage("--protocol as-coded: '{}' has one protocol only", experiment.name);
  }
}

Settings fresh_settings(const experiments::Experiment& experiment, const GivenSettings& given) {
  Settings settings;
  settings.size = given.size.value_or(Size::small);
  settings.protocol = given.protocol.value_or(Protocol::corrected);
  settings.seed = given.seed.value_or(0);
  settings.data = experiment.data.empty() ? "" : given.data;
  if (experiment.uses_device) {
    settings.device = given.device ? *given.device : best_device();
  }
  return settings;
}

// Those of the journal; what the command line says must be the same, but for the place of the data,
// which may have moved.
Settings stored_settings(const ReproductionRun& run, const Journal& journal,
                         const GivenSettings& given) {
  Settings stored;
  try {
    stored = reproduction::settings_in(journal.header());
  } catch (const Error& error) {
    throw FileError(fmt::format("{} cannot be used: {}; --overwrite computes everything anew",
                                run.path, error.what()));
  }
  if (journal.header()["experiment"] != run.experiment->name) {
    throw FileError(fmt::format("{} is the journal of '{}'", run.path,
                                journal.header()["experiment"].get<std::string>()));
  }
  if (given.size && *given.size != stored.size) {
    contradicts(run, "size", name_of(*given.size), name_of(stored.size));
  }
  if (given.protocol && *given.protocol != stored.protocol) {
    contradicts(run, "protocol", name_of(*given.protocol), name_of(stored.protocol));
  }
  if (given.seed && *given.seed != stored.seed) {
    contradicts(run, "seed", fmt::format("{}", *given.seed), fmt::format("{}", stored.seed));
  }
  if (given.device && run.experiment->uses_device && *given.device != stored.device) {
    contradicts(run, "device", basin::name_of(*given.device), basin::name_of(stored.device));
  }
  if (!run.experiment->data.empty() && !given.data.empty()) {
    stored.data = given.data;
  }
  return stored;
}

ReproductionRun prepared(const ReproductionRequest& request, const RunFolder& folder,
                         const experiments::Experiment& experiment) {
  ReproductionRun run{&experiment, folder.file(experiment.name + ".journal"), {}};
  run.settings = fresh_settings(experiment, request.given);
  if (!request.overwrite) {
    const Journal journal(run.path);
    if (!journal.empty()) {
      run.settings = stored_settings(run, journal, request.given);
    }
  }
  check_protocol(experiment, run.settings);
  return run;
}

// The command that computes the same elsewhere.
std::string command_for(const std::string& name, const Settings& s) {
  std::vector<std::string> words = {"reproduce", name};
  const auto add = [&words](const char* option, const std::string& value) {
    words.insert(words.end(), {option, value});
  };
  add("--size", name_of(s.size));
  if (s.protocol != Protocol::corrected) {
    add("--protocol", name_of(s.protocol));
  }
  if (s.seed != 0) {
    add("--seed", fmt::format("{}", s.seed));
  }
  if (s.device != Device::cpu) {
    add("--device", basin::name_of(s.device));
  }
  if (!s.data.empty()) {
    add("--data", s.data);
  }
  add("--out", "DIR");
  return shell_command(words);
}

void print_results(const experiments::Report& report) {
  const experiments::ResultTable& table = report.tables.front();
  std::string text =
      fmt::format("\n{}\n\n{}", table.title, reproduction::readable(table, kPrintedRows).text());
  if (table.rows.size() > kPrintedRows) {
    text += fmt::format("... and {} more rows\n", table.rows.size() - kPrintedRows);
  }
  for (const experiments::Verdict& verdict : report.verdicts) {
    text += fmt::format("\n{}: {}\n  published: {}\n  ours: {}\n  why: {}\n",
                        name_of(verdict.judgement), verdict.claim, verdict.published, verdict.ours,
                        verdict.statistics);
  }
  print_now(text + "\n");
}

// Results of another version of the program may lack what this one looks for.
experiments::Report report_of(const ReproductionRun& run, const Journal& journal,
                              const reproduction::Record& record) {
  try {
    return run.experiment->report(run.settings, journal.results());
  } catch (const std::exception& error) {
    if (record.warnings.empty()) {
      throw;
    }
    throw FileError(
        fmt::format("{} holds results that this version of the program cannot read ({}); "
                    "--overwrite computes everything anew",
                    run.path, error.what()));
  }
}

// Returns the report.
experiments::Report perform(const ReproductionRequest& request, const ReproductionRun& run) {
  const std::string& name = run.experiment->name;
  Journal journal = request.overwrite ? Journal::anew(run.path) : Journal(run.path);
  const auto say = [&](const std::string& line) {
    if (!request.quiet) {
      print_now(line + "\n");
    }
  };
  if (journal.was_torn()) {
    say(fmt::format("{}: the last line of the journal is torn; that part is computed again", name));
  }
  if (journal.is_finished()) {
    say(
        fmt::format("{}: all {} parts were computed before; nothing is computed, the report is "
                    "written again",
                    name, journal.results().size()));
  } else {
    ReproduceProgress progress(request.quiet, name);
    try {
      reproduction::compute(*run.experiment, run.settings, journal, progress);
    } catch (const Interrupted&) {
      throw Interrupted(fmt::format("interrupted; {} of {} parts of {} are kept; go on with: {}",
                                    progress.done(), progress.parts(), name, request.go_on));
    }
  }
  const reproduction::Record record =
      reproduction::record_of(*run.experiment, journal, command_for(name, run.settings));
  const experiments::Report report = report_of(run, journal, record);
  std::string problem;
  const std::vector<std::string> files =
      reproduction::write_report(request.out, report, record, problem);
  if (!request.quiet) {
    print_results(report);
  }
  say(fmt::format("{}: {} parts, {}; wrote {}/{} and {} more files", name, journal.results().size(),
                  duration_text(record.total_seconds()), request.out, files.front(),
                  files.size() - 1));
  if (!problem.empty()) {
    say(fmt::format("{}: pictures are missing: {}", name, problem));
  }
  return report;
}

// Why the experiment cannot be begun, such as data that are not there; empty if it can. Work of
// hours must not be in front of that.
std::string obstacle(const ReproductionRequest& request, const ReproductionRun& run) {
  try {
    if (request.overwrite || !Journal(run.path).is_finished()) {
      (void)run.experiment->parts(run.settings);
    }
    return "";
  } catch (const std::exception& error) {
    return error.what();
  }
}

void write_index(const RunFolder& folder, const std::vector<reproduction::IndexEntry>& entries) {
  report::write_text(folder.file("index.html"), reproduction::index_html(entries));
  report::write_text(folder.file("index.md"), reproduction::index_markdown(entries));
}

std::string settings_text(const Settings& settings) {
  return settings.protocol == Protocol::corrected
             ? name_of(settings.size)
             : fmt::format("{}, {}", name_of(settings.size), name_of(settings.protocol));
}

void perform_all(const ReproductionRequest& request, const RunFolder& folder,
                 const std::vector<ReproductionRun>& runs) {
  std::vector<reproduction::IndexEntry> entries;
  const auto left_out = [&](const reproduction::IndexEntry& entry) {
    if (!request.quiet) {
      print_now(fmt::format("{}: LEFT OUT: {}\n", entry.name, entry.problem));
    }
  };
  for (const ReproductionRun& run : runs) {
    entries.push_back({run.experiment->name,
                       run.experiment->question,
                       settings_text(run.settings),
                       {},
                       obstacle(request, run)});
    if (!entries.back().problem.empty()) {
      left_out(entries.back());
    }
  }
  std::vector<std::string> failed;
  for (std::size_t n = 0; n < runs.size(); ++n) {
    reproduction::IndexEntry& entry = entries[n];
    if (entry.problem.empty()) {
      try {
        entry.verdicts = perform(request, runs[n]).verdicts;
      } catch (const Interrupted&) {
        throw;
      } catch (const std::exception& error) {
        entry.problem = error.what();
        left_out(entry);
      }
    }
    if (!entry.problem.empty()) {
      failed.push_back(entry.name);
    }
  }
  write_index(folder, entries);
  if (!request.quiet) {
    print_now(fmt::format("wrote {}/index.html and index.md\n", request.out));
  }
  if (!failed.empty()) {
    throw std::runtime_error(fmt::format("{} of {} experiments could not be done: {}; {} says why",
                                         failed.size(), runs.size(), fmt::join(failed, ", "),
                                         folder.file("index.md")));
  }
}

}  // namespace

void run_reproductions(const ReproductionRequest& request) {
  const RunFolder folder(request.out);
  std::vector<ReproductionRun> runs;
  for (const experiments::Experiment* experiment : request.experiments) {
    runs.push_back(prepared(request, folder, *experiment));
  }
  if (runs.size() == 1) {
    perform(request, runs.front());
  } else {
    perform_all(request, folder, runs);
  }
}

}  // namespace basin::trainer
