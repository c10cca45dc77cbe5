#include "tensor/io/safetensors.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "tensor/io/atomic_file.h"
#include "tensor/io/input_file.h"
#include "tensor/io/safetensors_header.h"

namespace basin {

namespace {

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::size_t kHeaderAlignment = 8;

// The place of a dtype in the reference implementation's list, by which it orders tensors.
int rank_of(DType dtype) {
  switch (dtype) {
    case DType::boolean: return 0;
    case DType::u8: return 1;
    case DType::f16: return 2;
    case DType::bf16: return 3;
    case DType::i32: return 4;
    case DType::f32: return 5;
    case DType::f64: return 6;
    case DType::i64: return 7;
  }
  return 0;
}

// A JSON string. Throws nlohmann::json::exception for text that is not UTF-8.
std::string json_text(const std::string& text) { return nlohmann::json(text).dump(); }

using Named = std::pair<const std::string, Tensor>;

std::string header_text(const std::vector<const Named*>& tensors,
                        const std::map<std::string, std::string>& metadata) {
  std::string text = "{";
  for (const auto& [key, value] : metadata) {
    text += text.size() == 1 ? fmt::format("\"{}\":{{", io::kSafetensorsMetadata) : ",";
    text += json_text(key) + ":" + json_text(value);
  }
  text += metadata.empty() ? "" : "}";
  std::uint64_t position = 0;
  for (const Named* named : tensors) {
    const auto& [name, tensor] = *named;
    const std::uint64_t end =
        position + static_cast<std::uint64_t>(tensor.numel()) * size_of(tensor.dtype());
    text += text.size() == 1 ? "" : ",";
    text +=
        fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})", json_text(name),
                    io::safetensors_dtype(tensor.dtype()),
                    fmt::join(tensor.shape().begin(), tensor.shape().end(), ","), position, end);
    position = end;
  }
  text += "}";
  text.resize((text.size() + kHeaderAlignment - 1) / kHeaderAlignment * kHeaderAlignment, ' ');
  return text;
}

}  // namespace

struct SafetensorsReader::State {
  explicit State(const std::string& path) : file(path) {}

  const io::SafetensorsEntry& entry(const std::string& name) const {
    const auto found = header.tensors.find(name);
    if (found == header.tensors.end()) {
      std::vector<std::string> known;
      for (const auto& [other, ignored] : header.tensors) {
        known.push_back(known.size() < 8 ? io::in_quotes(other) : "...");
        if (known.size() > 8) {
          break;
        }
      }
      file.refuse("there is no tensor {}; the file holds {}", io::in_quotes(name),
                  known.empty() ? "none" : fmt::format("{}", fmt::join(known, ", ")));
    }
    return found->second;
  }

  io::InputFile file;
  io::SafetensorsHeader header;
  std::uint64_t data_begin = 0;
};

SafetensorsReader::SafetensorsReader(const std::string& path)
    : state_(std::make_unique<State>(path)) {
  const io::InputFile& file = state_->file;
  if (file.size() < kLengthBytes) {
    file.refuse("has {} bytes; a safetensors file begins with {} for the length of its header",
                file.size(), kLengthBytes);
  }
  std::uint64_t length = 0;
  file.read(0, std::as_writable_bytes(std::span(&length, 1)));
  if (length > file.size() - kLengthBytes) {
    file.refuse(
        "claims a header of {} bytes, but holds {} after its length; it is cut off or no "
        "safetensors file",
        length, file.size() - kLengthBytes);
  }
  if (length > io::kLongestSafetensorsHeader) {
    file.refuse("claims a header of {} bytes; at most {} are read", length,
                io::kLongestSafetensorsHeader);
  }
  std::string text(static_cast<std::size_t>(length), '\0');
  file.read(kLengthBytes, std::as_writable_bytes(std::span(text)));
  state_->data_begin = kLengthBytes + length;
  const std::string problem =
      io::parse_safetensors_header(text, file.size() - state_->data_begin, state_->header);
  if (!problem.empty()) {
    file.refuse("{}", problem);
  }
}

SafetensorsReader::~SafetensorsReader() = default;

const std::string& SafetensorsReader::path() const { return state_->file.path(); }

std::vector<std::string> SafetensorsReader::names() const {
  std::vector<std::string> names;
  for (const auto& [name, ignored] : state_->header.tensors) {
    names.push_back(name);
  }
  return names;
}

bool SafetensorsReader::has(const std::string& name) const {
  return state_->header.tensors.contains(name);
}

const std::map<std::string, std::string>& SafetensorsReader::metadata() const {
  return state_->header.metadata;
}

TensorInfo SafetensorsReader::info(const std::string& name) const {
  return state_->entry(name).info;
}

Tensor SafetensorsReader::read(const std::string& name) const {
  const io::SafetensorsEntry& entry = state_->entry(name);
  return state_->file.read_elements(state_->data_begin + entry.begin, entry.info,
                                    "tensor " + io::in_quotes(name));
}

void write_safetensors(const std::string& path, const std::map<std::string, Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  io::AtomicFile file(path);
  std::vector<const Named*> ordered;
  for (const Named& named : tensors) {
    if (!named.second.defined()) {
      file.refuse("tensor {} is undefined", io::in_quotes(named.first));
    }
    if (named.first == io::kSafetensorsMetadata) {
      file.refuse("a tensor cannot have the name {}, which the format keeps for texts",
                  io::kSafetensorsMetadata);
    }
    ordered.push_back(&named);
  }
  // The map is ordered by name already.
  std::stable_sort(ordered.begin(), ordered.end(), [](const Named* a, const Named* b) {
    return rank_of(a->second.dtype()) > rank_of(b->second.dtype());
  });
  std::string header;
  try {
    header = header_text(ordered, metadata);
  } catch (const nlohmann::json::exception&) {
    file.refuse("the name of a tensor, or a text of the metadata, is not UTF-8");
  }
  if (header.size() > io::kLongestSafetensorsHeader) {
    file.refuse("the header has {} bytes; at most {} are possible", header.size(),
                io::kLongestSafetensorsHeader);
  }
  const auto length = static_cast<std::uint64_t>(header.size());
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(std::as_bytes(std::span(header)));
  for (const Named* named : ordered) {
    const Tensor elements = named->second.contiguous().to(Device::cpu);
    file.write({static_cast<const std::byte*>(elements.raw()),
                static_cast<std::size_t>(elements.numel()) * size_of(elements.dtype())});
  }
  file.commit();
}

}  // namespace basin
