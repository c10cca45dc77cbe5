// The text files of a run: configuration and metrics. The first byte of an input says which.
#include <string_view>

#include "tensor/error.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/memory_file.h"
#include "tests/support/temporary_folder.h"
#include "tools/report/csv.h"
#include "tools/trainer/ini.h"
#include "tools/trainer/metrics_log.h"
#include "tools/trainer/usage_error.h"

namespace {

using namespace basin;
using fuzz::require;
using trainer::IniEntry;

void try_configuration(const std::string& text) {
  std::vector<IniEntry> entries;
  try {
    entries = trainer::parse_ini(text, "config.ini");
  } catch (const trainer::UsageError&) {
    return;
  }
  std::string again;
  for (const IniEntry& entry : entries) {
    again += trainer::ini_line(entry.name, entry.value);
  }
  const std::vector<IniEntry> read = trainer::parse_ini(again, "again");
  require(read.size() == entries.size(), "a line per entry");
  for (std::size_t n = 0; n < read.size(); ++n) {
    require(read[n].name == entries[n].name && read[n].value == entries[n].value,
            "what is written is read as the same");
  }
}

void try_csv(const std::string& text) {
  const std::vector<std::vector<std::string>> records = report::parse_csv(text);
  std::string again;
  for (const std::vector<std::string>& record : records) {
    again += report::csv_line(record);
  }
  require(report::parse_csv(again) == records, "what is written is read as the same");
}

void try_metrics(const std::string& text) {
  static test::MemoryFile memory;
  memory.set(text);
  try {
    for (const trainer::MetricsRow& row : trainer::read_metrics(memory.path())) {
      require(row.split.size() <= text.size(), "a row is of the file");
    }
  } catch (const FileError&) {
  }
}

std::string metrics_of_a_run() {
  const test::TemporaryFolder folder;
  trainer::MetricsRow evaluation;
  evaluation.split = "validation";
  evaluation.metrics.push_back({"second-half token accuracy, \"exact\"", 0.25});
  trainer::MetricsRow step;
  step.step = 3;
  step.split = "train";
  step.loss = 1e-300;
  step.learning_rate = 0.001;
  trainer::MetricsLog log(folder / "csv", folder / "jsonl", {evaluation, step});
  require(trainer::read_metrics(folder / "csv").size() == 2, "the seed is valid");
  return test::read_bytes(folder / "csv");
}

}  // namespace

std::vector<std::string> basin::fuzz::seeds() {
  const std::string metrics = metrics_of_a_run();
  return {"\x01# a comment\ntask = copying\n\n data= \" a\\\\b\\\"\\n\\t\\r \" \n;x\nwidth = 8\r\n",
          "\x02" + metrics, "\x03" + metrics, "\x02\"a \"\"b\"\"\",\"c\r\nd\",\r\n,\n"};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 1: try_configuration(text); break;
    case 2: try_csv(text); break;
    case 3: try_metrics(text); break;
    default: break;
  }
  return 0;
}
