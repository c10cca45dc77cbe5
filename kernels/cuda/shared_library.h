// A library that is looked for when it is first needed, so that a program starts without it.
#pragma once

#include <string>
#include <vector>

namespace basin::kernels {

class SharedLibrary {
 public:
  /// Opens the library `file` ("libcublasLt.so.13"). In this order: where the system's loader looks
  /// (LD_LIBRARY_PATH, the paths of ldconfig), /usr/local/cuda*/lib64, the system's library
  /// folders, and the folders `of_wheels` (below nvidia/, "cublas/lib") in the site-packages of
  /// VIRTUAL_ENV, CONDA_PREFIX, the python3 in PATH and what that links to. It stays open until the
  /// program ends.
  SharedLibrary(const std::string& file, const std::vector<std::string>& of_wheels);

  bool loaded() const { return handle_ != nullptr; }
  /// Where it was found.
  const std::string& path() const { return path_; }
  /// If it was not: what was looked for, where, and what the loader said.
  const std::string& problem() const { return problem_; }

  /// The address of a function, or null; then problem() says which one is missing.
  void* find(const char* name);

 private:
  bool try_open(const std::string& path);

  void* handle_ = nullptr;
  std::string path_;
  std::string problem_;
};

}  // namespace basin::kernels
