#pragma once
/// A backend that computes nothing and counts which operations it was asked for: what is planned, kept and run does not
/// depend on numbers, and without kernels a whole CLIP compiles in a second.
#include <map>
#include <string>

#include "radapt/backend/run.hpp"

namespace radapt_test {

struct counting {
  static constexpr auto name = "counting";
  std::map<std::string, int> launched;  ///< how often, by the operation's name

  int count(const std::string& op) const {
    const auto found = launched.find(op);
    return found == launched.end() ? 0 : found->second;
  }
};
template <class Op>
void launch(counting& device, const Op&) {
  ++device.launched[Op::name];
}

}  // namespace radapt_test
