// Work of the executor that is written down first and done later, as often as one likes: what a
// graph of CUDA is to a GPU.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kernels/common/status.h"
#include "kernels/simt/grid.h"

namespace basin::kernels::simt {

/// Launches with the values their arguments had, and copies, in their order. Nothing is asked again
/// when they are repeated: what changes from one time to the next has to lie in memory that the
/// arguments point to.
class Recording {
 public:
  void add(const Grid& grid, const KernelCall& kernel);
  /// `bytes` bytes inside the memory of the executor.
  void add_copy(void* to, const void* from, std::size_t bytes);
  /// What stands for a kernel of a library; `name` as in Grid.
  void add(const char* name, std::function<Status(const SimtContext&)> call);

  /// Does everything, in order. Stops at the first status that is not ok.
  Status replay(const SimtContext& context) const;

  std::int64_t launches() const { return launches_; }
  std::int64_t copies() const { return static_cast<std::int64_t>(work_.size()) - launches_; }
  /// Of kernel n of the launches.
  const char* name(std::size_t n) const { return names_.at(n); }

 private:
  std::vector<std::function<Status(const SimtContext&)>> work_;
  std::vector<const char*> names_;
  std::int64_t launches_ = 0;
};

/// Null, or where launches and copies of this thread are written down instead of being done.
Recording* recording();

/// Writes into a recording until the end of the scope. Throws nothing; one at a time on a thread.
class Recorder {
 public:
  explicit Recorder(Recording& into);
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;
};

}  // namespace basin::kernels::simt
