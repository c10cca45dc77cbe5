#include "tensor/io/hdf5_library.h"

#include "tensor/error.h"

namespace basin::hdf5 {

namespace {

std::mutex& library() {
  static std::mutex mutex;
  return mutex;
}

herr_t keep_description(unsigned, const H5E_error2_t* error, void* text) {
  *static_cast<std::string*>(text) = error->desc == nullptr ? "" : error->desc;
  return 0;
}

}  // namespace

Session::Session() : lock_(library()) {
  H5Eget_auto2(H5E_DEFAULT, &print_, &print_data_);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  H5Eclear2(H5E_DEFAULT);
}

Session::~Session() { H5Eset_auto2(H5E_DEFAULT, print_, print_data_); }

std::string reason() {
  std::string text;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, keep_description, &text);  // the deepest one stays
  H5Eclear2(H5E_DEFAULT);
  return text.empty() ? "no reason given" : text;
}

std::string full_name(const std::string& path, const std::string& name) {
  if (name.empty() || name.find('\0') != std::string::npos) {
    throw FileError(fmt::format("{}: '{}' is no name of an object in a file", path, name));
  }
  return name.front() == '/' ? name : "/" + name;
}

bool exists(hid_t file, const std::string& full_name) {
  for (std::size_t end = full_name.find('/', 1);; end = full_name.find('/', end + 1)) {
    const std::string prefix = full_name.substr(0, end);
    // A link may lead nowhere, and the root has no link.
    if (prefix != "/" && (H5Lexists(file, prefix.c_str(), H5P_DEFAULT) <= 0 ||
                          H5Oexists_by_name(file, prefix.c_str(), H5P_DEFAULT) <= 0)) {
      H5Eclear2(H5E_DEFAULT);
      return false;
    }
    if (end == std::string::npos) {
      return true;
    }
  }
}

}  // namespace basin::hdf5
