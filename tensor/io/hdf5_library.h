// Private to tensor/io: ownership of HDF5 identifiers, and a library that is quiet and used by one
// thread at a time.
#pragma once

#include <hdf5.h>

#include <mutex>
#include <string>
#include <utility>

namespace basin::hdf5 {

/// Owns one identifier and closes it with the function it was given.
class Handle {
 public:
  using Close = herr_t (*)(hid_t);

  Handle() = default;
  Handle(hid_t id, Close function) : id_(id), close_(function) {}
  ~Handle() { close(); }
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }

  hid_t get() const { return id_; }
  bool valid() const { return id_ >= 0; }

  /// Whether closing worked; a handle that is not valid counts as closed.
  bool close() { return id_ < 0 || close_(std::exchange(id_, -1)) >= 0; }

 private:
  hid_t id_ = -1;
  Close close_ = nullptr;
};

/// Held around every use of the library: not every build of it takes several threads, and by
/// default it prints each failed call on stderr.
class Session {
 public:
  Session();
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

 private:
  std::lock_guard<std::mutex> lock_;
  H5E_auto2_t print_ = nullptr;
  void* print_data_ = nullptr;
};

/// What the library says about the last failed call, at its deepest level: "file signature not
/// found". Also empties its list of errors.
std::string reason();

/// The name from the root: "model/norm.weight" and "/model/norm.weight" are the same. Throws
/// FileError with `path` for a name that no object can have.
std::string full_name(const std::string& path, const std::string& name);

/// The full name of the group a full name lies in.
std::string parent(const std::string& full_name);

/// Properties for every call that follows links: those that lead to other files fail.
hid_t inside_the_file();

/// Whether the name is a link other than an object's own: a soft link, or one to another file.
bool is_link(hid_t file, const std::string& full_name);

/// Whether the object exists in this file, checked component by component as the library asks for.
bool exists(hid_t file, const std::string& full_name);

}  // namespace basin::hdf5
