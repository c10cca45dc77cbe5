#include "kernels/simt/recording.h"

#include <cstring>
#include <memory>
#include <utility>

#include "kernels/simt/memory_guard.h"

namespace basin::kernels::simt {

namespace {
thread_local Recording* current = nullptr;
}  // namespace

void Recording::add(const Grid& grid, const KernelCall& kernel) {
  add(grid.name, [grid, kernel, kept = kernel.keep(kernel.object)](const SimtContext& context) {
    KernelCall call = kernel;
    call.object = kept.get();
    return run_grid(grid, context, call);
  });
}

void Recording::add_copy(void* to, const void* from, std::size_t bytes) {
  work_.emplace_back([=](const SimtContext&) {
    const OpenMemory open;
    std::memcpy(to, from, bytes);
    return Status{};
  });
}

void Recording::add(const char* name, std::function<Status(const SimtContext&)> call) {
  work_.push_back(std::move(call));
  names_.push_back(name);
  ++launches_;
}

Status Recording::replay(const SimtContext& context) const {
  for (const auto& step : work_) {
    if (const Status status = step(context); !status.ok()) {
      return status;
    }
  }
  return {};
}

Recording* recording() { return current; }

Recorder::Recorder(Recording& into) { current = &into; }
Recorder::~Recorder() { current = nullptr; }

}  // namespace basin::kernels::simt
