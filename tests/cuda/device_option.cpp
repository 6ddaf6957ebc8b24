/// The option --device of the programs, in a build with the CUDA backend.
#define RADAPT_EXAMPLES_WITH_CUDA
#include "support/device.hpp"

#include <doctest/doctest.h>

#include <string>

namespace {

/// What a program does with its command line; the name of the backend that it runs on.
std::string backend_of(std::string arguments) {
  CLI::App app;
  std::string device;
  example::add_device_option(app, device);
  app.parse(std::move(arguments));
  return example::on_device(device, []<class Backend>() { return std::string(Backend::name); });
}

}  // namespace

TEST_CASE("--device names the backend") {
  CHECK(backend_of("") == "onednn");
  CHECK(backend_of("--device cpu") == "onednn");
  CHECK(backend_of("--device cuda") == "cuda");
  CHECK(backend_of("--device cuda_bf16") == "cuda_bf16");
  CHECK_THROWS_AS(backend_of("--device gpu"), CLI::ParseError);
}
