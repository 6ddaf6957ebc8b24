/// Which backend has a kernel for which operation, computed, printed, and compared with docs/support-matrix.md.
#include <doctest/doctest.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "cases/backends.hpp"

namespace {

using namespace radapt_test;

using radapt::bf16;
using bf16_backends = radapt::op::list<radapt::onednn_bf16, radapt::cuda_bf16>;

std::string cell(bool has) { return has ? " yes |" : " no |"; }

template <class... OnFloat, class... OnDouble, class... OnBf16>
std::string rows(radapt::op::list<OnFloat...>, radapt::op::list<OnDouble...>, radapt::op::list<OnBf16...>) {
  std::string text;
  const auto add = [&]<class F, class D, class B>(const F&, const D&, const B&) {
    text += std::string("| `") + F::name + "` |";
    for_each_backend(
        [&]<class Backend>() { text += cell(radapt::has_kernel<F, Backend>) + cell(radapt::has_kernel<D, Backend>); });
    for_each_backend<bf16_backends>([&]<class Backend>() { text += cell(radapt::has_kernel<B, Backend>); });
    text += "\n";
  };
  (add(OnFloat{}, OnDouble{}, OnBf16{}), ...);
  return text;
}

std::string matrix() {
  std::string head = "| operation |", rule = "|---|";
  for_each_backend([&]<class Backend>() {
    head += std::string(" ") + Backend::name + " float | " + Backend::name + " double |";
    rule += "---|---|";
  });
  for_each_backend<bf16_backends>([&]<class Backend>() {
    head += std::string(" ") + Backend::name + " bf16 |";
    rule += "---|";
  });
  return head + "\n" + rule + "\n" + rows(radapt::op::all<float>{}, radapt::op::all<double>{}, radapt::op::all<bf16>{});
}

}  // namespace

TEST_CASE("docs/support-matrix.md says which backend has which kernel") {
  const std::string computed = matrix();
  std::printf("%s", computed.c_str());
  const std::string path = RADAPT_SOURCE_DIR "/docs/support-matrix.md";
  std::ifstream file(path);
  REQUIRE_MESSAGE(file.good(), path);
  std::string documented;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("|")) { documented += line + "\n"; }
  }
  const bool up_to_date = documented == computed;
  CHECK_MESSAGE(up_to_date, path, " is out of date; the table that was printed belongs there");
}
