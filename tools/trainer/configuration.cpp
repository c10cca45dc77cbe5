#include "tools/trainer/configuration.h"

#include <utility>

#include "tasks/task.h"
#include "tools/trainer/defaults.h"
#include "tools/trainer/ini.h"
#include "tools/trainer/settings.h"
#include "tools/trainer/suggest.h"
#include "tools/trainer/usage_error.h"

namespace basin::trainer {

namespace {

// A batch of this many tokens takes gigabytes as mere numbers.
constexpr std::int64_t kMostTokens = std::int64_t{1} << 26;

const GivenValue& required(const GivenValues& given, const std::string& name) {
  const auto found = given.find(name);
  if (found == given.end()) {
    wrong_usage("--{} is missing; 'trainer list' shows what there is", name);
  }
  return found->second;
}

void read_given(Configuration& c, const GivenValues& given, const std::string& name) {
  if (const auto found = given.find(name); found != given.end()) {
    find_setting(name)->read(c, found->second.text, found->second.origin);
  }
}

void check_together(const Configuration& c) {
  if (tasks::task_kind(c.task).needs_data && c.data.empty()) {
    wrong_usage("--data is missing: the task '{}' reads a file", c.task);
  }
  for (const auto& [name, stride] :
       {std::pair("stride", c.stride), {"eval-stride", c.eval_stride}}) {
    if (stride > c.length) {
      wrong_usage("--{} {} is longer than the chunks, --length {}", name, stride, c.length);
    }
  }
  if (c.warmup > c.steps) {
    wrong_usage("--warmup {} is longer than the whole training, --steps {}", c.warmup, c.steps);
  }
  if (c.batch > kMostTokens / c.length) {
    wrong_usage("--batch {} of --length {} makes more than {} tokens per step", c.batch, c.length,
                kMostTokens);
  }
  if (const std::string reason = causal_only(c.task); !c.causal && !reason.empty()) {
    wrong_usage("--causal no does not go with the task '{}': {}", c.task, reason);
  }
}

}  // namespace

Configuration make_configuration(const GivenValues& given) {
  const GivenValue& task = required(given, "task");
  check_task(task.text, task.origin);
  const GivenValue& backbone = required(given, "backbone");
  check_backbone(backbone.text, backbone.origin);
  Configuration c = default_configuration(task.text, backbone.text);
  read_given(c, given, "steps");
  set_step_defaults(c);
  for (const auto& [name, value] : given) {
    read_given(c, given, name);
  }
  for (const auto& [name, value] : given) {
    if (const std::string reason = find_setting(name)->no_effect(c); !reason.empty()) {
      wrong_usage("{} would have no effect: {}", value.origin, reason);
    }
  }
  check_together(c);
  return c;
}

GivenValues given_by_ini(const std::string& text, const std::string& origin) {
  GivenValues given;
  for (const IniEntry& entry : parse_ini(text, origin)) {
    const std::string place = fmt::format("{}:{}: {}", origin, entry.line, entry.name);
    if (find_setting(entry.name) == nullptr) {
      wrong_usage("{}:{}: there is no setting '{}'{}", origin, entry.line, entry.name,
                  suggestion(entry.name, setting_names()));
    }
    if (!given.insert({entry.name, {entry.value, place}}).second) {
      wrong_usage("{} is there a second time", place);
    }
  }
  return given;
}

std::string to_ini(const Configuration& configuration) {
  std::string text;
  std::string section;
  for (const Setting& setting : settings()) {
    if (!setting.no_effect(configuration).empty()) {
      continue;
    }
    if (setting.section != section) {
      section = setting.section;
      text += (text.empty() ? "# " : "\n# ") + section + "\n";
    }
    text += ini_line(setting.name, setting.write(configuration));
  }
  return text;
}

std::map<std::string, std::string> to_map(const Configuration& configuration) {
  std::map<std::string, std::string> values;
  for (const Setting& setting : settings()) {
    if (setting.no_effect(configuration).empty()) {
      values[setting.name] = setting.write(configuration);
    }
  }
  return values;
}

}  // namespace basin::trainer
