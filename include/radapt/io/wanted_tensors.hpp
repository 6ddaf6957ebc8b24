#pragma once
/// What a program wants of a safetensors file, compared with what the file holds: all that is wrong in one error.
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "radapt/core/error.hpp"
#include "radapt/io/quoted_name.hpp"
#include "radapt/io/safetensors.hpp"

namespace radapt::safetensors {

/// Collects missing, unexpected, misshapen and mistyped tensors of a file; the file must outlive it.
class WantedTensors {
 public:
  /// `what` begins the error message.
  WantedTensors(const File& file, std::string what) : file_(file), what_(std::move(what)) {}

  /// Notes what is wrong with the tensor `name`, wanted in this shape and as floating-point numbers of any size.
  void check(const std::string& name, const std::vector<std::uint64_t>& shape) {
    known_.insert(name);
    if (!file_.contains(name)) {
      missing_.push_back(quoted_name(name));
      return;
    }
    const safetensors::Tensor& tensor = file_.at(name);
    if (tensor.shape != shape) {
      misshapen_.push_back(quoted_name(name) + " is " + spell(tensor.shape) + ", the model wants " + spell(shape));
    } else if (tensor.dtype != DType::F32 && tensor.dtype != DType::F64 && tensor.dtype != DType::F16 &&
               tensor.dtype != DType::BF16) {
      mistyped_.push_back(quoted_name(name) + " is " + std::string(tag(tensor.dtype)));
    }
  }

  /// Throws if anything was noted, or if the file holds more than was asked for.
  void finish(const std::string& expected, const std::string& hint) const {
    std::vector<std::string> unexpected;
    for (const auto& [name, tensor] : file_.tensors()) {
      if (known_.count(name) == 0) { unexpected.push_back(quoted_name(name)); }
    }
    std::string got;
    const auto add = [&got](const std::vector<std::string>& items, const char* kind) {
      if (items.empty()) { return; }
      got += (got.empty() ? "" : "; ") + std::to_string(items.size()) + " " + kind + ": ";
      for (std::size_t i = 0; i < items.size(); ++i) { got += (i == 0 ? "" : ", ") + items[i]; }
    };
    add(missing_, "missing");
    add(unexpected, "unexpected");
    add(misshapen_, "misshapen");
    add(mistyped_, "without floating-point numbers");
    if (!got.empty()) { fail({.what = what_, .expected = expected, .got = got, .hint = hint}); }
  }

 private:
  const File& file_;
  std::string what_;
  std::set<std::string> known_;
  std::vector<std::string> missing_, misshapen_, mistyped_;
};

}  // namespace radapt::safetensors
