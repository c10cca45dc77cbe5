#include "tools/origin/machine.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <limits>
#include <thread>

namespace basin::origin {

namespace {

// The value of the first line "key   : value" of a file below /proc, or "".
std::string proc_value(const char* path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(':');
    if (line.compare(0, key.size(), key) == 0 && colon != std::string::npos) {
      const std::size_t value = line.find_first_not_of(" \t", colon + 1);
      return value == std::string::npos ? "" : line.substr(value);
    }
  }
  return "";
}

std::string widest_isa() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") != 0) {
    return "avx512";
  }
  if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0) {
    return "avx2";
  }
#endif
  return "baseline";
}

// What the system says of the first core's caches; sysconf() may tell those of all sockets.
std::int64_t largest_cache() {
  std::int64_t largest = 0;
  for (int index = 0; index < 8; ++index) {
    std::ifstream file(fmt::format("/sys/devices/system/cpu/cpu0/cache/index{}/size", index));
    std::int64_t size = 0;
    char unit = 'K';
    if (file >> size) {
      file >> unit;
      largest = std::max(largest, size * (unit == 'M' ? 1 << 20 : 1 << 10));
    }
  }
  // Where it does not tell, more than most machines have.
  return largest > 0 ? largest : std::int64_t{64} << 20;
}

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    return CPU_COUNT(&set);
  }
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

}  // namespace

Machine this_machine() {
  const std::string model = proc_value("/proc/cpuinfo", "model name");
  return {model.empty() ? "unknown" : model, usable_cores(), widest_isa(), largest_cache()};
}

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::int64_t available_bytes() {
  const std::string text = proc_value("/proc/meminfo", "MemAvailable");  // "23456 kB"
  return text.empty() ? std::numeric_limits<std::int64_t>::max() : std::stoll(text) * 1024;
}

std::int64_t peak_resident_bytes() {
  // getrusage() would tell what the process held that started this one, if that was more.
  const std::string text = proc_value("/proc/self/status", "VmHWM");  // "23456 kB"
  if (!text.empty()) {
    return std::stoll(text) * 1024;
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024;
}

}  // namespace basin::origin
