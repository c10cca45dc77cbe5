#include "tools/trainer/sweep_file.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "nn/backbone.h"
#include "tasks/task.h"
#include "tools/trainer/defaults.h"
#include "tools/trainer/ini.h"
#include "tools/trainer/settings.h"
#include "tools/trainer/suggest.h"
#include "tools/trainer/usage_error.h"
#include "tools/trainer/values.h"

namespace basin::trainer {

namespace {

constexpr std::int64_t kMostTrials = 10'000;
constexpr const char* kSections[] = {"grid", "random"};

// The text of each section by its name, "" for what comes before the first, with the lines of all
// others left empty: line numbers stay what they are.
std::map<std::string, std::string> split_sections(const std::string& text,
                                                  const std::string& origin) {
  std::map<std::string, std::string> sections = {{"", ""}};
  std::string current;
  int number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    ++number;
    const std::size_t first = line.find_first_not_of(" \t\r");
    if (first != std::string::npos && line[first] == '[') {
      line = line.substr(first, line.find_last_not_of(" \t\r") - first + 1);
      const std::string name = line.substr(1, line.size() - 2);
      if (line.back() != ']' || std::count(std::begin(kSections), std::end(kSections), name) == 0) {
        wrong_usage("{}:{}: the sections are [grid] and [random], not {}", origin, number, line);
      }
      if (!sections.insert({name, std::string(static_cast<std::size_t>(number - 1), '\n')})
               .second) {
        wrong_usage("{}:{}: the section {} is there a second time", origin, number, line);
      }
      current = name;
      line.clear();
    }
    for (auto& [name, section] : sections) {
      section.append(name == current ? line : "").append("\n");
    }
  }
  return sections;
}

// How the setting writes the value that somebody wrote. Throws UsageError for one that cannot be.
std::string canonical(const Setting& setting, const std::string& text, const std::string& origin) {
  // Which task and backbone does not matter for reading one value.
  Configuration scratch =
      default_configuration(tasks::task_kinds().front().name, nn::backbone_kinds().front().name);
  setting.read(scratch, text, origin);
  return setting.write(scratch);
}

std::string place_of(const IniEntry& entry, const std::string& origin) {
  return fmt::format("{}:{}: {}", origin, entry.line, entry.name);
}

class Parser {
 public:
  Parser(const std::string& origin) : origin_(origin) {}

  SweepFile parse(const std::string& text) {
    sweep_.origin = origin_;
    const auto sections = split_sections(text, origin_);
    parse_fixed(sections.at(""));
    if (sections.count("grid") != 0) {
      parse_grid(sections.at("grid"));
    }
    if (sections.count("random") != 0) {
      parse_random(sections.at("random"));
    }
    return std::move(sweep_);
  }

 private:
  const Setting& setting_of(const IniEntry& entry, std::vector<std::string> others) {
    const Setting* setting = find_setting(entry.name);
    if (setting == nullptr) {
      const std::vector<std::string> names = setting_names();
      others.insert(others.end(), names.begin(), names.end());
      wrong_usage("{}:{}: there is no setting '{}'{}", origin_, entry.line, entry.name,
                  suggestion(entry.name, others));
    }
    return *setting;
  }

  // A name stands in one place of the file.
  void only_once(const IniEntry& entry) {
    const auto [earlier, fresh] = lines_.insert({entry.name, entry.line});
    if (!fresh) {
      wrong_usage("{} is there a second time, after line {}", place_of(entry, origin_),
                  earlier->second);
    }
  }

  void parse_fixed(const std::string& text) {
    for (const IniEntry& entry : parse_ini(text, origin_)) {
      only_once(entry);
      const std::string place = place_of(entry, origin_);
      if (entry.name == "seeds") {
        sweep_.seeds = read_seeds(entry.value, place);
        continue;
      }
      canonical(setting_of(entry, {"seeds"}), entry.value, place);
      sweep_.fixed.insert({entry.name, {entry.value, place}});
    }
    if (lines_.count("seed") != 0 && lines_.count("seeds") != 0) {
      wrong_usage("{}:{}: seeds takes the place of seed in line {}; leave one of them out", origin_,
                  lines_.at("seeds"), lines_.at("seed"));
    }
  }

  void check_varied(const IniEntry& entry) {
    only_once(entry);
    if (entry.name == "seed" || entry.name == "seeds") {
      wrong_usage(
          "{}: seeds stand before the sections, as in 'seeds = 0, 1, 2': every "
          "configuration is run with each",
          place_of(entry, origin_));
    }
  }

  void parse_grid(const std::string& text) {
    for (const IniEntry& entry : parse_ini(text, origin_)) {
      check_varied(entry);
      const Setting& setting = setting_of(entry, {});
      GridAxis axis{entry.name, {}, place_of(entry, origin_)};
      for (const std::string& value : split_list(entry.value, axis.origin)) {
        axis.values.push_back(canonical(setting, value, axis.origin));
        if (std::count(axis.values.begin(), axis.values.end(), axis.values.back()) > 1) {
          wrong_usage("{} lists {} twice", axis.origin, axis.values.back());
        }
      }
      sweep_.grid.push_back(std::move(axis));
    }
  }

  void parse_random(const std::string& text) {
    for (const IniEntry& entry : parse_ini(text, origin_)) {
      const std::string place = place_of(entry, origin_);
      if (entry.name == "trials") {
        only_once(entry);
        sweep_.trials = read_whole(entry.value, 1, kMostTrials, place);
      } else if (entry.name == "sweep-seed") {
        only_once(entry);
        sweep_.sweep_seed = read_seed(entry.value, place);
      } else {
        check_varied(entry);
        parse_distribution(entry, setting_of(entry, {"trials", "sweep-seed"}));
      }
    }
    if (sweep_.trials == 0 && !sweep_.random.empty()) {
      wrong_usage("{} is drawn, but a line 'trials = N' that says how often is missing in [random]",
                  sweep_.random.front().origin);
    }
    if (sweep_.trials > 0 && sweep_.random.empty()) {
      wrong_usage("{}:{}: trials, but [random] has no setting to draw", origin_,
                  lines_.at("trials"));
    }
  }

  // Finds values that cannot be without waiting for them to be drawn.
  void parse_distribution(const IniEntry& entry, const Setting& setting) {
    const std::string place = place_of(entry, origin_);
    RandomAxis axis{entry.name, Distribution(entry.value, place), place};
    const std::vector<std::string> extremes = axis.distribution.extremes();
    for (const std::string& value : extremes) {
      canonical(setting, value, place);
    }
    axis.distribution.rewrite_choices(
        [&](const std::string& value) { return canonical(setting, value, place); });
    if (axis.distribution.is_real()) {
      SweepGenerator generator(0);
      const std::string value = axis.distribution.draw(generator);
      try {
        canonical(setting, value, place);
      } catch (const UsageError& error) {
        wrong_usage("{} (drawn from '{}'; 'integer A B' draws whole numbers)", error.what(),
                    entry.value);
      }
    }
    sweep_.random.push_back(std::move(axis));
  }

  const std::string& origin_;
  SweepFile sweep_;
  std::map<std::string, int> lines_;  // where a name was
};

}  // namespace

SweepFile parse_sweep(const std::string& text, const std::string& origin) {
  return Parser(origin).parse(text);
}

std::vector<std::uint64_t> read_seeds(const std::string& text, const std::string& origin) {
  std::vector<std::uint64_t> seeds;
  if (text.find(',') == std::string::npos) {
    const std::int64_t count = read_whole(text, 1, kMostTrials, origin);
    for (std::int64_t seed = 0; seed < count; ++seed) {
      seeds.push_back(static_cast<std::uint64_t>(seed));
    }
    return seeds;
  }
  for (const std::string& part : split_list(text, origin)) {
    seeds.push_back(read_seed(part, origin));
    if (std::count(seeds.begin(), seeds.end(), seeds.back()) > 1) {
      wrong_usage("{} lists {} twice", origin, part);
    }
  }
  return seeds;
}

void override_fixed(SweepFile& sweep, const GivenValues& given) {
  for (const auto& [name, value] : given) {
    const auto refuse_if_varied = [&, &setting = name](const auto& axes) {
      for (const auto& axis : axes) {
        if (axis.setting == setting) {
          wrong_usage("{} cannot be fixed: {} varies it", value.origin, axis.origin);
        }
      }
    };
    refuse_if_varied(sweep.grid);
    refuse_if_varied(sweep.random);
    sweep.fixed[name] = value;
    if (name == "seed") {
      sweep.seeds.clear();
    }
  }
}

void set_seeds(SweepFile& sweep, const std::string& text) {
  const auto seed = sweep.fixed.find("seed");
  if (seed != sweep.fixed.end() && seed->second.origin == "--seed") {
    wrong_usage("--seed and --seeds exclude each other");
  }
  sweep.seeds = read_seeds(text, "--seeds");
}

std::string to_text(const SweepFile& sweep) {
  std::string text =
      "# What this sweep varies, and what it keeps; 'trainer sweep --config' reads "
      "it.\n";
  for (const Setting& setting : settings()) {
    const auto found = sweep.fixed.find(setting.name);
    if (found != sweep.fixed.end() && (setting.name != "seed" || sweep.seeds.empty())) {
      text += ini_line(setting.name, found->second.text);
    }
  }
  if (!sweep.seeds.empty()) {
    // A number alone says how many: the only list of one that can be asked for is seed 0.
    const bool single = sweep.seeds.size() == 1;
    text += ini_line("seeds", single ? "1" : fmt::format("{}", fmt::join(sweep.seeds, ", ")));
  }
  if (!sweep.grid.empty()) {
    text += "\n[grid]\n";
    for (const GridAxis& axis : sweep.grid) {
      text += ini_line(axis.setting, fmt::format("{}", fmt::join(axis.values, ", ")));
    }
  }
  if (!sweep.random.empty()) {
    text += "\n[random]\n";
    for (const RandomAxis& axis : sweep.random) {
      text += ini_line(axis.setting, axis.distribution.text());
    }
    text += ini_line("trials", fmt::format("{}", sweep.trials));
    text += ini_line("sweep-seed", fmt::format("{}", sweep.sweep_seed));
  }
  return text;
}

}  // namespace basin::trainer
