#include "tools/reproduction/journal.h"

#include <zlib.h>

#include <filesystem>
#include <system_error>

#include "tensor/error.h"

namespace basin::reproduction {

namespace {

using Json = nlohmann::json;

std::string line_of(const Json& json) {
  // Paths need not be UTF-8, JSON must be.
  const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  const auto crc =
      crc32(0, reinterpret_cast<const Bytef*>(text.data()), static_cast<uInt>(text.size()));
  return fmt::format("{:08x} {}\n", crc, text);
}

// Null if the line, without its end, is not what line_of() made.
Json json_of(const std::string& line) {
  if (line.size() < 10 || line[8] != ' ') {
    return nullptr;
  }
  const auto crc =
      crc32(0, reinterpret_cast<const Bytef*>(line.data() + 9), static_cast<uInt>(line.size() - 9));
  if (fmt::format("{:08x}", crc) != line.substr(0, 8)) {
    return nullptr;
  }
  const Json json = Json::parse(line.begin() + 9, line.end(), nullptr, false);
  return json.is_object() ? json : Json(nullptr);
}

}  // namespace

Journal::Journal(const std::string& path) : path_(path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    return;
  }
  const std::string text = report::read_text(path);
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = text.find('\n', begin);
    const std::string line = text.substr(begin, end - begin);
    const Json json = end == std::string::npos ? Json(nullptr) : json_of(line);
    begin = end == std::string::npos ? text.size() : end + 1;
    if (json.is_null() && begin == text.size() && !lines_.empty()) {
      torn_ = true;
      return;
    }
    if (!take(json)) {
      throw FileError(fmt::format(
          "{} is damaged in line {}, or no journal; --overwrite computes everything anew", path,
          lines_.size() + 1));
    }
    lines_.push_back(line + "\n");
  }
}

bool Journal::take(const Json& json) {
  if (!json.is_object()) {
    return false;
  }
  if (header_.is_null()) {
    header_ = json;
    return json.contains("experiment") && json["experiment"].is_string() &&
           json.contains("settings") && json["settings"].is_object();
  }
  if (json.contains("session")) {
    sittings_.push_back({json["session"], {}});
    return json["session"].is_object();
  }
  if (json.contains("finished")) {
    finished_ = json["finished"] == results_.size();
    return finished_;
  }
  if (sittings_.empty() || !json.contains("key") || !json["key"].is_string() ||
      !json.contains("seconds") || !json["seconds"].is_number() || !json.contains("result")) {
    return false;
  }
  const std::string key = json["key"];
  sittings_.back().keys.push_back(key);
  seconds_[key] = json["seconds"];
  return results_.emplace(key, json["result"]).second;
}

Journal Journal::anew(const std::string& path) {
  Journal journal;
  journal.path_ = path;
  return journal;
}

void Journal::begin(const Json& header, const Json& session) {
  if (empty()) {
    lines_ = {line_of(header)};
    header_ = json_of(lines_.back().substr(0, lines_.back().size() - 1));
  }
  std::string text;
  for (const std::string& line : lines_) {
    text += line;
  }
  file_ = std::make_unique<report::GrowingFile>(path_, text);
  append({{"session", session}});
}

void Journal::add(const std::string& key, double seconds, const Json& result) {
  append({{"key", key}, {"seconds", seconds}, {"result", result}});
}

void Journal::finish() { append({{"finished", results_.size()}}); }

void Journal::append(const Json& json) {
  const std::string line = line_of(json);
  file_->append(line);
  lines_.push_back(line);
  // As it will be read: numbers are the same whether they were computed or read.
  if (!take(json_of(line.substr(0, line.size() - 1)))) {
    fail("[Journal] {} got a result twice, or one that is none: {}", path_, line.substr(0, 200));
  }
}

}  // namespace basin::reproduction
