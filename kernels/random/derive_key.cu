// One thread: a number that the host must not know, because it is another one in every repetition.
#include "kernels/random/derive_key.h"

#include "kernels/common/launch.h"
#include "kernels/common/philox.h"
#include "kernels/common/stream_offset.h"

namespace basin::kernels {

namespace {

BASIN_KERNEL void derive_kernel(DeriveKey p) {
  *p.derived = derive_key(p.key, offset_stream(p.stream, p.stream_offset));
}

}  // namespace

Status derive_key(const DeriveKey& p, const DeviceContext& context) {
  return launch({"derive_key", {1, 1, 1}, {1, 1, 1}}, context, derive_kernel, p);
}

}  // namespace basin::kernels
