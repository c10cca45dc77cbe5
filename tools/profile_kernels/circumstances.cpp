#include "tools/profile_kernels/circumstances.h"

#include <nlohmann/json.hpp>

#include "kernels/simd/isa.h"
#include "tensor/device.h"
#include "tools/origin/build.h"

namespace basin::profile_kernels {

Results results_of_now(Device device) {
  Results results;
  results.device = name_of(device);
  if (device != Device::cpu) {
    results.card = describe_device(device);
  }
  results.date = origin::now_text();
  results.machine = origin::this_machine();
  results.version = origin::kVersion;
  results.commit = origin::kCommit;
  results.compiler = origin::kCompiler;
  results.flags = origin::kFlags;
  results.threads = threads();
  results.isa = name_of(kernels::isa());
  return results;
}

nlohmann::ordered_json head_json(const char* format, int version, const Results& results) {
  return {{"format", format},
          {"version", version},
          {"date", results.date},
          {"machine",
           {{"processor", results.machine.processor},
            {"cores", results.machine.cores},
            {"isa", results.machine.isa},
            {"last_level_cache_bytes", results.machine.last_level_cache}}},
          {"build",
           {{"version", results.version},
            {"commit", results.commit},
            {"compiler", results.compiler},
            {"flags", results.flags}}},
          {"device", results.device},
          {"card", results.card},
          {"isa", results.isa},
          {"threads", results.threads}};
}

nlohmann::ordered_json spread_json(const Spread& s) {
  return {{"median", s.median}, {"p10", s.p10}, {"p90", s.p90}};
}

}  // namespace basin::profile_kernels
