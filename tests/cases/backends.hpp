#pragma once
/// The backends under test and what each promises: the agreement test, the support matrix and the benchmarks walk this
/// list. A further backend is one more entry in it, and one more Promises.
#include <vector>

#include "cuda/operands.hpp"
#include "radapt/backend/cuda/all.hpp"
#include "radapt/backend/onednn/bf16.hpp"
#include "radapt/backend/reference/all.hpp"
#include "radapt/backend/run.hpp"
#include "radapt/op/all.hpp"

namespace radapt_test {

/// What a backend says of itself beyond its results.
template <class Backend>
struct Promises;
struct OperandsOnTheHeap {
  /// The kinds of memory that operands are tried in.
  static std::vector<const radapt::MemorySource*> operand_memories() { return {&radapt::host_memory}; }
};
template <>
struct Promises<radapt::reference> : OperandsOnTheHeap {
  static constexpr bool repeated_calls_allocate_nothing = false;  // Eigen's products and the scores of attention do
  static constexpr bool loops_do_not_depend_on_threads = false;   // it has none; Eigen's products are up to Eigen
};
template <>
struct Promises<radapt::onednn> : OperandsOnTheHeap {
  static constexpr bool repeated_calls_allocate_nothing = true;
  static constexpr bool loops_do_not_depend_on_threads = true;
};

/// On bf16, attention rounds probabilities and the gradients of scores to be factors of the next product: each term of
/// a sum is off by 2^-8 of itself at most. The other factors are what is stored, and weights that bf16 holds. What is
/// between a linear layer and its activation, or the sum behind it, is rounded as if it were stored: off by 2^-9, at
/// slopes up to 1.13.
struct RoundsInside {
  template <template <class> class Of, class Op>
  static constexpr bool is = std::is_same_v<Op, Of<radapt::bf16>>;
  template <class Op>
  static constexpr double rounded_inside =
      is<radapt::op::attention_forward, Op> || is<radapt::op::attention_backward, Op> ||
              is<radapt::op::linear_activation_forward, Op> || is<radapt::op::linear_residual_forward, Op>
          ? 1.01 * 0x1p-8
          : 0;
};

/// On processors that multiply bf16; on others attention rounds once.
template <>
struct Promises<radapt::onednn_bf16> : Promises<radapt::onednn>, RoundsInside {};

template <>
struct Promises<radapt::cuda> : OperandsOfCuda {
  static constexpr bool repeated_calls_allocate_nothing = false;  // operands on the heap make it list what to copy back
  static constexpr bool loops_do_not_depend_on_threads = false;   // it has none on the host
};

template <>
struct Promises<radapt::cuda_bf16> : Promises<radapt::cuda>, RoundsInside {};

/// How far an operation of a backend may be off because it rounds between its steps, beside the case's tolerance.
template <class Backend, class Op>
constexpr double rounded_inside() {
  if constexpr (requires { Promises<Backend>::template rounded_inside<Op>; }) {
    return Promises<Backend>::template rounded_inside<Op>;
  } else {
    return 0;
  }
}

using host_backends = radapt::op::list<radapt::reference, radapt::onednn>;
using backends = radapt::op::list<radapt::reference, radapt::onednn, radapt::cuda>;

/// One device of each backend for all tests, so that its workspace is dirty and its caches are warm.
template <class Backend>
Backend& device_of() {
  static Backend device;
  return device;
}

/// Calls f.template operator()<Backend>() for every backend of a list.
template <class List = backends, class F>
void for_each_backend(F&& f) {
  [&]<class... B>(radapt::op::list<B...>*) { (f.template operator()<B>(), ...); }(static_cast<List*>(nullptr));
}
/// Calls f.template operator()<Backend, T>() for every backend in every element type: in float and double, or in what
/// the backend stores.
template <class List = backends, class F>
void for_each_backend_and_element(F&& f) {
  for_each_backend<List>([&]<class Backend>() {
    if constexpr (requires { typename Backend::activation; }) {
      f.template operator()<Backend, typename Backend::activation>();
    } else {
      f.template operator()<Backend, float>();
      f.template operator()<Backend, double>();
    }
  });
}

}  // namespace radapt_test
