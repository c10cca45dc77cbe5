#include "tools/report/statistics.h"

#include <fmt/format.h>

namespace basin::report {

std::string mean_and_sd_text(const Estimate& e) {
  return e.sd ? fmt::format("{:.4f} ± {:.4f}", e.mean, *e.sd) : fmt::format("{:.4f}", e.mean);
}

std::string interval_text(const Estimate& e) {
  return e.half_width ? fmt::format("[{:.4f}, {:.4f}]", e.low(), e.high()) : "-";
}

}  // namespace basin::report
