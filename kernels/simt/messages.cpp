#include "kernels/simt/messages.h"

#include <cstdio>
#include <cstring>
#include <mutex>
#include <set>

namespace basin::kernels::simt {

std::string place(const Location& at) {
  return std::string(at.file_name()) + ":" + std::to_string(at.line());
}

bool same_place(const Location& a, const Location& b) {
  return a.line() == b.line() && std::strcmp(a.file_name(), b.file_name()) == 0;
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

const char* name_of(Collective what) {
  switch (what) {
    case Collective::sync: return "__syncwarp";
    case Collective::shuffle: return "__shfl_sync";
    case Collective::shuffle_up: return "__shfl_up_sync";
    case Collective::shuffle_down: return "__shfl_down_sync";
    case Collective::shuffle_xor: return "__shfl_xor_sync";
    case Collective::ballot: return "__ballot_sync";
    case Collective::any: return "__any_sync";
    case Collective::all: return "__all_sync";
    case Collective::add: return "__reduce_add_sync";
    case Collective::min_signed:
    case Collective::min_unsigned: return "__reduce_min_sync";
    case Collective::max_signed:
    case Collective::max_unsigned: return "__reduce_max_sync";
    case Collective::bit_and: return "__reduce_and_sync";
    case Collective::bit_or: return "__reduce_or_sync";
    case Collective::bit_xor: return "__reduce_xor_sync";
    case Collective::ldmatrix: return "ldmatrix";
    case Collective::mma_bf16: return "mma.sync (bf16)";
    case Collective::mma_f16: return "mma.sync (f16)";
    case Collective::mma_tf32: return "mma.sync (tf32)";
  }
  return "?";
}

const char* kept_text(const std::string& text) {
  static std::mutex mutex;
  static std::set<std::string>* const texts = new std::set<std::string>;  // never freed
  const std::lock_guard<std::mutex> lock(mutex);
  return texts->insert(text).first->c_str();
}

}  // namespace basin::kernels::simt
