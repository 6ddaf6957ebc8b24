#pragma once
/// Elements of stored tensors as numbers of the caller's type: exact where the type allows, else rounded or refused.
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "radapt/core/element.hpp"
#include "radapt/core/error.hpp"
#include "radapt/io/quoted_name.hpp"
#include "radapt/io/safetensors_tensor.hpp"

namespace radapt::safetensors {

static_assert(std::endian::native == std::endian::little,
              "stored elements are little-endian and are copied as they are");

/// Types that elements can be read as: float, double, bf16 and f16 from F16, BF16, F32, F64; int64_t from every integer
/// type and BOOL; int32_t likewise, if every value fits; uint8_t from U8 and BOOL.
template <class T>
concept readable =
    element<T> || std::is_same_v<T, std::int64_t> || std::is_same_v<T, std::int32_t> || std::is_same_v<T, std::uint8_t>;

/// The name of a readable type in messages.
template <readable T>
constexpr std::string_view readable_name() {
  if constexpr (element<T>) {
    return element_name<T>;
  } else {
    return std::is_same_v<T, std::int64_t> ? "int64" : std::is_same_v<T, std::int32_t> ? "int32" : "uint8";
  }
}

/// Converts one element. Widening is exact; narrowing rounds to nearest, ties to even; a finite F64 beyond the largest
/// float and an integer beyond T's range are errors, which name the tensor.
template <readable T, class Stored>
T convert_element(Stored stored, std::string_view name) {
  if constexpr (std::is_same_v<T, Stored>) {
    return stored;
  } else if constexpr (std::is_same_v<T, float> && std::is_same_v<Stored, double>) {
    // Half a unit beyond the largest float is the first value that rounds to infinity.
    constexpr double limit = 0x1.ffffffp+127;
    if (std::isfinite(stored) && (stored >= limit || stored <= -limit)) {
      fail({.what = "reading tensor " + quoted_name(name),
            .expected = "values that a float can hold",
            .got = std::to_string(stored),
            .hint = "Read it as double"});
    }
    return static_cast<float>(stored);
  } else if constexpr (std::is_same_v<T, bf16> || std::is_same_v<T, f16>) {
    if constexpr (std::is_same_v<Stored, double>) {
      return T(stored);
    } else {
      return T(static_cast<float>(stored));
    }
  } else if constexpr (element<T>) {
    return static_cast<T>(static_cast<std::conditional_t<std::is_same_v<Stored, double>, double, float>>(stored));
  } else {
    if (!std::in_range<T>(stored)) {
      fail({.what = "reading tensor " + quoted_name(name),
            .expected = "values from " + std::to_string(std::numeric_limits<T>::min()) + " to " +
                        std::to_string(std::numeric_limits<T>::max()),
            .got = std::to_string(stored),
            .hint = {}});
    }
    return static_cast<T>(stored);
  }
}

/// Calls `body(load)`, where `load(i)` is element `i` of `tensor` as a T. Error: the stored type cannot be read as T.
template <readable T, class Body>
void with_elements(const Tensor& tensor, std::string_view name, Body&& body) {
  const auto as = [&]<class Stored>(Stored*) {
    body([data = tensor.data.data(), name](std::size_t i) {
      Stored stored;
      std::memcpy(&stored, data + i * sizeof(Stored), sizeof(Stored));
      return convert_element<T>(stored, name);
    });
  };
  switch (tensor.dtype) {
    case DType::F32:
      if constexpr (element<T>) { return as(static_cast<float*>(nullptr)); }
      break;
    case DType::F64:
      if constexpr (element<T>) { return as(static_cast<double*>(nullptr)); }
      break;
    case DType::F16:
      if constexpr (element<T>) { return as(static_cast<f16*>(nullptr)); }
      break;
    case DType::BF16:
      if constexpr (element<T>) { return as(static_cast<bf16*>(nullptr)); }
      break;
    case DType::U8:
    case DType::BOOL:
      if constexpr (!element<T>) { return as(static_cast<std::uint8_t*>(nullptr)); }
      break;
    case DType::I64:
      if constexpr (std::is_same_v<T, std::int64_t> || std::is_same_v<T, std::int32_t>) {
        return as(static_cast<std::int64_t*>(nullptr));
      }
      break;
    case DType::U64:
      if constexpr (std::is_same_v<T, std::int64_t> || std::is_same_v<T, std::int32_t>) {
        return as(static_cast<std::uint64_t*>(nullptr));
      }
      break;
    case DType::I32:
      if constexpr (std::is_same_v<T, std::int64_t> || std::is_same_v<T, std::int32_t>) {
        return as(static_cast<std::int32_t*>(nullptr));
      }
      break;
    case DType::U32:
      if constexpr (std::is_same_v<T, std::int64_t> || std::is_same_v<T, std::int32_t>) {
        return as(static_cast<std::uint32_t*>(nullptr));
      }
      break;
    case DType::I16:
      if constexpr (std::is_same_v<T, std::int64_t> || std::is_same_v<T, std::int32_t>) {
        return as(static_cast<std::int16_t*>(nullptr));
      }
      break;
    case DType::U16:
      if constexpr (std::is_same_v<T, std::int64_t> || std::is_same_v<T, std::int32_t>) {
        return as(static_cast<std::uint16_t*>(nullptr));
      }
      break;
    case DType::I8:
      if constexpr (std::is_same_v<T, std::int64_t> || std::is_same_v<T, std::int32_t>) {
        return as(static_cast<std::int8_t*>(nullptr));
      }
      break;
    default:
      break;
  }
  fail({.what = "reading tensor " + quoted_name(name),
        .expected = "a type that converts to " + std::string(readable_name<T>()),
        .got = std::string(tag(tensor.dtype)),
        .hint = {}});
}

/// Copies all elements, in order, to `out`, which holds `tensor.size()` elements.
template <readable T>
void copy_elements(const Tensor& tensor, T* out, std::string_view name) {
  with_elements<T>(tensor, name, [&](const auto& load) {
    const auto count = static_cast<std::size_t>(tensor.size());
    for (std::size_t i = 0; i < count; ++i) { out[i] = load(i); }
  });
}

/// Copies a matrix [rows, columns] to `out` as [columns, rows].
template <readable T>
void copy_transposed(const Tensor& tensor, T* out, std::string_view name) {
  if (tensor.shape.size() != 2) {
    fail({.what = "transposing tensor " + quoted_name(name),
          .expected = "a matrix",
          .got = "shape " + spell(tensor.shape),
          .hint = {}});
  }
  const auto rows = static_cast<std::size_t>(tensor.shape[0]);
  const auto columns = static_cast<std::size_t>(tensor.shape[1]);
  with_elements<T>(tensor, name, [&](const auto& load) {
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t c = 0; c < columns; ++c) { out[c * rows + r] = load(r * columns + c); }
    }
  });
}

}  // namespace radapt::safetensors
