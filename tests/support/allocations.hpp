#pragma once
/// Counts the allocations of the executable. Its operators new and delete are in counting_operators.hpp.
#include <atomic>

namespace radapt_test {

/// Allocations that were made while counting.
struct Allocations {
  static inline std::atomic<long> count{0};
  static inline std::atomic<bool> counting{false};

  /// How many f() makes, on all threads, those of oneDNN itself left out: it makes a table of arguments in every
  /// execution.
  template <class F>
  static long of(F&& f) {
    count = 0;
    counting = true;
    f();
    counting = false;
    return count;
  }
};

}  // namespace radapt_test
