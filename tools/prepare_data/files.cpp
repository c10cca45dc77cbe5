#include "tools/prepare_data/files.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tasks/text/text_file.h"
#include "tensor/error.h"

namespace basin::prepare_data {

std::int64_t read_in_pieces(const std::string& path,
                            const std::function<std::size_t(std::string_view, bool)>& use) {
  tasks::TextFile file =
      path == "-" ? tasks::TextFile(STDIN_FILENO, "standard input") : tasks::TextFile(path);
  return tasks::read_in_pieces(file, use);
}

Output::Output(const std::string& path) : path_(path) {
  if (path == "-") {
    path_ = "standard output";
    file_ = stdout;
    return;
  }
  partial_ = path + ".partial";
  file_ = std::fopen(partial_.c_str(), "wb");
  if (file_ == nullptr) {
    cannot();
  }
}

Output::~Output() {
  if (!partial_.empty() && file_ != nullptr) {
    std::fclose(file_);
    std::remove(partial_.c_str());
  }
}

void Output::cannot() const {
  throw FileError(fmt::format("{} cannot be written: {}", path_, std::strerror(errno)));
}

void Output::write(std::string_view bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size()) {
    cannot();
  }
}

void Output::commit() {
  if (std::fflush(file_) != 0) {
    cannot();
  }
  if (partial_.empty()) {
    return;
  }
  if (std::rename(partial_.c_str(), path_.c_str()) != 0) {
    cannot();
  }
  std::FILE* file = file_;
  file_ = nullptr;
  if (std::fclose(file) != 0) {
    cannot();
  }
}

}  // namespace basin::prepare_data
