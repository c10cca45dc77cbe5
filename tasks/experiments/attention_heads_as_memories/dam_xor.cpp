#include "tasks/experiments/attention_heads_as_memories/dam_xor.h"

#include <fmt/format.h>

#include "tensor/functions/label_evidence.h"
#include "tensor/functions/matmul.h"

namespace basin::experiments {

namespace dam_xor_parts {

constexpr Interaction kInteractions[] = {Interaction::rectified, Interaction::power,
                                         Interaction::exponential};
constexpr const char* kInputs[] = {"(- -)", "(- +)", "(+ -)", "(+ +)"};

const char* formula(Interaction interaction) {
  switch (interaction) {
    case Interaction::power: return "z^n";
    case Interaction::rectified: return "max(z, 0)^n";
    case Interaction::exponential: break;
  }
  return "e^(n (z - 1))";
}

// Exponentials are not whole numbers: a few of them say as much as many.
std::int64_t most_degree(Interaction interaction, Size size) {
  return interaction == Interaction::exponential ? 3 : size == Size::smoke ? 8 : kMostXorDegree;
}

std::vector<Part> parts(const Settings& settings) {
  std::vector<Part> all;
  for (const Interaction interaction : kInteractions) {
    const std::int64_t most = most_degree(interaction, settings.size);
    all.push_back({std::string("interaction=") + name_of(interaction), static_cast<double>(most),
                   [=](const Progress& progress) {
                     nlohmann::json rows = nlohmann::json::array();
                     for (std::int64_t n = 1; n <= most; ++n) {
                       const XorEvidence found = xor_evidence(interaction, n);
                       rows.push_back({{"degree", n},
                                       {"evidence", found.evidence},
                                       {"right", found.right},
                                       {"ties", found.ties}});
                       progress.tell(static_cast<double>(n) / static_cast<double>(most),
                                     fmt::format("{}, n = {}", formula(interaction), n));
                     }
                     return rows;
                   }});
  }
  return all;
}

std::string answer_text(int right, int ties) {
  if (right == 4) {
    return "solved";
  }
  return ties == 4 ? "tie" : fmt::format("{} of 4 right, {} ties", right, ties);
}

ResultTable table_of(const Results& results) {
  ResultTable table{"xor", "Evidence for the answer +, by energy and input", {}, {}};
  table.columns = {{"F", "", 0}, {"degree n", "", 0}};
  for (const char* input : kInputs) {
    table.columns.push_back({std::string("evidence for + at ") + input, "", 0});
  }
  table.columns.push_back({"right answers of 4", "", 0});
  table.columns.push_back({"ties of 4", "", 0});
  table.columns.push_back({"outcome", "", 0});
  for (const Interaction interaction : kInteractions) {
    for (const auto& row : results.at(std::string("interaction=") + name_of(interaction))) {
      std::vector<Cell> cells = {std::string(formula(interaction)),
                                 row.at("degree").get<std::int64_t>()};
      for (const auto& value : row.at("evidence")) {
        const auto number = value.get<double>();
        if (interaction == Interaction::exponential) {
          cells.emplace_back(number);
        } else {
          cells.emplace_back(static_cast<std::int64_t>(number));  // exact
        }
      }
      const int right = row.at("right").get<int>();
      const int ties = row.at("ties").get<int>();
      cells.emplace_back(std::int64_t{right});
      cells.emplace_back(std::int64_t{ties});
      cells.emplace_back(answer_text(right, ties));
      table.rows.push_back(cells);
    }
  }
  return table;
}

// The degrees up to `most` of which `expected` says whether they solve XOR, and how many of them do
// not behave so. Where it is not solved every input must be a tie.
struct Agreement {
  std::int64_t degrees = 0;
  std::int64_t solved = 0;
  std::int64_t tied = 0;
};

template <class Chosen>
Agreement count(const nlohmann::json& rows, Chosen&& chosen) {
  Agreement found;
  for (const auto& row : rows) {
    if (chosen(row.at("degree").get<std::int64_t>())) {
      ++found.degrees;
      found.solved += row.at("right").get<int>() == 4 ? 1 : 0;
      found.tied += row.at("ties").get<int>() == 4 ? 1 : 0;
    }
  }
  return found;
}

Verdict verdict_of(const std::string& claim, const std::string& which, const Agreement& found,
                   bool should_solve) {
  Verdict verdict;
  verdict.claim = claim;
  verdict.published = should_solve ? "solved" : "tie at every input";
  const std::int64_t as_said = should_solve ? found.solved : found.tied;
  verdict.ours = fmt::format("{} for {} of {} degrees ({})", should_solve ? "solved" : "tie",
                             as_said, found.degrees, which);
  verdict.statistics =
      "exact: every term is a whole number that f64 holds, nothing is drawn, all four inputs are "
      "tried";
  verdict.judgement = found.degrees == 0         ? Judgement::undecided
                      : as_said == found.degrees ? Judgement::reproduced
                                                 : Judgement::contradicted;
  return verdict;
}

Figure figure_of(const Results& results) {
  Figure figure;
  figure.name = "right";
  figure.title = "XOR in a dense associative memory";
  figure.caption =
      "Right answers to the four inputs of XOR, by the degree of the energy. A tie is no answer. "
      "Exact numbers, no intervals.";
  figure.x_label = "degree n";
  figure.y_label = "right answers of 4";
  figure.y_range = {{-0.2, 4.4}};
  for (const Interaction interaction : {Interaction::rectified, Interaction::power}) {
    Series series{formula(interaction), Series::Kind::line, {}};
    for (const auto& row : results.at(std::string("interaction=") + name_of(interaction))) {
      series.points.push_back(
          {row.at("degree").get<double>(), row.at("right").get<double>(), {}, {}});
    }
    figure.series.push_back(series);
  }
  figure.levels = {{"guessing (2 of 4)", 2.0}, {"best straight line (3 of 4)", 3.0}};
  return figure;
}

Report report(const Settings& settings, const Results& results) {
  Report report;
  report.tables = {table_of(results)};
  report.figures = {figure_of(results)};
  const auto& rectified = results.at("interaction=rectified");
  const auto& power = results.at("interaction=power");
  const std::string most = std::to_string(most_degree(Interaction::power, settings.size));
  report.verdicts = {
      verdict_of("Rectified powers solve XOR from degree 2 on (Krotov, Hopfield 2016; memo)",
                 "n = 2 to " + most, count(rectified, [](auto n) { return n >= 2; }), true),
      verdict_of("z^n solves XOR for odd n from 3 on (Krotov, Hopfield 2016; memo)",
                 "n = 3, 5, ... to " + most,
                 count(power, [](auto n) { return n >= 3 && n % 2 == 1; }), true),
      verdict_of("z^n of even degree cannot tell the answers apart: a tie (memo)",
                 "n = 2, 4, ... to " + most, count(power, [](auto n) { return n % 2 == 0; }),
                 false)};
  const auto solves = [](const nlohmann::json& rows) {
    std::int64_t least = 0;
    for (const auto& row : rows) {
      if (least == 0 && row.at("right").get<int>() == 4) {
        least = row.at("degree").get<std::int64_t>();
      }
    }
    return least == 0 ? std::string("at no degree tried") : fmt::format("from n = {} on", least);
  };
  report.findings = {
      fmt::format("max(z, 0)^n answers all four inputs {}, z^n {} (odd degrees only), the "
                  "exponential {}.",
                  solves(rectified), solves(power), solves(results.at("interaction=exponential"))),
      "Degree 1 is a tie with and without the rectifier: its sum over the four memories knows no "
      "product of the two inputs."};
  report.remarks = {
      "Memories (- - -), (- + +), (+ - +), (+ + -): the four rows of the table of XOR, - for 0.",
      "The answer is the sign of the evidence; an evidence of exactly 0 is a tie, and counts as no "
      "right answer.",
      "Baselines: guessing is right in 2 of 4 on average, the best linear threshold in 3 of 4.",
      "The exponential is not made of whole numbers; its evidence is far from 0 and needs no exact "
      "arithmetic.",
      "Nothing is random: seeds, repetitions and intervals have no meaning here."};
  return report;
}

}  // namespace dam_xor_parts

XorEvidence xor_evidence(Interaction interaction, std::int64_t degree) {
  const Tensor visible =
      Tensor::from<double>({4, 2}, std::vector<double>{-1, -1, -1, 1, 1, -1, 1, 1});
  const Tensor answers = Tensor::from<double>({4, 1}, std::vector<double>{-1, 1, 1, -1});
  // The inputs are the visible parts of the memories.
  const Tensor overlaps = matmul(visible, visible.transpose(0, 1));
  const std::vector<double> evidence =
      label_evidence(overlaps, answers, {interaction, degree, 1.0}).to_vector<double>();
  XorEvidence found;
  for (std::size_t input = 0; input < 4; ++input) {
    found.evidence[input] = evidence[input];
    found.right += evidence[input] * answers.to_vector<double>()[input] > 0.0 ? 1 : 0;
    found.ties += evidence[input] == 0.0 ? 1 : 0;
  }
  return found;
}

Experiment dam_xor() {
  using namespace dam_xor_parts;
  return {"dam-xor",
          "Attention heads as associative memories (memo); D. Krotov, J. Hopfield 2016",
          "Which energies let a dense associative memory compute XOR?",
          "",
          parts,
          report,
          "",
          false};
}

}  // namespace basin::experiments
