#include "tools/reproduction/index_page.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "tools/report/table.h"
#include "tools/reproduction/escapes.h"
#include "tools/reproduction/html.h"

namespace basin::reproduction {

namespace {

using experiments::Judgement;
using experiments::Verdict;

// "12 claims: 8 reproduced, 3 contradicted, 1 not comparable".
std::string counts_text(const std::vector<IndexEntry>& entries) {
  std::size_t all = 0;
  std::vector<std::string> parts;
  for (const Judgement judgement : {Judgement::reproduced, Judgement::contradicted,
                                    Judgement::not_comparable, Judgement::undecided}) {
    std::size_t count = 0;
    for (const IndexEntry& entry : entries) {
      count += static_cast<std::size_t>(
          std::count_if(entry.verdicts.begin(), entry.verdicts.end(),
                        [&](const Verdict& v) { return v.judgement == judgement; }));
    }
    all += count;
    if (count > 0) {
      parts.push_back(fmt::format("{} {}", count, name_of(judgement)));
    }
  }
  std::string text = fmt::format("{} claims", all);
  if (!parts.empty()) {
    text += fmt::format(": {}", fmt::join(parts, ", "));
  }
  const auto left_out = std::count_if(entries.begin(), entries.end(),
                                      [](const IndexEntry& e) { return !e.problem.empty(); });
  return left_out == 0 ? text + "."
                       : fmt::format("{}. {} of {} experiments were left out.", text, left_out,
                                     entries.size());
}

constexpr const char* kTitle = "Published studies, reproduced";

}  // namespace

std::string index_markdown(const std::vector<IndexEntry>& entries) {
  report::Table verdicts({{"experiment"}, {"verdict"}, {"claim"}, {"published"}, {"ours"}});
  std::string done;
  std::string left_out;
  for (const IndexEntry& entry : entries) {
    if (!entry.problem.empty()) {
      left_out += fmt::format("- **{}**: {}\n", entry.name, markdown_escaped(entry.problem));
      continue;
    }
    done += fmt::format("- [{}]({}.md) ({}): {}\n", entry.name, entry.name, entry.size,
                        markdown_escaped(entry.question));
    for (const Verdict& v : entry.verdicts) {
      verdicts.add({fmt::format("[{}]({}.md)", entry.name, entry.name),
                    fmt::format("**{}**", name_of(v.judgement)), markdown_escaped(v.claim),
                    markdown_escaped(v.published), markdown_escaped(v.ours)});
    }
  }
  std::string text = fmt::format("# {}\n\n{}\n", kTitle, counts_text(entries));
  if (!left_out.empty()) {
    text += "\n## Left out\n\n" + left_out;
  }
  if (!done.empty()) {
    text += "\n## Verdicts\n\n" + verdicts.markdown() + "\n## Experiments\n\n" + done;
  }
  return text;
}

std::string index_html(const std::vector<IndexEntry>& entries) {
  std::string rows;
  std::string done;
  std::string left_out;
  for (const IndexEntry& entry : entries) {
    const std::string name = html_escaped(entry.name);
    if (!entry.problem.empty()) {
      left_out += fmt::format("<dt>{}</dt><dd>{}</dd>\n", name, html_escaped(entry.problem));
      continue;
    }
    const std::string link = fmt::format("<a href=\"{0}.html\">{0}</a>", name);
    done += fmt::format("<dt>{}</dt><dd>{} ({})</dd>\n", link, html_escaped(entry.question),
                        html_escaped(entry.size));
    for (const Verdict& v : entry.verdicts) {
      rows += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                          link, badge(v.judgement), html_escaped(v.claim),
                          html_escaped(v.published), html_escaped(v.ours));
    }
  }
  std::string body = fmt::format("<h1>{}</h1>\n<p class=\"question\">{}</p>\n", kTitle,
                                 html_escaped(counts_text(entries)));
  if (!left_out.empty()) {
    body += "<h2>Left out</h2>\n<dl class=\"facts\">\n" + left_out + "</dl>\n";
  }
  if (!done.empty()) {
    body +=
        "<h2>Verdicts</h2>\n<div class=\"wide\">\n<table>\n<thead><tr><th "
        "scope=\"col\">experiment</th><th scope=\"col\">verdict</th><th scope=\"col\">claim</th>"
        "<th scope=\"col\">published</th><th scope=\"col\">ours</th></tr></thead>\n<tbody>\n" +
        rows + "</tbody>\n</table>\n</div>\n<h2>Experiments</h2>\n<dl class=\"facts\">\n" + done +
        "</dl>\n";
  }
  return html_document(kTitle, body);
}

}  // namespace basin::reproduction
