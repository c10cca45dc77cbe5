#include "tools/reproduction/markdown.h"

#include <fmt/format.h>

#include <algorithm>

#include "tools/reproduction/escapes.h"
#include "tools/reproduction/tables.h"

namespace basin::reproduction {

namespace {

using experiments::Report;
using experiments::Size;

std::string list_text(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) {
    text += fmt::format("- {}\n", markdown_escaped(line));
  }
  return text;
}

std::string facts_text(const std::vector<std::pair<std::string, std::string>>& facts) {
  std::string text;
  for (const auto& [name, value] : facts) {
    text += fmt::format("- {}: {}\n", name, markdown_escaped(value));
  }
  return text;
}

std::string verdicts_text(const Report& report) {
  report::Table table({{"verdict"}, {"claim"}, {"published"}, {"ours"}, {"why"}});
  for (const experiments::Verdict& v : report.verdicts) {
    table.add({fmt::format("**{}**", name_of(v.judgement)), markdown_escaped(v.claim),
               markdown_escaped(v.published), markdown_escaped(v.ours),
               markdown_escaped(v.statistics)});
  }
  return table.markdown();
}

std::string figure_text(const experiments::Figure& figure, const Picture& picture) {
  std::string text = fmt::format("### {}\n\n", markdown_escaped(figure.title));
  if (picture.problem.empty()) {
    text += fmt::format("![{}]({})\n", markdown_escaped(figure.title), picture.svg);
  } else {
    text += fmt::format("No picture: {}. `gnuplot {}` draws it.\n",
                        markdown_escaped(picture.problem), picture.script);
  }
  return text + (figure.caption.empty() ? "" : "\n" + markdown_escaped(figure.caption) + "\n");
}

std::string table_text(const experiments::ResultTable& table, const std::string& file) {
  experiments::ResultTable escaped = table;
  for (auto& row : escaped.rows) {
    for (experiments::Cell& cell : row) {
      if (std::string* const word = std::get_if<std::string>(&cell)) {
        *word = markdown_escaped(*word);
      }
    }
  }
  for (experiments::Column& column : escaped.columns) {
    column.title = markdown_escaped(column.title);
  }
  return fmt::format("### {}\n\n{}\nAll digits are in [{}]({}).\n", markdown_escaped(table.title),
                     readable(escaped).markdown(), file, file);
}

std::string duration(double seconds) {
  if (seconds < 60.0) {
    return fmt::format("{:.1f} s", seconds);
  }
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  return whole < 3600 ? fmt::format("{} min {:02} s", whole / 60, whole % 60)
                      : fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

}  // namespace

std::string table_file(const std::string& experiment, const Report& report, std::size_t table) {
  return table == 0 ? fmt::format("{}.csv", experiment)
                    : fmt::format("{}_{}.csv", experiment, report.tables[table].name);
}

std::vector<std::pair<std::string, std::string>> setting_facts(const Record& record) {
  std::vector<std::pair<std::string, std::string>> facts = {
      {"size", name_of(record.settings.size)},
      {"protocol", record.protocol_text},
      {"first seed", fmt::format("{}", record.settings.seed)},
      {"device", basin::name_of(record.settings.device)},
      {"parts", fmt::format("{}", record.seconds.size())},
  };
  return facts;
}

std::vector<std::pair<std::string, std::string>> run_facts(const Record& record) {
  std::vector<std::pair<std::string, std::string>> facts;
  for (std::size_t n = 0; n < record.sessions.size(); ++n) {
    const Session& s = record.sessions[n];
    facts.emplace_back(
        record.sessions.size() == 1 ? "computed" : fmt::format("session {}", n + 1),
        fmt::format("{}, {} parts, by version {}, on {}, {} cores, {} threads, instructions {}{}",
                    s.date, record.parts_of_session[n], program_text(s), s.processor, s.cores,
                    s.threads, s.isa, s.device == "cpu" ? "" : ", device " + s.device));
  }
  facts.emplace_back("time for all parts", duration(record.total_seconds()));
  std::vector<std::pair<double, std::string>> longest;
  for (const auto& [key, seconds] : record.seconds) {
    longest.emplace_back(-seconds, key);
  }
  std::sort(longest.begin(), longest.end());
  if (!longest.empty()) {
    facts.emplace_back("longest part", fmt::format("{}, {}", longest.front().second,
                                                   duration(-longest.front().first)));
  }
  if (!record.settings.data.empty()) {
    facts.emplace_back("data", record.settings.data);
  }
  facts.emplace_back("to repeat it", record.command);
  return facts;
}

std::vector<std::string> notices(const Record& record) {
  std::vector<std::string> lines;
  if (record.settings.size == Size::smoke) {
    lines.push_back(
        "This is the size 'smoke', which shows that everything runs; its numbers decide nothing.");
  }
  lines.insert(lines.end(), record.warnings.begin(), record.warnings.end());
  return lines;
}

std::string markdown_text(const Report& report, const Record& record,
                          const std::vector<Picture>& pictures) {
  std::string text =
      fmt::format("# {}\n\n{}\n\nAfter: {}\n", markdown_escaped(record.name),
                  markdown_escaped(record.question), markdown_escaped(record.source));
  for (const std::string& notice : notices(record)) {
    text += fmt::format("\n> {}\n", markdown_escaped(notice));
  }
  if (!report.findings.empty()) {
    text += "\n## Findings\n\n" + list_text(report.findings);
  }
  if (!report.verdicts.empty()) {
    text += "\n## Beside the published work\n\n" + verdicts_text(report);
  }
  for (std::size_t n = 0; n < report.figures.size(); ++n) {
    text += (n == 0 ? "\n## Figures\n\n" : "\n") + figure_text(report.figures[n], pictures[n]);
  }
  for (std::size_t n = 0; n < report.tables.size(); ++n) {
    text += (n == 0 ? "\n## Tables\n\n" : "\n") +
            table_text(report.tables[n], table_file(record.name, report, n));
  }
  text += "\n## Set-up\n\n" + facts_text(setting_facts(record)) + list_text(report.remarks);
  return text + "\n## The run\n\n" + facts_text(run_facts(record));
}

}  // namespace basin::reproduction
