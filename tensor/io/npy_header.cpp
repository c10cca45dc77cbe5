#include "tensor/io/npy_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <utility>

#include "tensor/io/input_file.h"

namespace basin::io {

namespace {

struct DTypeName {
  const char* name;
  DType dtype;
};
constexpr std::array<DTypeName, 7> kDTypes = {{{"<f4", DType::f32},
                                               {"<f8", DType::f64},
                                               {"<f2", DType::f16},
                                               {"<i4", DType::i32},
                                               {"<i8", DType::i64},
                                               {"|u1", DType::u8},
                                               {"|b1", DType::boolean}}};

constexpr const char* kReadable = "'f2', 'f4', 'f8', 'i4', 'i8', 'u1' and 'b1' are";

// Reads the few Python literals that a header is made of. Its functions return false after they
// have said in `problem` what is wrong.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, NpyHeader& header) : text_(text), header_(header) {}

  std::string problem;

  bool parse() {
    if (!expect('{')) {
      return false;
    }
    while (next() != '}') {
      if (!parse_field() || (next() != '}' && !expect(','))) {
        return false;
      }
    }
    ++position_;
    if (next() != '\0' || position_ != text_.size()) {
      return refuse("text after the dictionary");
    }
    for (const auto& [name, seen] :
         {std::pair("descr", has_descr_), std::pair("fortran_order", has_order_),
          std::pair("shape", has_shape_)}) {
      if (!seen) {
        return refuse("'{}' is missing", name);
      }
    }
    return true;
  }

 private:
  template <class... Args>
  bool refuse(fmt::format_string<Args...> format, Args&&... args) {
    problem = fmt::format(format, std::forward<Args>(args)...) +
              fmt::format(" (byte {} of the header)", position_ + 1);
    return false;
  }

  // The next character that is no space; zero at the end.
  char next() {
    while (position_ < text_.size() && (text_[position_] == ' ' || text_[position_] == '\n' ||
                                        text_[position_] == '\t' || text_[position_] == '\r')) {
      ++position_;
    }
    return position_ < text_.size() ? text_[position_] : '\0';
  }

  bool expect(char wanted) {
    if (next() != wanted) {
      return refuse("{} where '{}' is needed", found(), wanted);
    }
    ++position_;
    return true;
  }

  std::string found() const {
    return position_ < text_.size() ? in_quotes(text_.substr(position_, 1)) : "the end";
  }

  bool parse_field() {
    std::string_view name;
    if (!parse_text(name) || !expect(':')) {
      return false;
    }
    bool* seen = name == "descr"           ? &has_descr_
                 : name == "fortran_order" ? &has_order_
                 : name == "shape"         ? &has_shape_
                                           : nullptr;
    if (seen == nullptr) {
      return refuse("the key {}; descr, fortran_order and shape are known", in_quotes(name));
    }
    if (std::exchange(*seen, true)) {
      return refuse("'{}' appears twice", name);
    }
    return seen == &has_descr_   ? parse_descr()
           : seen == &has_order_ ? parse_order()
                                 : parse_shape();
  }

  bool parse_text(std::string_view& value) {
    const char quote = next();
    if (quote != '\'' && quote != '"') {
      return refuse("{} where a text in quotes is needed", found());
    }
    const std::size_t begin = position_ + 1;
    const std::size_t end = text_.find(quote, begin);
    if (end == std::string_view::npos) {
      return refuse("a text without an end");
    }
    value = text_.substr(begin, end - begin);
    position_ = end + 1;
    return true;
  }

  bool parse_descr() {
    if (next() == '[') {
      return refuse("records (a structured dtype) are not read; {}", kReadable);
    }
    std::string_view value;
    if (!parse_text(value)) {
      return false;
    }
    if (value == "|V2" || value == "<V2") {
      return refuse(
          "the dtype {} is two bytes of no known meaning, as bf16 is saved by some programs; save "
          "it as f4, or in the safetensors format",
          in_quotes(value));
    }
    for (const DTypeName& candidate : kDTypes) {
      const bool one_byte = size_of(candidate.dtype) == 1;
      const bool known_order =
          value.starts_with('<') || value.starts_with('>') || (one_byte && value.starts_with('|'));
      if (known_order && value.substr(1) == std::string_view(candidate.name).substr(1)) {
        header_.info.dtype = candidate.dtype;
        header_.big_endian = value.starts_with('>') && !one_byte;
        return true;
      }
    }
    return refuse("the dtype {} is not read; {}", in_quotes(value), kReadable);
  }

  bool parse_order() {
    (void)next();
    for (const bool value : {true, false}) {
      const std::string_view word = value ? "True" : "False";
      if (text_.substr(position_).starts_with(word)) {
        header_.fortran_order = value;
        position_ += word.size();
        return true;
      }
    }
    return refuse("{} where True or False is needed", found());
  }

  bool parse_shape() {
    if (!expect('(')) {
      return false;
    }
    bool comma = true;  // an extent may come next
    while (next() != ')') {
      if (!comma) {
        return refuse("{} where ',' or ')' is needed", found());
      }
      if (!parse_extent()) {
        return false;
      }
      comma = next() == ',';
      position_ += comma ? 1 : 0;
    }
    ++position_;
    // In Python, (3) is a number and (3,) a tuple.
    return comma || header_.info.shape.rank() != 1 ||
           refuse("the shape of one dimension lacks its comma");
  }

  bool parse_extent() {
    if (header_.info.shape.rank() == kMaxRank) {
      return refuse("more than {} dimensions; that many are possible", kMaxRank);
    }
    if (next() == '-') {
      return refuse("a negative extent");
    }
    std::int64_t extent = 0;
    const char* const begin = text_.data() + position_;
    const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), extent);
    if (error == std::errc::result_out_of_range) {
      return refuse("an extent that does not fit in 63 bits");
    }
    if (error != std::errc{}) {
      return refuse("{} where an extent is needed", found());
    }
    position_ += static_cast<std::size_t>(end - begin);
    // Python 2 wrote long integers as 3L.
    position_ += position_ < text_.size() && text_[position_] == 'L' ? 1 : 0;
    header_.info.shape.push_back(extent);
    return true;
  }

  std::string_view text_;
  NpyHeader& header_;
  std::size_t position_ = 0;
  bool has_descr_ = false;
  bool has_order_ = false;
  bool has_shape_ = false;
};

}  // namespace

std::string parse_npy_header(std::string_view text, NpyHeader& header) {
  HeaderParser parser(text, header);
  parser.parse();
  return parser.problem;
}

const char* npy_dtype(DType dtype) {
  for (const DTypeName& known : kDTypes) {
    if (known.dtype == dtype) {
      return known.name;
    }
  }
  return nullptr;
}

}  // namespace basin::io
