#include "tensor/io/hdf5_types.h"

#include <fmt/format.h>

namespace basin::hdf5 {

namespace {

constexpr std::size_t kSignBit = 15;  // of both 16-bit floats

// A 16-bit float with the hidden bit and the exponent bias of IEEE 754, stored in its own order.
Handle sixteen_bit_float(std::size_t exponent_bits, H5T_order_t order) {
  const std::size_t fraction_bits = kSignBit - exponent_bits;
  Handle type(H5Tcopy(H5T_IEEE_F32LE), H5Tclose);
  H5Tset_fields(type.get(), kSignBit, fraction_bits, exponent_bits, 0, fraction_bits);
  H5Tset_precision(type.get(), 16);
  H5Tset_size(type.get(), 2);
  H5Tset_ebias(type.get(), (std::size_t{1} << (exponent_bits - 1)) - 1);
  H5Tset_order(type.get(), order);
  return type;
}

constexpr std::size_t kHalfExponent = 5;
constexpr std::size_t kBfloatExponent = 8;

// Nothing else tells these types apart, so all of their layout is compared.
bool is_sixteen_bit_float(hid_t type, std::size_t exponent_bits) {
  const Handle wanted = sixteen_bit_float(exponent_bits, H5Tget_order(type));
  return H5Tequal(type, wanted.get()) > 0;
}

Handle copy_of(hid_t type) { return {H5Tcopy(type), H5Tclose}; }

}  // namespace

std::string type_name(hid_t type) {
  const std::size_t bits = 8 * H5Tget_size(type);
  switch (H5Tget_class(type)) {
    case H5T_INTEGER:
      return fmt::format("{} {}-bit integer",
                         H5Tget_sign(type) == H5T_SGN_NONE ? "an unsigned" : "a signed", bits);
    case H5T_FLOAT: return fmt::format("a {}-bit float", bits);
    case H5T_STRING: return "a text";
    case H5T_ENUM: return fmt::format("an enum of {} values", H5Tget_nmembers(type));
    case H5T_COMPOUND: return "a compound type";
    case H5T_REFERENCE: return "a reference";
    case H5T_ARRAY: return "an array type";
    case H5T_VLEN: return "a list of variable length";
    default: return "a type of another class";
  }
}

bool is_boolean(hid_t type) {
  return H5Tget_class(type) == H5T_ENUM && H5Tget_nmembers(type) == 2 && H5Tget_size(type) == 1;
}

bool dtype_of(hid_t type, DType& dtype) {
  const std::size_t size = H5Tget_size(type);
  const bool is_float = H5Tget_class(type) == H5T_FLOAT;
  const bool is_signed = H5Tget_class(type) == H5T_INTEGER && H5Tget_sign(type) == H5T_SGN_2;
  if (is_float && (size == 4 || size == 8)) {
    dtype = size == 4 ? DType::f32 : DType::f64;
  } else if (is_float && size == 2 && is_sixteen_bit_float(type, kHalfExponent)) {
    dtype = DType::f16;
  } else if (is_float && size == 2 && is_sixteen_bit_float(type, kBfloatExponent)) {
    dtype = DType::bf16;
  } else if (is_signed && (size == 4 || size == 8)) {
    dtype = size == 4 ? DType::i32 : DType::i64;
  } else if (is_boolean(type) || (H5Tget_class(type) == H5T_INTEGER && size == 1 && !is_signed)) {
    dtype = DType::u8;
  } else {
    return false;
  }
  return true;
}

Handle file_type(DType dtype) {
  switch (dtype) {
    case DType::f32: return copy_of(H5T_IEEE_F32LE);
    case DType::f64: return copy_of(H5T_IEEE_F64LE);
    case DType::bf16: return sixteen_bit_float(kBfloatExponent, H5T_ORDER_LE);
    case DType::f16: return sixteen_bit_float(kHalfExponent, H5T_ORDER_LE);
    case DType::i32: return copy_of(H5T_STD_I32LE);
    case DType::i64: return copy_of(H5T_STD_I64LE);
    case DType::u8: return copy_of(H5T_STD_U8LE);
    case DType::boolean: break;
  }
  return {};
}

Handle memory_type(DType dtype) {
  switch (dtype) {
    case DType::f32: return copy_of(H5T_NATIVE_FLOAT);
    case DType::f64: return copy_of(H5T_NATIVE_DOUBLE);
    case DType::bf16: return sixteen_bit_float(kBfloatExponent, H5Tget_order(H5T_NATIVE_FLOAT));
    case DType::f16: return sixteen_bit_float(kHalfExponent, H5Tget_order(H5T_NATIVE_FLOAT));
    case DType::i32: return copy_of(H5T_NATIVE_INT32);
    case DType::i64: return copy_of(H5T_NATIVE_INT64);
    case DType::u8: return copy_of(H5T_NATIVE_UINT8);
    case DType::boolean: break;
  }
  return {};
}

}  // namespace basin::hdf5
