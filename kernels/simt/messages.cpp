#include "kernels/simt/messages.h"

#include <cstdio>
#include <mutex>
#include <set>

namespace basin::kernels::simt {

std::string place(const Location& at) {
  return std::string(at.file_name()) + ":" + std::to_string(at.line());
}

std::string index_text(const Index3& index) {
  return "(" + std::to_string(index.x) + "," + std::to_string(index.y) + "," +
         std::to_string(index.z) + ")";
}

std::string mask_text(std::uint32_t mask) {
  char text[16];
  std::snprintf(text, sizeof text, "0x%08x", mask);
  return text;
}

const char* kept_text(const std::string& text) {
  static std::mutex mutex;
  static std::set<std::string>* const texts = new std::set<std::string>;  // never freed
  const std::lock_guard<std::mutex> lock(mutex);
  return texts->insert(text).first->c_str();
}

}  // namespace basin::kernels::simt
