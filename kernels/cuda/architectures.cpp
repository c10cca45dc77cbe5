#include "kernels/cuda/architectures.h"

#include <charconv>
#include <sstream>
#include <string>

namespace basin::kernels {

bool has_code_for(std::string_view architectures, int major, int minor) {
  std::istringstream words{std::string(architectures)};
  for (std::string word; words >> word;) {
    int number = 0;
    const auto parsed = std::from_chars(word.data(), word.data() + word.size(), number);
    const std::string_view rest =
        std::string_view(word).substr(static_cast<std::size_t>(parsed.ptr - word.data()));
    if (parsed.ec != std::errc{}) {
      return true;  // nothing is known
    }
    const bool one_card = !rest.empty() && rest.front() != '-';
    const bool machine_code = !rest.ends_with("-virtual");
    const bool ptx = !rest.ends_with("-real");
    const int here = 10 * major + minor;
    if (one_card
            ? here == number
            : (machine_code && number / 10 == major && number <= here) || (ptx && number <= here)) {
      return true;
    }
  }
  return false;
}

}  // namespace basin::kernels
