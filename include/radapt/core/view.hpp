#pragma once
/// Non-owning tensors, and absence as types: what nobody wants, what was not kept, what is frozen.
#include <type_traits>

#include "radapt/core/shape.hpp"

namespace radapt {

/// An activation: `rows` rows of X::width elements, contiguous. `width` repeats X::width unless that is dynamic.
template <class T, class X>
struct View {
  T* data = nullptr;
  Index rows = 0;
  Index width = X::width;

  [[gnu::always_inline]] constexpr Index size() const { return rows * width; }
  [[gnu::always_inline]] constexpr operator View<const T, X>() const requires(!std::is_const_v<T>) {
    return {data, rows, width};
  }
};

/// Where the elements of a parameter are, whatever its extents: what code sees that treats all tensors alike. `leading`
/// is the value of a dynamic extent.
template <class T>
struct Place {
  T* data = nullptr;
  Index leading = 1;
};

/// A parameter, its gradient or its moment: Shape S, contiguous, row-major.
template <class T, class S>
struct Parameter : Place<T> {
  using shape = S;

  [[gnu::always_inline]] constexpr Index size() const { return S::size(this->leading); }
  [[gnu::always_inline]] constexpr operator Parameter<const T, S>() const requires(!std::is_const_v<T>) {
    return {{this->data, this->leading}};
  }
};

struct Discard {};  ///< an input gradient that nobody wants
struct Dropped {};  ///< an activation that was not kept for the backward pass
struct Frozen {};   ///< the gradient of a frozen parameter: no memory, and deliberately no member `data`

template <class T>
inline constexpr bool wanted = true;
template <>
inline constexpr bool wanted<Discard> = false;
template <>
inline constexpr bool wanted<Dropped> = false;
template <>
inline constexpr bool wanted<Frozen> = false;
template <class T>
inline constexpr bool wanted<const T> = wanted<T>;

/// What kernels see: a row-major matrix with run-time extents. Made from any View or Parameter.
template <class T>
struct Matrix {
  T* data = nullptr;
  Index rows = 0;
  Index columns = 0;

  constexpr Matrix() = default;
  constexpr Matrix(T* d, Index r, Index c) : data(d), rows(r), columns(c) {}
  template <class U, class X>
  requires std::is_convertible_v<U*, T*>
  [[gnu::always_inline]] constexpr Matrix(View<U, X> v) : data(v.data), rows(v.rows), columns(v.width) {}
  template <class U, class S>
  requires std::is_convertible_v<U*, T*>
  [[gnu::always_inline]] constexpr Matrix(Parameter<U, S> p)
      : data(p.data), rows(S::matrix_rows(p.leading)), columns(S::matrix_columns(p.leading)) {}
  constexpr operator Matrix<const T>() const requires(!std::is_const_v<T>) { return {data, rows, columns}; }
  constexpr Index size() const { return rows * columns; }
};

/// What kernels see of a bias, a norm's weight, a row of statistics: contiguous, any number of elements, null if
/// absent.
template <class T>
struct Vector {
  T* data = nullptr;
  Index size = 0;

  constexpr Vector() = default;
  constexpr Vector(T* d, Index n) : data(d), size(n) {}
  template <class U, class X>
  requires std::is_convertible_v<U*, T*>
  [[gnu::always_inline]] constexpr Vector(View<U, X> v) : data(v.data), size(v.size()) {}
  template <class U, class S>
  requires std::is_convertible_v<U*, T*>
  [[gnu::always_inline]] constexpr Vector(Parameter<U, S> p) : data(p.data), size(p.size()) {}
  constexpr operator Vector<const T>() const requires(!std::is_const_v<T>) { return {data, size}; }
  constexpr explicit operator bool() const { return data != nullptr; }
};

}  // namespace radapt
