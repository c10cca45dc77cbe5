// Which GPUs a build has code for, from the list that it was configured with.
#pragma once

#include <string_view>

namespace basin::kernels {

/// `architectures` as CMake has them, between blanks: "80 90a-real". Machine code runs on cards of
/// the same major version and a minor one at least as high, that of 90a on 9.0 alone; PTX, which
/// "-real" leaves out, on all later cards, unless it is of 90a.
bool has_code_for(std::string_view architectures, int major, int minor);

}  // namespace basin::kernels
