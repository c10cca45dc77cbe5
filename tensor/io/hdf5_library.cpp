#include "tensor/io/hdf5_library.h"

#include <algorithm>

#include "tensor/error.h"

namespace basin::hdf5 {

namespace {

std::mutex& library() {
  static std::mutex mutex;
  // Opening a damaged file leaves objects in the library that it cannot close: at exit it would
  // try, and say so on stderr. Every Handle closes its own, so nothing is left to do then.
  static const herr_t closes_itself = H5dont_atexit();
  (void)closes_itself;
  return mutex;
}

herr_t keep_description(unsigned, const H5E_error2_t* error, void* text) {
  *static_cast<std::string*>(text) = error->desc == nullptr ? "" : error->desc;
  return 0;
}

herr_t refuse_other_file(const char*, const char*, const char*, const char*, unsigned*, hid_t,
                         void*) {
  return -1;
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
  const std::string full = name.starts_with('/') ? name : "/" + name;
  // HDF5 takes "." for the group itself and skips empty parts: one object would have many names.
  const std::string padded = full + "/";
  const bool strange = full != "/" && (padded.find("//") != std::string::npos ||
                                       padded.find("/./") != std::string::npos);
  if (name.empty() || strange || name.find('\0') != std::string::npos) {
    throw FileError(fmt::format("{}: '{}' is no name of an object in a file", path, name));
  }
  return full;
}

std::string parent(const std::string& full_name) {
  return full_name.substr(0, std::max<std::size_t>(1, full_name.rfind('/')));
}

hid_t inside_the_file() {
  // Lives as long as the program: the library does not close at exit (see library()).
  static const hid_t properties = [] {
    const hid_t made = H5Pcreate(H5P_LINK_ACCESS);
    H5Pset_elink_cb(made, refuse_other_file, nullptr);
    return made;
  }();
  return properties;
}

bool is_link(hid_t file, const std::string& full_name) {
  H5L_info_t link{};
  const bool found = exists(file, parent(full_name)) &&
                     H5Lget_info(file, full_name.c_str(), &link, inside_the_file()) >= 0;
  H5Eclear2(H5E_DEFAULT);
  return found && link.type != H5L_TYPE_HARD;
}

bool exists(hid_t file, const std::string& full_name) {
  for (std::size_t end = full_name.find('/', 1);; end = full_name.find('/', end + 1)) {
    const std::string prefix = full_name.substr(0, end);
    // A link may lead nowhere, and the root has no link.
    if (prefix != "/" && (H5Lexists(file, prefix.c_str(), inside_the_file()) <= 0 ||
                          H5Oexists_by_name(file, prefix.c_str(), inside_the_file()) <= 0)) {
      H5Eclear2(H5E_DEFAULT);
      return false;
    }
    if (end == std::string::npos) {
      return true;
    }
  }
}

}  // namespace basin::hdf5
