#include "tools/report/csv.h"

#include <utility>

namespace basin::report {

std::string csv_line(const std::vector<std::string>& fields) {
  std::string line;
  for (std::size_t n = 0; n < fields.size(); ++n) {
    line += n == 0 ? "" : ",";
    if (fields[n].find_first_of(",\"\r\n") == std::string::npos) {
      line += fields[n];
      continue;
    }
    line += '"';
    for (const char c : fields[n]) {
      line += c == '"' ? std::string("\"\"") : std::string(1, c);
    }
    line += '"';
  }
  return line + "\n";
}

std::vector<std::vector<std::string>> parse_csv(const std::string& text) {
  std::vector<std::vector<std::string>> records;
  std::vector<std::string> record;
  std::string field;
  bool quoted = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (quoted) {
      if (c != '"') {
        field += c;
      } else if (at + 1 < text.size() && text[at + 1] == '"') {
        field += text[++at];
      } else {
        quoted = false;
      }
    } else if (c == '"') {
      quoted = true;
    } else if (c == ',') {
      record.push_back(std::exchange(field, {}));
    } else if (c == '\n') {
      record.push_back(std::exchange(field, {}));
      records.push_back(std::exchange(record, {}));
    } else if (c != '\r') {
      field += c;
    }
  }
  return records;
}

}  // namespace basin::report
