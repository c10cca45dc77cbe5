#include "tools/trainer/arguments.h"

#include <boost/program_options.hpp>
#include <set>
#include <sstream>

#include "nn/backbone.h"
#include "tasks/task.h"
#include "tensor/error.h"
#include "tools/report/text_file.h"
#include "tools/trainer/defaults.h"
#include "tools/trainer/settings.h"
#include "tools/trainer/suggest.h"
#include "tools/trainer/usage_error.h"

namespace basin::trainer {

namespace {

namespace po = boost::program_options;

const Option kHelp = {"help", "", "print this text"};
const Option kConfig = {"config", "FILE",
                        "read settings from lines 'name = value'; options go before them"};

std::vector<Option> options_of(const Syntax& syntax) {
  std::vector<Option> options = syntax.options;
  if (syntax.takes_settings && syntax.reads_config) {
    options.push_back(kConfig);
  }
  options.push_back(kHelp);
  return options;
}

// The defaults in brackets, by task where they differ.
std::string defaults_text(const Setting& setting) {
  std::vector<std::pair<std::string, std::string>> by_value;  // value, tasks or backbones
  const bool by_backbone = setting.section == std::string("Model");
  std::set<std::string> seen;
  std::string text;
  for (const tasks::TaskKind& task : tasks::task_kinds()) {
    for (const nn::BackboneKind& backbone : nn::backbone_kinds()) {
      const Configuration c = default_configuration(task.name, backbone.name);
      const std::string value = setting.write(c);
      if (!setting.no_effect(c).empty() || value.empty() || !seen.insert(value).second) {
        continue;
      }
      const std::string& of =
          by_backbone && task.name == tasks::task_kinds().front().name ? backbone.name : task.name;
      by_value.emplace_back(value, of);
    }
  }
  for (std::size_t n = 0; n < by_value.size(); ++n) {
    text +=
        n == 0 ? by_value[n].first : fmt::format("; {}: {}", by_value[n].second, by_value[n].first);
  }
  return text.empty() ? "" : fmt::format(" [{}]", text);
}

void describe(const Option& option, po::options_description& section) {
  const std::string name = option.name == "help" ? "help,h" : option.name;
  if (option.value.empty()) {
    section.add_options()(name.c_str(), option.help.c_str());
  } else {
    section.add_options()(name.c_str(), po::value<std::string>()->value_name(option.value),
                          option.help.c_str());
  }
}

po::options_description describe(const Syntax& syntax) {
  constexpr unsigned kColumns = 100;
  po::options_description all("", kColumns, kColumns / 2);
  po::options_description own("Options", kColumns, kColumns / 2);
  for (const Option& option : options_of(syntax)) {
    describe(option, own);
  }
  all.add(own);
  if (!syntax.takes_settings) {
    return all;
  }
  std::vector<std::string> sections;
  for (const Setting& setting : settings()) {
    if (sections.empty() || sections.back() != setting.section) {
      sections.push_back(setting.section);
    }
  }
  for (const std::string& name : sections) {
    po::options_description section(name, kColumns, kColumns / 2);
    for (const Setting& setting : settings()) {
      if (setting.section == name) {
        const bool needed = setting.name == "task" || setting.name == "backbone";
        const std::string help = setting.help + (needed ? "" : defaults_text(setting));
        describe(Option{setting.name, setting.value, help}, section);
      }
    }
    all.add(section);
  }
  return all;
}

std::vector<po::option> parse(const Syntax& syntax, const std::vector<std::string>& words) {
  namespace style = po::command_line_style;
  po::options_description described = describe(syntax);
  try {
    return po::command_line_parser(words)
        .options(described)
        .style(style::allow_long | style::long_allow_adjacent | style::long_allow_next |
               style::allow_short | style::allow_dash_for_short | style::short_allow_next)
        .allow_unregistered()
        .run()
        .options;
  } catch (const po::invalid_command_line_syntax& error) {
    const std::string name = error.get_option_name();
    switch (error.kind()) {
      case po::invalid_command_line_syntax::extra_parameter:
      case po::invalid_command_line_syntax::long_adjacent_not_allowed:
        wrong_usage("{} takes no value", name);
      default: wrong_usage("{} needs a value", name);
    }
  } catch (const po::error& error) {
    wrong_usage("{}", error.what());
  }
}

[[noreturn]] void unknown_option(const Syntax& syntax, const std::string& word) {
  std::vector<std::string> names;
  for (const Option& option : options_of(syntax)) {
    names.push_back("--" + option.name);
  }
  if (syntax.takes_settings) {
    for (const std::string& name : setting_names()) {
      names.push_back("--" + name);
    }
  }
  const std::string name = word.substr(0, word.find('='));
  wrong_usage("'{}' has no option '{}'{}", syntax.command, name, suggestion(name, names));
}

GivenValues settings_in_file(const std::string& path) {
  std::string text;
  try {
    text = report::read_text(path);
  } catch (const FileError& error) {
    throw FileError(fmt::format("--config {}", error.what()));
  }
  return given_by_ini(text, path);
}

}  // namespace

Arguments::Arguments(const Syntax& syntax, const std::vector<std::string>& words)
    : command_(syntax.command) {
  for (const po::option& option : parse(syntax, words)) {
    if (option.string_key.empty() && option.position_key >= 0) {
      operands_.insert(operands_.end(), option.value.begin(), option.value.end());
      continue;
    }
    if (option.unregistered) {
      unknown_option(syntax, option.original_tokens.front());
    }
    const std::string& name = option.string_key;
    const std::string value = option.value.empty() ? "" : option.value.front();
    const bool is_setting = syntax.takes_settings && find_setting(name) != nullptr;
    const bool fresh = is_setting ? settings_.insert({name, {value, "--" + name}}).second
                                  : values_.insert({name, value}).second;
    if (!fresh) {
      wrong_usage("--{} is given more than once", name);
    }
  }
  if (has("help")) {
    return;
  }
  if (!operands_.empty() && syntax.operands.empty()) {
    wrong_usage("'{}' takes options only; what is '{}'?", syntax.command, operands_.front());
  }
  if (has("config") && syntax.reads_config) {
    // insert() keeps what the command line said.
    settings_.merge(settings_in_file(value("config")));
  }
}

const std::string& Arguments::value(const std::string& name) const {
  const auto found = values_.find(name);
  if (found == values_.end()) {
    wrong_usage("--{} is missing; 'trainer {} --help' explains it", name, command_);
  }
  if (found->second.empty()) {
    wrong_usage("--{} is empty", name);
  }
  return found->second;
}

std::string Arguments::value_or(const std::string& name, const std::string& otherwise) const {
  return has(name) ? value(name) : otherwise;
}

std::string help_text(const Syntax& syntax) {
  std::ostringstream text;
  text << "usage: trainer " << syntax.command << (syntax.operands.empty() ? "" : " ")
       << syntax.operands << " [options]\n\n"
       << syntax.summary << "\n"
       << describe(syntax);
  return text.str();
}

}  // namespace basin::trainer
