#pragma once
/// The CPU backend with a clock at every operation: where the time of a pass goes.
#include <chrono>
#include <map>
#include <string>

#include "radapt/backend/onednn/all.hpp"
#include "radapt/backend/run.hpp"
#include "radapt/core/const_weights.hpp"

namespace radapt_bench {

/// What one operation took on matrices of one width.
struct OperationTime {
  long calls = 0;
  double seconds = 0;
};

/// Runs every operation on Device and adds up what it took, by its name and the widths that it reads and writes.
template <class Device>
struct timed {
  static constexpr auto name = "timed";
  using activation = radapt::activation_t<Device, float>;
  static bool packs_weights() { return radapt::packs_weights<Device>(); }
  Device device;
  std::map<std::string, OperationTime> times;

  void promise_constant(const float* begin, radapt::Index elements, bool in_file = false) {
    device.promise_constant(begin, elements, in_file);
  }
};

namespace detail {
template <class Op>
std::string title(const Op& o) {
  std::string text = Op::name;
  if constexpr (requires { o.weight.rows; }) {
    text += ' ' + std::to_string(o.weight.columns) + " -> " + std::to_string(o.weight.rows);
  } else if constexpr (requires { o.dw.rows; }) {
    text += ' ' + std::to_string(o.dw.columns) + " -> " + std::to_string(o.dw.rows);
  } else if constexpr (requires { o.y.columns; }) {
    text += ' ' + std::to_string(o.y.columns);
  }
  if constexpr (requires { o.kept.mask; }) { text += o.kept.keeps_all() ? "" : " (some rows)"; }
  return text;
}
}  // namespace detail

template <class Device, class Op>
requires radapt::has_kernel<Op, Device>
void launch(timed<Device>& device, const Op& o) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  launch(device.device, o);
  OperationTime& time = device.times[detail::title(o)];
  ++time.calls;
  time.seconds += std::chrono::duration<double>(Clock::now() - begin).count();
}

}  // namespace radapt_bench
