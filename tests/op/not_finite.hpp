#pragma once
/// What is not finite stops an update: the host may not have looked yet.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "cases/backends.hpp"
#include "cases/reference_kernels.hpp"

namespace radapt_test {

namespace op = radapt::op;
inline constexpr double infinity = std::numeric_limits<double>::infinity(),
                        nan = std::numeric_limits<double>::quiet_NaN();

template <class Backend, class T>
T clip_factor(double squares, const std::vector<double>& losses, double most) {
  T factor = 0;
  launch(device_of<Backend>(),
         op::clip_factor<T>{
             .squares = &squares, .losses = {losses.data(), losses.size()}, .most = most, .factor = &factor});
  return factor;
}

/// NaN where the norm or a loss is not finite, whether it clips or not.
template <class Backends>
void check_clip_factor() {
  for_each_backend_and_element<Backends>([]<class Backend, class T>() {
    if constexpr (radapt::has_kernel<op::clip_factor<T>, Backend>) {
      for (const double most : {0.0, 1.0}) {
        for (const double bad : {infinity, -infinity, nan}) {
          CHECK(std::isnan(clip_factor<Backend, T>(4.0, {1.0, bad, 2.0}, most)));
          CHECK(std::isnan(clip_factor<Backend, T>(std::abs(bad), {1.0}, most)));
        }
        CHECK(clip_factor<Backend, T>(4.0, {1.0, 1e300}, most) == static_cast<T>(most > 0 ? 1.0 / (2.0 + 1e-6) : 1.0));
      }
    }
  });
}

/// NaN in the place of a factor leaves every bit as it is.
template <class Backends>
void check_adamw_without_factor() {
  for_each_backend_and_element<Backends>([]<class Backend, class T>() {
    if constexpr (radapt::has_kernel<op::adamw<T>, Backend>) {
      constexpr radapt::Index n = 1030;
      const std::vector<T> before(n, T(0.5)), gradients(n, std::numeric_limits<T>::infinity());
      std::vector<T> p = before, m = before, v = before, average = before;
      T clip = std::numeric_limits<T>::quiet_NaN();
      op::adamw<T> o{.parameters = {p.data(), n},
                     .first_moment = {m.data(), n},
                     .second_moment = {v.data(), n},
                     .gradients = {gradients.data(), n},
                     .average = {average.data(), n},
                     .clip = &clip,
                     .lr = 0.1,
                     .weight_decay = 0.1,
                     .average_momentum = 0.5};
      launch(device_of<Backend>(), o);
      for (const auto& x : {p, m, v, average}) { CHECK(x == before); }
      clip = 1;
      launch(device_of<Backend>(), o);
      for (const auto& x : {p, m, v, average}) { CHECK(x != before); }
    }
  });
}

}  // namespace radapt_test
