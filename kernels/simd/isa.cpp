#include "kernels/simd/isa.h"

#include <cstdlib>
#include <cstring>

#include "kernels/simd/targets.h"
//
#include <hwy/highway.h>

namespace basin::kernels {

namespace {

struct Choice {
  Isa isa = Isa::baseline;
  Status status;
};

Isa best_of_machine() {
  const std::int64_t targets = hwy::SupportedTargets();
  if ((targets & HWY_AVX3) != 0) {
    return Isa::avx512;
  }
  return (targets & HWY_AVX2) != 0 ? Isa::avx2 : Isa::baseline;
}

Choice choose() {
  Choice choice{best_of_machine(), {}};
  const char* wanted = std::getenv("BASIN_ISA");
  if (wanted == nullptr || *wanted == '\0') {
    return choice;
  }
  for (const Isa candidate : {Isa::baseline, Isa::avx2, Isa::avx512}) {
    if (std::strcmp(wanted, name_of(candidate)) != 0) {
      continue;
    }
    if (candidate > choice.isa) {
      choice.status = Status::unsupported("BASIN_ISA asks for instructions this machine lacks");
      return choice;
    }
    choice.isa = candidate;
    // Highway then picks the best of what is left.
    std::int64_t above = 0;
    above |= candidate < Isa::avx512 ? std::int64_t{HWY_AVX3} : 0;
    above |= candidate < Isa::avx2 ? std::int64_t{HWY_AVX2} : 0;
    hwy::DisableTargets(above);
    return choice;
  }
  choice.status = Status::invalid("BASIN_ISA must be baseline, avx2 or avx512");
  return choice;
}

const Choice& choice() {
  static const Choice made = choose();
  return made;
}

}  // namespace

const char* name_of(Isa isa) {
  switch (isa) {
    case Isa::avx512: return "avx512";
    case Isa::avx2: return "avx2";
    case Isa::baseline: break;
  }
  return "baseline";
}

Isa isa() { return choice().isa; }
Status isa_status() { return choice().status; }

}  // namespace basin::kernels
