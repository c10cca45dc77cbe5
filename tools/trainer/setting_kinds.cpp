#include "tools/trainer/setting_kinds.h"

#include <utility>

#include "tools/trainer/usage_error.h"
#include "tools/trainer/values.h"

namespace basin::trainer {

Setting path_setting(const char* name, std::string Configuration::*member, const char* value,
                     const char* otherwise, const char* help, Reason no_effect) {
  return {name,
          "Task",
          value,
          help,
          [=](Configuration& c, const std::string& text, const std::string& origin) {
            if (text.empty()) {
              wrong_usage("{} is empty; it must be the path of a file or folder", origin);
            }
            c.*member = text == otherwise ? "" : text;
          },
          [=](const Configuration& c) { return (c.*member).empty() ? otherwise : c.*member; },
          std::move(no_effect)};
}

Setting length_setting(const char* name, std::int64_t Configuration::*member, const char* help,
                       Reason no_effect) {
  return {name,
          "Task",
          "N",
          help,
          [=](Configuration& c, const std::string& text, const std::string& origin) {
            c.*member = text == "auto" ? 0 : read_whole(text, 1, kMostLength, origin);
          },
          [=](const Configuration& c) {
            return c.*member == 0 ? "auto" : fmt::format("{}", c.*member);
          },
          std::move(no_effect)};
}

Setting digest_setting(Reason no_effect) {
  return {"data-digest",
          "Task",
          "TEXT",
          "refuse data that are not those of this digest, which every run writes down; any: take "
          "them as they are",
          [](Configuration& c, const std::string& text, const std::string& origin) {
            if (text.empty() || text.find_first_not_of("0123456789abcdef-,") != std::string::npos) {
              if (text != "any") {
                wrong_usage("{} must be the data-digest of a run or any, not '{}'", origin, text);
              }
            }
            c.data_digest = text == "any" ? "" : text;
          },
          [](const Configuration& c) { return c.data_digest.empty() ? "any" : c.data_digest; },
          std::move(no_effect)};
}

}  // namespace basin::trainer
