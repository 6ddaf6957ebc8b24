#pragma once
/// Compares the kernels of backends with the reference backend in double, at the tested sizes of a case.
///
/// Each comparison also checks that nothing beside the outputs is written, that a repeated call gives the same bits,
/// that one thread gives the bits of two where that is promised, and, likewise, that a repeated call allocates nothing.
#include <doctest/doctest.h>

#include <functional>
#include <string>

#include "cases/all.hpp"
#include "cases/backends.hpp"
#include "cases/reference_kernels.hpp"
#include "op/threads.hpp"
#include "support/allocations.hpp"

namespace radapt_test {

/// One operation at one size on one backend.
struct Subject {
  std::string title;
  bool is_bf16;
  std::function<std::function<void()>(Blocks&)> prepare;  ///< takes the buffers and returns the call
  double tolerance, tolerance_of_wider_buffers;
  std::string reason;
  int threads;
  bool same_bits_with_one_thread, allocates_nothing;
};

inline void compare(const Subject& subject, const Blocks& expected, const radapt::MemorySource& memory) {
  INFO(subject.title);
  INFO(subject.reason);
  use_threads(subject.threads);
  Blocks first(memory), again(memory), alone(memory);
  if (subject.is_bf16) {
    for (Blocks* blocks : {&first, &again, &alone}) { blocks->use_numbers_of_bf16(); }
  }
  const auto call = subject.prepare(first);
  call();
  CHECK(first.error_against(expected) <= subject.tolerance);
  if (subject.is_bf16) { CHECK(first.error_of_wider_buffers(expected) <= subject.tolerance_of_wider_buffers); }
  CHECK(first.only_outputs_changed());

  subject.prepare(again)();
  CHECK(again.same_bits(first));

  use_threads(1);
  subject.prepare(alone)();
  if (subject.same_bits_with_one_thread) { CHECK(alone.same_bits(first)); }
  CHECK(alone.error_against(expected) <= subject.tolerance);

  use_threads(subject.threads);
  if (subject.allocates_nothing) { CHECK(Allocations::of(call) == 0); }
}

/// Case C at one size on a backend that has a kernel for it.
template <class C, class Backend, class T>
Subject subject(const typename C::Size& size) {
  return {.title = std::string(Backend::name) + ' ' + std::string(radapt::element_name<T>) + ": " + size.title(),
          .is_bf16 = std::is_same_v<T, radapt::bf16>,
          .prepare =
              [&size](Blocks& blocks) {
                Memory<T> memory(blocks);
                return [o = C::template build<T>(memory, size)] {
                  launch(device_of<Backend>(), o);
                  if constexpr (requires(Backend & b) { b.synchronize(); }) { device_of<Backend>().synchronize(); }
                };
              },
          .tolerance = C::tolerance.template of<T>() + rounded_inside<Backend, typename C::template operation<T>>(),
          .tolerance_of_wider_buffers = C::tolerance.f32,
          .reason = C::tolerance.reason,
          .threads = Promises<Backend>::loops_do_not_depend_on_threads ? 2 : 1,
          .same_bits_with_one_thread =
              C::threads == Threads::same_bits && Promises<Backend>::loops_do_not_depend_on_threads,
          .allocates_nothing = Promises<Backend>::repeated_calls_allocate_nothing};
}

/// Case C on every backend of a list.
template <class C, class Backends>
void check_agreement() {
  const auto sizes = C::tested();
  REQUIRE_FALSE(sizes.empty());
  for (const auto& size : sizes) {
    use_threads(1);
    Blocks expected, expected_of_bf16;
    expected_of_bf16.use_numbers_of_bf16();
    for (Blocks* blocks : {&expected, &expected_of_bf16}) {
      Memory<double> memory(*blocks);
      launched(C::template build<double>(memory, size))();
    }
    for_each_backend_and_element<Backends>([&]<class Backend, class T>() {
      if constexpr (radapt::has_kernel<typename C::template operation<T>, Backend>) {
        for (const radapt::MemorySource* source : Promises<Backend>::operand_memories()) {
          compare(subject<C, Backend, T>(size), std::is_same_v<T, radapt::bf16> ? expected_of_bf16 : expected, *source);
        }
      }
    });
  }
}

}  // namespace radapt_test
