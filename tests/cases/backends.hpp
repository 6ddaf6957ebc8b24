#pragma once
/// The backends under test and what each promises: the agreement test, the support matrix and the benchmarks walk this
/// list. A further backend is one more entry in it, and one more Promises.
#include "radapt/backend/onednn/all.hpp"
#include "radapt/backend/reference/all.hpp"
#include "radapt/backend/run.hpp"
#include "radapt/op/all.hpp"

namespace radapt_test {

/// What a backend says of itself beyond its results.
template <class Backend>
struct Promises;
template <>
struct Promises<radapt::reference> {
  static constexpr bool repeated_calls_allocate_nothing = false;  // Eigen's products and the scores of attention do
  static constexpr bool loops_do_not_depend_on_threads = false;   // it has none; Eigen's products are up to Eigen
};
template <>
struct Promises<radapt::onednn> {
  static constexpr bool repeated_calls_allocate_nothing = true;
  static constexpr bool loops_do_not_depend_on_threads = true;
};

using backends = radapt::op::list<radapt::reference, radapt::onednn>;

/// One device of each backend for all tests, so that its workspace is dirty and its caches are warm.
template <class Backend>
Backend& device_of() {
  static Backend device;
  return device;
}

/// Calls f.template operator()<Backend>() for every backend.
template <class F>
void for_each_backend(F&& f) {
  [&]<class... B>(radapt::op::list<B...>*) { (f.template operator()<B>(), ...); }(static_cast<backends*>(nullptr));
}
/// Calls f.template operator()<Backend, T>() for every backend in every element type.
template <class F>
void for_each_backend_and_element(F&& f) {
  for_each_backend([&]<class Backend>() {
    f.template operator()<Backend, float>();
    f.template operator()<Backend, double>();
  });
}

}  // namespace radapt_test
