#include "tensor/io/npy.h"

#include <algorithm>
#include <array>
#include <vector>

#include "tensor/io/atomic_file.h"
#include "tensor/io/input_file.h"
#include "tensor/io/npy_header.h"

namespace basin {

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kVersionBytes = 2;
constexpr std::uint64_t kLongestHeader = 65535;  // all that version 1.0 can have
constexpr std::size_t kAlignment = 64;           // of the elements in the file

struct Layout {
  io::NpyHeader header;
  std::uint64_t data_begin = 0;
};

// Everything before the elements, and whether those are there.
Layout read_layout(const io::InputFile& file) {
  std::array<unsigned char, kMagic.size() + kVersionBytes> start{};
  if (file.size() < start.size()) {
    file.refuse("has {} bytes; a npy file begins with {}", file.size(), start.size());
  }
  file.read(0, std::as_writable_bytes(std::span(start)));
  if (!std::equal(kMagic.begin(), kMagic.end(), start.begin(),
                  [](char a, unsigned char b) { return static_cast<unsigned char>(a) == b; })) {
    file.refuse("is no npy file: it does not begin with \\x93NUMPY");
  }
  const unsigned major = start[kMagic.size()];
  const unsigned minor = start[kMagic.size() + 1];
  if (major < 1 || major > 3 || minor != 0) {
    file.refuse("has the npy format version {}.{}; 1.0, 2.0 and 3.0 are read", major, minor);
  }
  const std::uint64_t length_bytes = major == 1 ? 2 : 4;
  const std::uint64_t text_begin = start.size() + length_bytes;
  if (file.size() < text_begin) {
    file.refuse("ends at byte {}, within the length of its header; it is cut off", file.size());
  }
  std::uint32_t length = 0;
  file.read(start.size(), std::as_writable_bytes(std::span(&length, 1)).first(length_bytes));
  if (length > file.size() - text_begin) {
    file.refuse("claims a header of {} bytes, but holds {} after its length; it is cut off", length,
                file.size() - text_begin);
  }
  if (length > kLongestHeader) {
    file.refuse("claims a header of {} bytes; at most {} are read", length, kLongestHeader);
  }
  std::string text(length, '\0');
  file.read(text_begin, std::as_writable_bytes(std::span(text)));

  Layout layout;
  layout.data_begin = text_begin + length;
  const std::string problem = io::parse_npy_header(text, layout.header);
  if (!problem.empty()) {
    file.refuse("in its header: {}", problem);
  }
  const TensorInfo& info = layout.header.info;
  std::uint64_t bytes = 0;
  if (!io::byte_count(info, bytes)) {
    file.refuse("has the shape {}, whose size does not fit in 63 bits", to_string(info.shape));
  }
  const std::uint64_t held = file.size() - layout.data_begin;
  if (held != bytes) {
    file.refuse("has the shape {} {}, which needs {} bytes, but holds {}; it is {}",
                to_string(info.shape), name_of(info.dtype), bytes, held,
                held < bytes ? "cut off or damaged" : "damaged or holds more than one array");
  }
  return layout;
}

void swap_bytes(Tensor& tensor) {
  const std::size_t size = size_of(tensor.dtype());
  auto* element = static_cast<std::byte*>(tensor.mutable_raw());
  for (std::int64_t n = 0; n < tensor.numel(); ++n, element += size) {
    std::reverse(element, element + size);
  }
}

// NumPy leaves room for an extent of this many digits, so that arrays can grow in place.
constexpr std::size_t kExtentDigits = 21;

std::string header_text(const Tensor& tensor) {
  const Shape& shape = tensor.shape();
  std::string text = fmt::format(
      "{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}", io::npy_dtype(tensor.dtype()),
      fmt::join(shape.begin(), shape.end(), ", "), shape.rank() == 1 ? "," : "");
  if (shape.rank() > 0) {
    text.append(kExtentDigits - std::to_string(shape[0]).size(), ' ');
  }
  const std::size_t before = kMagic.size() + kVersionBytes + sizeof(std::uint16_t);
  const std::size_t used = before + text.size() + 1;  // with the newline
  text.append(kAlignment - used % kAlignment, ' ');
  return text + '\n';
}

}  // namespace

TensorInfo npy_info(const std::string& path) {
  return read_layout(io::InputFile(path)).header.info;
}

Tensor read_npy(const std::string& path) {
  const io::InputFile file(path);
  const auto [header, data_begin] = read_layout(file);
  TensorInfo stored = header.info;
  std::vector<int> reversed;
  if (header.fortran_order) {
    for (int d = stored.shape.rank() - 1; d >= 0; --d) {
      reversed.push_back(d);
      stored.shape[stored.shape.rank() - 1 - d] = header.info.shape[d];
    }
  }
  Tensor tensor = file.read_elements(data_begin, stored, "the array");
  if (header.big_endian) {
    swap_bytes(tensor);
  }
  return header.fortran_order ? tensor.permute(reversed).contiguous() : tensor;
}

void write_npy(const std::string& path, const Tensor& tensor) {
  io::AtomicFile file(path);
  if (!tensor.defined()) {
    file.refuse("an undefined tensor cannot be written");
  }
  if (tensor.dtype() == DType::bf16) {
    file.refuse(
        "{} cannot be written: npy has no bf16; convert it with to(DType::f32), which is "
        "exact, or write safetensors",
        describe(tensor));
  }
  const Tensor elements = tensor.contiguous().to(Device::cpu);
  const std::string text = header_text(elements);
  const auto length = static_cast<std::uint16_t>(text.size());
  std::string start(kMagic);
  start += std::string("\x01\x00", kVersionBytes);
  file.write(std::as_bytes(std::span(start)));
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(std::as_bytes(std::span(text)));
  file.write({static_cast<const std::byte*>(elements.raw()),
              static_cast<std::size_t>(elements.numel()) * size_of(elements.dtype())});
  file.commit();
}

}  // namespace basin
