#include "kernels/cuda/shared_library.h"

#include <dlfcn.h>
#include <link.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace basin::kernels {

namespace {

namespace fs = std::filesystem;

std::string environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// The entries of `folder` whose names begin with `prefix`, later names (newer versions) first.
std::vector<fs::path> entries_of(const fs::path& folder, const std::string& prefix) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (at->path().filename().string().starts_with(prefix)) {
      found.push_back(at->path());
    }
  }
  std::sort(found.rbegin(), found.rend());
  return found;
}

// The folder above bin/ of the first python3 in PATH, as it is called there, and of what it links
// to, link by link: the python3 of a virtual environment links to another python, and one in
// /usr/local/bin may link to that of an environment.
std::vector<std::string> prefixes_of_python() {
  constexpr std::size_t kMostLinks = 8;
  std::vector<std::string> prefixes;
  const std::string path = environment("PATH");
  for (std::size_t begin = 0; begin < path.size() && prefixes.empty();) {
    const std::size_t end = std::min(path.find(':', begin), path.size());
    fs::path python = fs::path(path.substr(begin, end - begin)) / "python3";
    begin = end + 1;
    if (!python.is_absolute() || access(python.c_str(), X_OK) != 0) {
      continue;
    }
    std::error_code error;
    while (prefixes.size() < kMostLinks) {
      prefixes.push_back(python.parent_path().parent_path().string());
      const fs::path to = fs::read_symlink(python, error);
      if (error) {
        break;
      }
      python = (python.parent_path() / to).lexically_normal();
    }
  }
  return prefixes;
}

std::vector<fs::path> folders_of_wheels(const std::vector<std::string>& of_wheels) {
  std::vector<std::string> prefixes = {environment("VIRTUAL_ENV"), environment("CONDA_PREFIX")};
  for (const std::string& prefix : prefixes_of_python()) {
    prefixes.push_back(prefix);
  }
  std::vector<fs::path> folders;
  for (const std::string& prefix : prefixes) {
    if (prefix.empty()) {
      continue;
    }
    for (const fs::path& python : entries_of(fs::path(prefix) / "lib", "python3")) {
      for (const char* packages : {"site-packages", "dist-packages"}) {
        for (const std::string& wheel : of_wheels) {
          folders.push_back(python / packages / "nvidia" / wheel);
        }
      }
    }
  }
  return folders;
}

}  // namespace

SharedLibrary::SharedLibrary(const std::string& file, const std::vector<std::string>& of_wheels) {
  if (try_open(file)) {
    return;
  }
  problem_ = "no " + file + ": the loader says '" + problem_ + "'; also looked in";
  std::vector<fs::path> folders;
  for (const fs::path& toolkit : entries_of("/usr/local", "cuda")) {
    folders.push_back(toolkit / "lib64");
  }
  for (const char* folder : {"/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"}) {
    folders.emplace_back(folder);
  }
  for (const fs::path& folder : folders_of_wheels(of_wheels)) {
    folders.push_back(folder);
  }
  std::string looked_in;
  for (const fs::path& folder : folders) {
    const fs::path path = folder / file;
    std::error_code error;
    if (!fs::exists(path, error)) {
      looked_in.append(looked_in.empty() ? " " : ", ").append(folder.string());
      continue;
    }
    const std::string before = problem_;
    if (try_open(path.string())) {
      problem_.clear();
      return;
    }
    looked_in.append(looked_in.empty() ? " " : ", ").append(folder.string());
    looked_in.append(" (").append(problem_).append(")");
    problem_ = before;
  }
  problem_ += looked_in + "; set LD_LIBRARY_PATH to the folder that has it";
}

bool SharedLibrary::try_open(const std::string& path) {
  handle_ = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle_ == nullptr) {
    const char* const reason = dlerror();
    problem_ = reason == nullptr ? "no reason given" : reason;
    return false;
  }
  // The loader may have found it anywhere.
  const link_map* map = nullptr;
  const bool known = dlinfo(handle_, RTLD_DI_LINKMAP, &map) == 0 && map->l_name[0] != '\0';
  path_ = known ? map->l_name : path;
  return true;
}

void* SharedLibrary::find(const char* name) {
  if (handle_ == nullptr) {
    return nullptr;
  }
  void* const address = dlsym(handle_, name);
  if (address == nullptr) {
    problem_ = path_ + " has no function " + name;
  }
  return address;
}

}  // namespace basin::kernels
