#include "tensor/io/safetensors_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <vector>

#include "tensor/io/input_file.h"

namespace basin::io {

namespace {

struct StoredName {
  const char* name;
  DType dtype;
};
constexpr std::array<StoredName, 8> kStoredNames = {{{"F64", DType::f64},
                                                     {"F32", DType::f32},
                                                     {"F16", DType::f16},
                                                     {"BF16", DType::bf16},
                                                     {"I64", DType::i64},
                                                     {"I32", DType::i32},
                                                     {"U8", DType::u8},
                                                     {"BOOL", DType::boolean}}};

// Where in the header the parser is, named by what must come next.
enum class Next {
  header,
  name,
  tensor,
  field,
  dtype,
  shape,
  extent,
  offsets,
  offset,
  metadata,
  key,
  text,
  nothing
};

const char* description(Next next) {
  switch (next) {
    case Next::header: return "an object with the tensors";
    case Next::name: return "the name of a tensor";
    case Next::tensor: return "an object with dtype, shape and data_offsets";
    case Next::field: return "a field";
    case Next::dtype: return "the text of the dtype";
    case Next::shape: return "the list of the shape";
    case Next::extent: return "a whole number from 0 on";
    case Next::offsets: return "the list of the data_offsets";
    case Next::offset: return "a byte position from 0 on";
    case Next::metadata: return "an object with texts";
    case Next::key: return "a key";
    case Next::text: return "a text";
    case Next::nothing: return "nothing";
  }
  return "";
}

// Takes the header event by event. Nothing is kept but what the format knows, so that neither deep
// nesting nor long lists cost memory, and a name that appears twice is seen.
class HeaderEvents final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderEvents(SafetensorsHeader& header) : header_(header) {}

  // What is wrong; an event that fills it returns false, which ends the parse.
  std::string problem;

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("true or false"); }
  bool binary(binary_t&) override { return unexpected("binary data"); }
  bool number_float(number_float_t, const string_t& digits) override {
    return unexpected("the number " + in_quotes(digits));
  }
  bool number_integer(number_integer_t value) override {
    return unexpected(fmt::format("the negative number {}", value));
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (next_ == Next::extent) {
      if (entry_.info.shape.rank() == kMaxRank) {
        return refuse("{} has more than {} dimensions; that many are possible", label(), kMaxRank);
      }
      if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        return refuse("{} has an extent of {}, which does not fit in 63 bits", label(), value);
      }
      entry_.info.shape.push_back(static_cast<std::int64_t>(value));
      return true;
    }
    if (next_ == Next::offset) {
      if (offset_count_ == 2) {
        return refuse("{} has more than two data_offsets", label());
      }
      (offset_count_++ == 0 ? entry_.begin : entry_.end) = value;
      return true;
    }
    return unexpected(fmt::format("the number {}", value));
  }

  bool string(string_t& value) override {
    if (next_ == Next::text) {
      header_.metadata[key_] = value;
      next_ = Next::key;
      return true;
    }
    if (next_ != Next::dtype) {
      return unexpected("the text " + in_quotes(value));
    }
    for (const StoredName& candidate : kStoredNames) {
      if (value == candidate.name) {
        entry_.info.dtype = candidate.dtype;
        next_ = Next::field;
        return true;
      }
    }
    return refuse(
        "{} has the dtype {}, which is not read; F64, F32, F16, BF16, I64, I32, U8 and BOOL are",
        label(), in_quotes(value));
  }

  bool start_object(std::size_t) override {
    switch (next_) {
      case Next::header: next_ = Next::name; return true;
      case Next::tensor: next_ = Next::field; return true;
      case Next::metadata: next_ = Next::key; return true;
      default: return unexpected("an object");
    }
  }

  bool key(string_t& value) override {
    switch (next_) {
      case Next::name: return begin_tensor(value);
      case Next::field: return begin_field(value);
      default: break;  // Next::key
    }
    if (header_.metadata.contains(value)) {
      return refuse("the key {} of {} appears twice", in_quotes(value), kSafetensorsMetadata);
    }
    key_ = value;
    next_ = Next::text;
    return true;
  }

  bool end_object() override {
    if (next_ == Next::field) {
      const char* missing = !has_dtype_     ? "dtype"
                            : !has_shape_   ? "shape"
                            : !has_offsets_ ? "data_offsets"
                                            : nullptr;
      if (missing != nullptr) {
        return refuse("{} has no {}", label(), missing);
      }
      header_.tensors[name_] = entry_;
    }
    next_ = next_ == Next::name ? Next::nothing : Next::name;
    return true;
  }

  bool start_array(std::size_t) override {
    switch (next_) {
      case Next::shape: next_ = Next::extent; return true;
      case Next::offsets: next_ = Next::offset; return true;
      default: return unexpected("a list");
    }
  }

  bool end_array() override {
    if (next_ == Next::offset && offset_count_ != 2) {
      return refuse("{} has {} data_offsets; a begin and an end are needed", label(),
                    offset_count_);
    }
    next_ = Next::field;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::json::exception& error) override {
    // The library's message goes on with the text it stumbled over, however long.
    std::string reason = error.what();
    reason.resize(std::min(reason.find("; last read"), reason.size()));
    const std::size_t dash = reason.find(" - ");
    reason = dash == std::string::npos ? "no JSON" : reason.substr(dash + 3);
    return refuse("{} at byte {} of the header", reason, position);
  }

 private:
  std::string label() const { return "tensor " + in_quotes(name_); }

  template <class... Args>
  bool refuse(fmt::format_string<Args...> format, Args&&... args) {
    problem = fmt::format(format, std::forward<Args>(args)...);
    return false;
  }

  bool unexpected(const std::string& what) {
    const bool inside = next_ != Next::header && next_ != Next::name && next_ != Next::nothing;
    return refuse("the header{} has {} where {} is needed",
                  inside ? " of " + in_quotes(name_) : std::string(), what, description(next_));
  }

  bool begin_tensor(const std::string& name) {
    name_ = name;
    if (name == kSafetensorsMetadata) {
      next_ = Next::metadata;
      return !std::exchange(has_metadata_, true) ||
             refuse("{} appears twice", kSafetensorsMetadata);
    }
    if (header_.tensors.contains(name)) {
      return refuse("{} appears twice", label());
    }
    entry_ = {};
    offset_count_ = 0;
    has_dtype_ = has_shape_ = has_offsets_ = false;
    next_ = Next::tensor;
    return true;
  }

  bool begin_field(const std::string& field) {
    bool* seen = nullptr;
    if (field == "dtype") {
      seen = &has_dtype_;
      next_ = Next::dtype;
    } else if (field == "shape") {
      seen = &has_shape_;
      next_ = Next::shape;
    } else if (field == "data_offsets") {
      seen = &has_offsets_;
      next_ = Next::offsets;
    } else {
      return refuse("{} has the field {}; dtype, shape and data_offsets are known", label(),
                    in_quotes(field));
    }
    return !std::exchange(*seen, true) || refuse("{} has {} twice", label(), field);
  }

  SafetensorsHeader& header_;
  Next next_ = Next::header;
  std::string name_;  // of the tensor at hand
  SafetensorsEntry entry_;
  int offset_count_ = 0;
  bool has_dtype_ = false;
  bool has_shape_ = false;
  bool has_offsets_ = false;
  bool has_metadata_ = false;
  std::string key_;  // of the metadata text that comes next
};

// The elements of all tensors must lie one after the other and fill the data.
std::string check_layout(const SafetensorsHeader& header, std::uint64_t data_bytes) {
  using Named = std::pair<const std::string, SafetensorsEntry>;
  std::vector<const Named*> in_file;
  for (const Named& named : header.tensors) {
    const auto& [name, entry] = named;
    std::uint64_t bytes = 0;
    if (!byte_count(entry.info, bytes)) {
      return fmt::format("tensor {} has the shape {}, whose size does not fit in 63 bits",
                         in_quotes(name), to_string(entry.info.shape));
    }
    if (entry.end < entry.begin) {
      return fmt::format("tensor {} ends at byte {}, before it begins at {}", in_quotes(name),
                         entry.end, entry.begin);
    }
    if (entry.end - entry.begin != bytes) {
      return fmt::format("tensor {} of shape {} {} needs {} bytes, its data_offsets give it {}",
                         in_quotes(name), to_string(entry.info.shape), name_of(entry.info.dtype),
                         bytes, entry.end - entry.begin);
    }
    if (entry.end > data_bytes) {
      return fmt::format(
          "tensor {} ends at byte {} of the data, but the file holds {}; it is cut off or damaged",
          in_quotes(name), entry.end, data_bytes);
    }
    in_file.push_back(&named);
  }
  std::sort(in_file.begin(), in_file.end(), [](const Named* a, const Named* b) {
    return std::pair(a->second.begin, a->second.end) < std::pair(b->second.begin, b->second.end);
  });
  std::uint64_t position = 0;
  for (const Named* named : in_file) {
    if (named->second.begin != position) {
      return fmt::format(
          "tensor {} begins at byte {} of the data, but what lies before it ends at {}; tensors "
          "must neither overlap nor leave gaps",
          in_quotes(named->first), named->second.begin, position);
    }
    position = named->second.end;
  }
  if (position != data_bytes) {
    return fmt::format("the tensors end at byte {} of the data, but the file holds {}", position,
                       data_bytes);
  }
  return {};
}

}  // namespace

const char* safetensors_dtype(DType dtype) {
  return std::find_if(kStoredNames.begin(), kStoredNames.end(),
                      [&](const StoredName& known) { return known.dtype == dtype; })
      ->name;
}

std::string parse_safetensors_header(std::string_view text, std::uint64_t data_bytes,
                                     SafetensorsHeader& header) {
  // The parser would skip a byte order mark, and take a zero byte for the end.
  if (!text.starts_with('{')) {
    return fmt::format("the header begins with {} and not with '{{'", in_quotes(text.substr(0, 1)));
  }
  if (const std::size_t zero = text.find('\0'); zero != std::string_view::npos) {
    return fmt::format("a zero byte at byte {} of the header", zero + 1);
  }
  HeaderEvents events(header);
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &events)) {
    return events.problem;
  }
  return check_layout(header, data_bytes);
}

}  // namespace basin::io
