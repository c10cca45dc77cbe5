// The files of a report: what stands in them, and that no text of an experiment becomes markup.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "tensor/error.h"
#include "tests/reproduction/made_up.h"
#include "tests/reproduction/temporary_folder.h"
#include "tools/report/csv.h"
#include "tools/reproduction/axis.h"
#include "tools/reproduction/escapes.h"
#include "tools/reproduction/figure.h"
#include "tools/reproduction/files.h"
#include "tools/reproduction/index_page.h"
#include "tools/reproduction/tables.h"

namespace basin::reproduction {
namespace {

using experiments::Column;

std::string content(const std::string& path) {
  std::ostringstream stream;
  stream << std::ifstream(path).rdbuf();
  return stream.str();
}

Record a_record() {
  Record record;
  record.name = "made-up";
  record.source = "nobody & <sons>";
  record.question = "Does it " + made_up::kHostile + "?";
  record.protocol_text = "corrected";
  record.settings.size = experiments::Size::small;
  record.sessions = {this_session(Device::cpu)};
  record.parts_of_session = {2};
  record.seconds = {{"a=1", 0.5}, {"a,\"2\"", 61.25}};
  record.command = "trainer reproduce made-up --out 'a b'";
  return record;
}

bool has_gnuplot() { return std::system("gnuplot --version > /dev/null 2>&1") == 0; }

TEST(Escapes, Html) {
  EXPECT_EQ(html_escaped("<a href=\"x\">'&'\n"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39; ");
}

TEST(Escapes, Markdown) {
  EXPECT_EQ(markdown_escaped("a*b `c` [d] <e> & \\ $x$\nf"),
            "a\\*b \\`c\\` \\[d\\] &lt;e> &amp; \\\\ \\$x\\$ f");
}

TEST(Escapes, Base64OfRfc4648) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(base64(bytes), text);
  }
  EXPECT_EQ(base64(std::string("\xff\xfe\x00", 3)), "//4A");
}

TEST(Tables, CellsAsPeopleReadThem) {
  const Column two = {"x", "", 2};
  EXPECT_EQ(cell_text(1.005, two), "1.00");
  EXPECT_EQ(cell_text(12345.678, two), "12345.68");
  EXPECT_EQ(cell_text(1.2e-7, two), "1.20e-07");
  EXPECT_EQ(cell_text(-0.0, two), "0.00");
  EXPECT_EQ(cell_text(3.2e12, two), "3.20e+12");
  EXPECT_EQ(cell_text(made_up::kNan, two), "nan");
  EXPECT_EQ(cell_text(-made_up::kInfinity, two), "−∞");
  EXPECT_EQ(cell_text(experiments::Cell(), two), "–");
  EXPECT_EQ(cell_text(std::int64_t{7}, two), "7");
}

TEST(Tables, CsvHasAllDigits) {
  const auto records = report::parse_csv(csv_text(made_up::report().tables[0]));
  ASSERT_EQ(records.size(), 5U);
  EXPECT_EQ(records[0],
            (std::vector<std::string>{"length (tokens)", "model", "accuracy, mean (%)"}));
  EXPECT_EQ(std::stod(records[1][2]), 91.23456789012345);
  EXPECT_EQ(records[2][1], made_up::kHostile);
  EXPECT_EQ(records[2][2], "nan");
  EXPECT_EQ(records[3][2], "");
  EXPECT_EQ(records[4][2], "-inf");
}

TEST(Tables, RowsOfAnotherWidth) {
  experiments::ResultTable table = made_up::report().tables[0];
  table.rows[1].pop_back();
  EXPECT_THROW(check(table), Error);
}

TEST(Files, EverythingIsThereAndNothingIsMarkup) {
  const TemporaryFolder folder;
  // Whoever wants to look at them: BASIN_GALLERY=folder.
  const char* const gallery = std::getenv("BASIN_GALLERY");
  const std::string path = gallery != nullptr ? gallery : folder.path();
  std::string problem;
  const auto files = write_report(path, made_up::report(), a_record(), problem);
  EXPECT_EQ(files.front(), "made-up.html");
  for (const std::string& file : files) {
    EXPECT_GT(std::filesystem::file_size(path + "/" + file), 0U) << file;
  }
  EXPECT_EQ(problem, has_gnuplot() ? "" : "gnuplot is not installed");
  const std::string html = content(path + "/made-up.html");
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_NE(html.find("&lt;script&gt;"), std::string::npos);
  // Nothing from elsewhere: pictures are in the page, links are files beside it.
  const std::regex targets("(src|href)=\"([^\"]{0,20})");
  const std::sregex_iterator end;
  for (std::sregex_iterator at(html.begin(), html.end(), targets); at != end; ++at) {
    const std::string target = (*at)[2];
    EXPECT_TRUE(target.starts_with("data:image/svg") || target.starts_with("made-up")) << target;
  }
  for (const char* word : {"✓ reproduced", "✗ contradicted", "≠ not comparable", "? undecided"}) {
    EXPECT_NE(html.find(word), std::string::npos) << word;
  }
  const std::string markdown = content(path + "/made-up.md");
  EXPECT_EQ(markdown.find("<script"), std::string::npos);
  EXPECT_NE(markdown.find("| **contradicted** | capacity 0.14 N &amp; &lt;more> | 0.14 |"),
            std::string::npos);
  EXPECT_NE(markdown.find("91.23"), std::string::npos);
  EXPECT_NE(markdown.find("\n## The run\n"), std::string::npos);
  const auto seconds = report::parse_csv(content(path + "/made-up_seconds.csv"));
  EXPECT_EQ(seconds[1], (std::vector<std::string>{"a,\"2\"", "61.25"}));
}

TEST(Files, ReportsThatCannotBeWritten) {
  const TemporaryFolder folder;
  std::string problem;
  const auto write = [&](auto change) {
    experiments::Report report = made_up::report();
    report.figures.resize(1);
    change(report);
    write_report(folder.path(), report, a_record(), problem);
  };
  EXPECT_THROW(write([](auto& r) { r.tables.clear(); }), Error);
  EXPECT_THROW(write([](auto& r) { r.tables[1].name = "recall"; }), Error);
  EXPECT_THROW(write([](auto& r) { r.tables[1].name = "../recall"; }), Error);
  EXPECT_THROW(write([](auto& r) { r.figures[0].name = ""; }), Error);
  EXPECT_THROW(write([](auto& r) { r.tables[0].rows[0].pop_back(); }), Error);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Files, WithoutGnuplotTheScriptsStay) {
  const TemporaryFolder folder;
  std::ofstream(folder.file("made-up_usual.svg")) << "of an earlier run";
  const std::string path = std::getenv("PATH");
  setenv("PATH", folder.path().c_str(), 1);
  std::string problem;
  experiments::Report report = made_up::report();
  report.figures.resize(1);
  const auto files = write_report(folder.path(), report, a_record(), problem);
  setenv("PATH", path.c_str(), 1);
  EXPECT_EQ(problem, "gnuplot is not installed");
  EXPECT_TRUE(std::filesystem::exists(folder.file("made-up_usual.gp")));
  EXPECT_FALSE(std::filesystem::exists(folder.file("made-up_usual.svg")));
  for (const char* file : {"made-up.md", "made-up.html"}) {
    EXPECT_NE(content(folder.file(file)).find("gnuplot is not installed"), std::string::npos);
  }
}

TEST(Figures, GridsThatDoNotFit) {
  experiments::Figure figure = made_up::energy();
  figure.grid->values.pop_back();
  EXPECT_THROW((void)figure_script(figure, "a.svg", "a.png"), Error);
  figure = made_up::basins();
  figure.grid->values[0] = 1e6;
  EXPECT_THROW((void)figure_script(figure, "a.svg", "a.png"), Error);
}

TEST(Axes, RangesOfData) {
  const Axis plain = axis_for({1.0, 3.0, made_up::kNan, made_up::kInfinity}, false, {});
  EXPECT_DOUBLE_EQ(plain.low, 0.92);
  EXPECT_DOUBLE_EQ(plain.high, 3.08);
  const Axis one = axis_for({5.0}, false, {});
  EXPECT_LT(one.low, 5.0);
  EXPECT_GT(one.high, 5.0);
  const Axis log = axis_for({0.0, -1.0, 10.0, 1000.0}, true, {});
  EXPECT_NEAR(log.low, 10.0 / std::pow(10.0, 0.08), 1e-9);
  EXPECT_TRUE(axis_for({}, true, {}).low > 0.0);
  EXPECT_EQ(axis_for({5.0}, false, {{0.0, 2.0}}).high, 2.0);
  // No range: the data decide.
  EXPECT_GT(axis_for({5.0}, false, {{2.0, 2.0}}).high, 5.0);
  Axis roomy = axis_for({0.0, 10.0}, false, {{0.0, 10.0}});
  make_room(roomy, {-1.0, 1e9});
  EXPECT_EQ(roomy.low, -1.0);
  EXPECT_EQ(roomy.high, 15.0);
}

TEST(Axes, TicsOfLogarithms) {
  const auto tics = [](double low, double high, const std::vector<double>& values) {
    return axis_commands('x', axis_for({}, true, {{low, high}}), values);
  };
  EXPECT_NE(tics(900, 9000, {1024, 2048, 4096, 8192}).find("\"2048\" 2048"), std::string::npos);
  EXPECT_NE(tics(1e-9, 1e12, {}).find("\"10^{6}\""), std::string::npos);
  EXPECT_NE(tics(1, 100, {}).find("\"50\" 50"), std::string::npos);
  EXPECT_NE(tics(100, 120, {}).find("\"110\" 110"), std::string::npos);
}

TEST(Index, VerdictsAndWhatIsMissing) {
  const std::vector<IndexEntry> entries = {
      {"made-up", "Does it & how?", "short", made_up::report().verdicts, ""},
      {"without", "Would it?", "short", {}, "there is no <file>"}};
  for (const std::string& text : {index_html(entries), index_markdown(entries)}) {
    EXPECT_NE(text.find("4 claims: 1 reproduced, 1 contradicted, 1 not comparable, 1 undecided. 1 "
                        "of 2 experiments were left out."),
              std::string::npos)
        << text;
    EXPECT_NE(text.find("there is no &lt;file"), std::string::npos);
    EXPECT_EQ(text.find("<script"), std::string::npos);
  }
}

}  // namespace
}  // namespace basin::reproduction
