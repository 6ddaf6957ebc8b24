#pragma once
/// The golden table of methods, fixtures/losses.safetensors: which of its families are tested where, and walking every
/// case of them, so that no case and no tensor of one can be forgotten.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "radapt/core/shape.hpp"
#include "radapt/io/safetensors.hpp"
#include "support/shared_data.hpp"

namespace radapt_test {

/// A family of the table, and the file below tests/ that walks its cases.
struct TableFamily {
  std::string_view name, test;
};
inline constexpr std::string_view not_covered_yet;  // the method is not there

/// Every family of the file; loss/golden_families_test.cpp holds this list against it. Whoever adds a method walks its
/// family in a test and writes that test here.
inline constexpr TableFamily table_families[] = {
    {"mpm_nce", "loss/golden_losses.hpp"},
    {"mpm_nce_unlabelled", "loss/golden_losses.hpp"},
    {"info_nce", "loss/golden_losses.hpp"},
    {"cross_entropy", "loss/golden_losses.hpp"},
    {"adapter", "adapter/golden_adapters_test.cpp"},
    {"merge", "adapter/golden_adapters_test.cpp"},
    {"wise_ft", "ensemble/golden_ensembles_test.cpp"},
    {"ema", "ensemble/golden_ensembles_test.cpp"},
    {"beta_moving_average", "ensemble/golden_ensembles_test.cpp"},
    {"adamw", "train/golden_updates_test.cpp"},
    {"schedule", "train/golden_updates_test.cpp"},
    {"clip_gradients", "train/golden_updates_test.cpp"},
    {"margin_metric_softmax", "loss/golden_terms_test.cpp"},
    {"star", "loss/golden_terms_test.cpp"},
    {"star_weight", "loss/golden_terms_test.cpp"},
    {"vrf", "ensemble/vrf_test.cpp"},
    {"fisher", "ensemble/fisher_test.cpp"},
    {"prolora", "adapter/transfer_test.cpp"},
    {"prolora_adapter", "adapter/transfer_test.cpp"},
};

inline radapt::safetensors::File open_tables() {
  return radapt::safetensors::open(shared_data("fixtures/losses.safetensors"));
}

/// One case of a family, `<family>.<number>`. It remembers which of its tensors were asked for.
class TableCase {
 public:
  TableCase(const radapt::safetensors::File& file, const std::string& name) : file_(&file), prefix_(name + '.') {
    for (const std::string& tensor : file.names()) {
      if (tensor.starts_with(prefix_)) { unread_.insert(tensor.substr(prefix_.size())); }
    }
  }

  bool has(const std::string& tensor) const { return file_->contains(prefix_ + tensor); }
  radapt::Index extent(const std::string& tensor, std::size_t axis) const {
    return static_cast<radapt::Index>(file_->at(prefix_ + tensor).shape.at(axis));
  }
  template <class T>
  std::vector<T> read(const std::string& tensor) {
    unread_.erase(tensor);
    return file_->template read<T>(prefix_ + tensor);
  }
  template <class T>
  T scalar(const std::string& tensor) {
    unread_.erase(tensor);
    return file_->template scalar<T>(prefix_ + tensor);
  }
  /// Class ids, stored as I64.
  std::vector<std::int32_t> labels(const std::string& tensor) {
    const auto wide = read<std::int64_t>(tensor);
    return {wide.begin(), wide.end()};
  }
  /// States that nothing of the library is to be compared with this tensor; the caller's comment says why.
  void leave_out(const std::string& tensor) { unread_.erase(tensor); }

  const std::set<std::string>& unread() const { return unread_; }

 private:
  const radapt::safetensors::File* file_;
  std::string prefix_;
  std::set<std::string> unread_;
};

/// What compares one case of each family.
using TableChecks = std::map<std::string_view, void (*)(TableCase&)>;

/// Runs `checks` on every case of every family of the test file `test`. Fails for a family without a check, a check
/// without a family, a family without cases, and a tensor of a case that no check asked for.
inline void walk_tables(std::string_view test, const TableChecks& checks) {
  const auto file = open_tables();
  std::size_t families = 0;
  for (const TableFamily& family : table_families) {
    if (family.test != test) { continue; }
    ++families;
    const std::string name(family.name);
    CAPTURE(name);
    REQUIRE(checks.contains(family.name));
    std::set<std::string> cases;
    for (const std::string& tensor : file.names()) {
      if (tensor.starts_with(name + '.')) { cases.insert(tensor.substr(0, tensor.find('.', name.size() + 1))); }
    }
    CHECK_FALSE(cases.empty());
    for (const std::string& one : cases) {
      CAPTURE(one);
      TableCase table_case(file, one);
      checks.at(family.name)(table_case);
      for (const std::string& forgotten : table_case.unread()) {
        FAIL_CHECK("no check of this case asks for its tensor '", forgotten, "'");
      }
    }
  }
  CHECK(families == checks.size());
}

/// max |x - expected| / max(1, max |expected|): the error that the oracle's README states bounds for. A case whose
/// expected values are zero needs the absolute form.
template <class A, class B>
double table_error(const A& x, const B& expected) {
  if (x.size() != expected.size()) { return INFINITY; }
  double error = 0, largest = 1;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double difference = std::abs(static_cast<double>(x[i]) - static_cast<double>(expected[i]));
    error = difference > error || std::isnan(difference) ? difference : error;
    largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
  }
  return error / largest;
}

}  // namespace radapt_test
