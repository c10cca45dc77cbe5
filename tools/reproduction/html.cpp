#include "tools/reproduction/html.h"

#include <fmt/format.h>

#include "tools/reproduction/escapes.h"
#include "tools/reproduction/tables.h"

namespace basin::reproduction {

namespace {

using experiments::Judgement;
using experiments::Report;

constexpr const char* kStyle = R"(
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 2rem auto;
  max-width: 70rem; padding: 0 1.5rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin-bottom: .3rem; }
h2 { font-size: 1.35rem; margin-top: 2.4rem; border-bottom: 1px solid #bbb; padding-bottom: .2rem; }
a { color: #00558a; }
.question { font-size: 1.15rem; margin: .2rem 0; }
.source, figcaption { color: #444; }
.notice { border: 1px solid #7a5200; border-left-width: .5rem; background: #fff7e6; padding: .5rem 1rem; }
.wide { overflow-x: auto; margin: 1.2rem 0; }
table { border-collapse: collapse; font-size: .9rem; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; }
th, td { padding: .25rem .7rem; text-align: left; vertical-align: top; border-bottom: 1px solid #ddd; }
thead th { border-bottom: 2px solid #555; vertical-align: bottom; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 1.5rem 0 2.2rem; }
figure img { max-width: 100%; height: auto; }
.verdict { border: 1px solid #bbb; padding: .7rem 1rem; margin: .8rem 0; break-inside: avoid; }
.verdict p { margin: .3rem 0; }
.verdict dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: .4rem 0 0; }
dt { color: #555; }
dd { margin: 0; overflow-wrap: anywhere; }
.badge { display: inline-block; border: 2px solid; border-radius: .3rem; padding: 0 .5rem; font-weight: 700;
  white-space: nowrap; }
.reproduced { color: #00563f; background: #e3f4ee; }
.contradicted { color: #8f3000; background: #fdeadf; border-style: double; border-width: 4px; }
.not-comparable { color: #3d3d3d; background: #f0f0f0; border-style: dashed; }
.undecided { color: #00466f; background: #e6f1f8; border-style: dotted; }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; }
@media print { body { margin: 0; max-width: none; font-size: 11pt; } figure, tr { break-inside: avoid; }
  .wide { overflow: visible; } a { color: inherit; } }
)";

std::string class_of(Judgement judgement) {
  std::string name = name_of(judgement);
  for (char& c : name) {
    c = c == ' ' ? '-' : c;
  }
  return name;
}

const char* sign_of(Judgement judgement) {
  switch (judgement) {
    case Judgement::reproduced: return "✓";
    case Judgement::contradicted: return "✗";
    case Judgement::not_comparable: return "≠";
    case Judgement::undecided: return "?";
  }
  return "";
}

std::string list_html(const std::vector<std::string>& lines) {
  std::string text = "<ul>\n";
  for (const std::string& line : lines) {
    text += fmt::format("<li>{}</li>\n", html_escaped(line));
  }
  return text + "</ul>\n";
}

std::string facts_html(const std::vector<std::pair<std::string, std::string>>& facts) {
  std::string text = "<dl class=\"facts\">\n";
  for (const auto& [name, value] : facts) {
    text += fmt::format("<dt>{}</dt><dd>{}</dd>\n", html_escaped(name), html_escaped(value));
  }
  return text + "</dl>\n";
}

std::string verdict_html(const experiments::Verdict& v) {
  return fmt::format(
      "<div class=\"verdict\">\n<p>{} {}</p>\n<dl><dt>published</dt><dd>{}</dd>"
      "<dt>ours</dt><dd>{}</dd><dt>why</dt><dd>{}</dd></dl>\n</div>\n",
      badge(v.judgement), html_escaped(v.claim), html_escaped(v.published), html_escaped(v.ours),
      html_escaped(v.statistics));
}

std::string figure_html(const experiments::Figure& figure, const Picture& picture) {
  std::string text = "<figure>\n";
  if (picture.problem.empty()) {
    text += fmt::format("<img src=\"data:image/svg+xml;base64,{}\" alt=\"{}\">\n",
                        base64(picture.svg_content), html_escaped(figure.title));
  } else {
    text += fmt::format(
        "<p class=\"notice\">{}: no picture ({}). <code>gnuplot {}</code> draws "
        "it.</p>\n",
        html_escaped(figure.title), html_escaped(picture.problem), html_escaped(picture.script));
  }
  return text +
         fmt::format("<figcaption>{}</figcaption>\n</figure>\n", html_escaped(figure.caption));
}

std::string table_html(const experiments::ResultTable& table, const std::string& file) {
  return fmt::format(
      "<div class=\"wide\">\n{}</div>\n<p>All digits are in <a "
      "href=\"{}\">{}</a>.</p>\n",
      html_text(table), html_escaped(file), html_escaped(file));
}

}  // namespace

std::string badge(Judgement judgement) {
  return fmt::format("<span class=\"badge {}\">{} {}</span>", class_of(judgement),
                     sign_of(judgement), name_of(judgement));
}

std::string html_document(const std::string& title, const std::string& body) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n{}</body>\n</html>\n",
      html_escaped(title), kStyle, body);
}

std::string html_page(const Report& report, const Record& record,
                      const std::vector<Picture>& pictures) {
  std::string body = fmt::format(
      "<h1>{}</h1>\n<p class=\"question\">{}</p>\n<p class=\"source\">After: {}</p>\n",
      html_escaped(record.name), html_escaped(record.question), html_escaped(record.source));
  for (const std::string& notice : notices(record)) {
    body += fmt::format("<p class=\"notice\">{}</p>\n", html_escaped(notice));
  }
  if (!report.findings.empty()) {
    body += "<h2>Findings</h2>\n" + list_html(report.findings);
  }
  if (!report.verdicts.empty()) {
    body += "<h2>Beside the published work</h2>\n";
    for (const experiments::Verdict& verdict : report.verdicts) {
      body += verdict_html(verdict);
    }
  }
  for (std::size_t n = 0; n < report.figures.size(); ++n) {
    body += n == 0 ? "<h2>Figures</h2>\n" : "";
    body += figure_html(report.figures[n], pictures[n]);
  }
  for (std::size_t n = 0; n < report.tables.size(); ++n) {
    body += n == 0 ? "<h2>Tables</h2>\n" : "";
    body += table_html(report.tables[n], table_file(record.name, report, n));
  }
  body += "<h2>Set-up</h2>\n" + facts_html(setting_facts(record));
  if (!report.remarks.empty()) {
    body += list_html(report.remarks);
  }
  body += "<h2>The run</h2>\n" + facts_html(run_facts(record));
  return html_document(record.name, body);
}

}  // namespace basin::reproduction
