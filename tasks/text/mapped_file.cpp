#include "tasks/text/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "tensor/error.h"

namespace basin::tasks {

MappedFile::MappedFile(const std::string& path)
    : MappedFile(open(path.c_str(), O_RDONLY | O_CLOEXEC), path) {}

MappedFile::MappedFile(int descriptor, std::string name)
    : name_(std::move(name)), descriptor_(descriptor) {
  struct stat status {};
  if (descriptor < 0 || fstat(descriptor, &status) != 0) {
    const int error = errno;
    if (descriptor >= 0) {
      close(descriptor);
    }
    errno = error;
    throw FileError(fmt::format("{} cannot be read: {}", name_, std::strerror(errno)));
  }
  changed_ = status.st_mtim;
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) {
    return;
  }
  void* const memory = mmap(nullptr, size, PROT_READ, MAP_SHARED, descriptor, 0);
  if (memory == MAP_FAILED) {
    const int error = errno;
    close(std::exchange(descriptor_, -1));
    throw FileError(fmt::format("{} ({} bytes) cannot be mapped into memory: {}", name_, size,
                                std::strerror(error)));
  }
  bytes_ = {static_cast<const std::uint8_t*>(memory), size};
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) {
    munmap(const_cast<std::uint8_t*>(bytes_.data()), bytes_.size());
  }
  if (descriptor_ >= 0) {
    close(descriptor_);
  }
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : name_(std::move(other.name_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      bytes_(std::exchange(other.bytes_, {})),
      changed_(other.changed_) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(name_, other.name_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(bytes_, other.bytes_);
  std::swap(changed_, other.changed_);
  return *this;
}

void MappedFile::check_unchanged() const {
  if (descriptor_ < 0) {
    return;
  }
  struct stat now {};
  const bool same =
      fstat(descriptor_, &now) == 0 && static_cast<std::size_t>(now.st_size) == bytes_.size() &&
      now.st_mtim.tv_sec == changed_.tv_sec && now.st_mtim.tv_nsec == changed_.tv_nsec;
  if (!same) {
    throw FileError(
        fmt::format("{} was changed while it was being read: it had {} bytes and has {}; data must "
                    "stay as they are as long as a program uses them",
                    name_, bytes_.size(), now.st_size));
  }
}

}  // namespace basin::tasks
