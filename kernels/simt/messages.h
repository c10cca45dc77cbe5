// The words of the executor's messages.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/simt/engine.h"

namespace basin::kernels::simt {

/// "kernels/norm/layer_norm.cu:31", with the path that the compiler was given.
std::string place(const Location& at);
bool same_place(const Location& a, const Location& b);

/// "(3,0,0)"
std::string index_text(const Index3& index);

/// "0x0000ffff"
std::string mask_text(std::uint32_t mask);

/// What CUDA calls it.
const char* name_of(Collective what);

/// The text, stored for good, because a Status only points to its message. Equal texts share their
/// storage.
const char* kept_text(const std::string& text);

}  // namespace basin::kernels::simt
