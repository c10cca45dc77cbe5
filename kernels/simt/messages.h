// The words of the executor's messages.
#pragma once

#include <cstdint>
#include <cstring>
#include <iterator>
#include <string>

#include "kernels/simt/engine.h"

namespace basin::kernels::simt {

/// "kernels/norm/layer_norm.cu:31", with the path that the compiler was given.
std::string place(const Location& at);
inline bool same_place(const Location& a, const Location& b) {
  return a.line() == b.line() &&
         (a.file_name() == b.file_name() || std::strcmp(a.file_name(), b.file_name()) == 0);
}

/// "(3,0,0)"
std::string index_text(const Index3& index);

/// "0x0000ffff"
std::string mask_text(std::uint32_t mask);

/// What CUDA calls it.
inline const char* name_of(Collective what) {
  static constexpr const char* kNames[] = {
      "__syncwarp",        "__shfl_sync",       "__shfl_up_sync",    "__shfl_down_sync",
      "__shfl_xor_sync",   "__ballot_sync",     "__any_sync",        "__all_sync",
      "__reduce_add_sync", "__reduce_min_sync", "__reduce_max_sync", "__reduce_min_sync",
      "__reduce_max_sync", "__reduce_and_sync", "__reduce_or_sync",  "__reduce_xor_sync",
      "ldmatrix",          "mma.sync (bf16)",   "mma.sync (f16)",    "mma.sync (tf32)"};
  static_assert(std::size(kNames) == static_cast<std::size_t>(Collective::mma_tf32) + 1);
  return kNames[static_cast<std::size_t>(what)];
}

/// The text, stored for good, because a Status only points to its message. Equal texts share their
/// storage.
const char* kept_text(const std::string& text);

}  // namespace basin::kernels::simt
