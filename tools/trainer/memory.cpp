#include "tools/trainer/memory.h"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <string>

#include "tensor/error.h"

namespace basin::trainer {

namespace {

std::size_t of_the_machine() {
  std::ifstream file("/proc/meminfo");
  std::string name;
  std::size_t kilobytes = 0;
  while (file >> name) {
    if (name == "MemAvailable:" && file >> kilobytes) {
      return kilobytes * 1024;
    }
    file.ignore(256, '\n');
  }
  return SIZE_MAX;
}

// The limit is a number, or "max" (version 2), or a number beyond all memory (version 1).
std::size_t of_the_container() {
  for (const char* path :
       {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    std::ifstream file(path);
    std::size_t bytes = 0;
    if (file >> bytes) {
      return bytes;
    }
  }
  return SIZE_MAX;
}

// What every model of these settings holds at least, in elements; a double because it may exceed
// any integer.
double least_elements(const Configuration& c, bool training) {
  const auto width = static_cast<double>(c.width);
  const auto vocabulary = static_cast<double>(c.vocabulary);
  const double tables = c.tie_weights ? 1.0 : 2.0;  // embedding and head
  const double mlp = 2.0 * static_cast<double>(c.mlp_ratio) * width * width;
  const double weights = tables * vocabulary * width + static_cast<double>(c.layers) * mlp;
  const std::int64_t examples = c.micro_batch > 0 ? std::min(c.micro_batch, c.batch) : c.batch;
  // Of the blocks a training step keeps the inputs of norms, products and the MLP, or where blocks
  // are computed again their inputs alone.
  const double tokens = static_cast<double>(examples) * static_cast<double>(c.length);
  const double kept = c.recompute ? 1.0 : 4.0 + 2.0 * static_cast<double>(c.mlp_ratio);
  const double activations =
      tokens * width * (training ? kept * static_cast<double>(c.layers) : 2.0);
  // Gradients, and two running averages but for sgd.
  const double copies = !training ? 1.0 : c.optimizer == nn::OptimizerKind::sgd ? 2.0 : 4.0;
  return copies * weights + activations;
}

}  // namespace

namespace {

std::size_t memory_of(Device device) {
  return device == Device::cuda ? free_memory(device) : available_memory();
}

}  // namespace

void check_memory(const Configuration& c, bool training) {
  const double needed = least_elements(c, training) * static_cast<double>(size_of(c.dtype));
  const auto available = static_cast<double>(memory_of(c.device));
  if (needed > available) {
    throw OutOfMemory(
        fmt::format("the model needs at least {:.1f} GB of {} memory, {:.1f} GB are "
                    "available; make width, layers, vocabulary, length or batch smaller",
                    needed / 1e9, c.device == Device::cuda ? "GPU" : "CPU", available / 1e9));
  }
}

std::size_t available_memory() { return std::min(of_the_machine(), of_the_container()); }

}  // namespace basin::trainer
