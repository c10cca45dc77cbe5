#include "tools/command_line/options.h"

#include <boost/program_options.hpp>
#include <charconv>
#include <sstream>

#include "tools/trainer/suggest.h"
#include "tools/trainer/usage_error.h"
#include "tools/trainer/values.h"

namespace basin::command_line {

namespace {

namespace po = boost::program_options;
using trainer::wrong_usage;

po::options_description describe(const Syntax& syntax) {
  constexpr unsigned kColumns = 100;
  po::options_description described("Options", kColumns, kColumns / 2);
  for (const Option& option : syntax.options) {
    if (option.value.empty()) {
      described.add_options()(option.name.c_str(), option.help.c_str());
    } else if (option.many) {
      described.add_options()(
          option.name.c_str(),
          po::value<std::vector<std::string>>()->multitoken()->value_name(option.value),
          option.help.c_str());
    } else {
      described.add_options()(option.name.c_str(),
                              po::value<std::string>()->value_name(option.value),
                              option.help.c_str());
    }
  }
  described.add_options()("help,h", "print this text");
  return described;
}

std::vector<po::option> parse(const Syntax& syntax, const std::vector<std::string>& words) {
  namespace style = po::command_line_style;
  const po::options_description described = describe(syntax);
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
  std::vector<std::string> names = {"--help"};
  for (const Option& option : syntax.options) {
    names.push_back("--" + option.name);
  }
  const std::string name = word.substr(0, word.find('='));
  wrong_usage("'{}' has no option '{}'{}", syntax.command, name, trainer::suggestion(name, names));
}

}  // namespace

Options::Options(const Syntax& syntax, const std::vector<std::string>& words)
    : command_(syntax.command) {
  for (const po::option& option : parse(syntax, words)) {
    if (option.string_key.empty() && option.position_key >= 0) {
      if (!syntax.operands.empty()) {
        operands_.insert(operands_.end(), option.value.begin(), option.value.end());
        continue;
      }
      wrong_usage("'{}' takes options only; what is '{}'?", syntax.command, option.value.front());
    }
    if (option.unregistered) {
      unknown_option(syntax, option.original_tokens.front());
    }
    if (!values_.emplace(option.string_key, option.value).second) {
      wrong_usage("--{} is given more than once", option.string_key);
    }
  }
}

const std::vector<std::string>& Options::values(const std::string& name) const {
  const auto found = values_.find(name);
  if (found == values_.end()) {
    wrong_usage("--{} is missing; '{} --help' explains it", name, command_);
  }
  for (const std::string& value : found->second) {
    if (value.empty()) {
      wrong_usage("--{} is empty", name);
    }
  }
  return found->second;
}

std::string Options::value_or(const std::string& name, const std::string& otherwise) const {
  return has(name) ? value(name) : otherwise;
}

std::int64_t Options::number_or(const std::string& name, std::int64_t otherwise, std::int64_t least,
                                std::int64_t most) const {
  if (!has(name)) {
    return otherwise;
  }
  const std::string& text = value(name);
  std::int64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || number < least ||
      number > most) {
    wrong_usage("--{} must be a whole number from {} to {}; got '{}'", name, least, most, text);
  }
  return number;
}

double Options::real_or(const std::string& name, double otherwise, double least,
                        double most) const {
  if (!has(name)) {
    return otherwise;
  }
  const double number = trainer::read_real(value(name), "--" + name);
  if (number < least || number > most) {
    wrong_usage("--{} must be a number from {} to {}; got '{}'", name, least, most, value(name));
  }
  return number;
}

std::string help_text(const Syntax& syntax) {
  std::ostringstream text;
  text << "usage: " << syntax.command << (syntax.operands.empty() ? "" : " ") << syntax.operands
       << " [options]\n\n"
       << syntax.summary << "\n\n"
       << describe(syntax);
  if (!syntax.examples.empty()) {
    text << "\nExamples:\n" << syntax.examples;
  }
  return text.str();
}

}  // namespace basin::command_line
