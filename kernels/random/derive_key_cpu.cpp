#include "kernels/common/philox.h"
#include "kernels/common/stream_offset.h"
#include "kernels/random/derive_key.h"

namespace basin::kernels {

Status derive_key(const DeriveKey& p, const CpuContext&) {
  *p.derived = derive_key(p.key, offset_stream(p.stream, p.stream_offset));
  return {};
}

}  // namespace basin::kernels
