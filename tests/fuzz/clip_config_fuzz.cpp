// libFuzzer: whatever text a configuration file has, reading it succeeds or throws radapt::error; and what was read
// describes a model that could be built.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>

#include "radapt/core/error.hpp"
#include "radapt/io/clip_config.hpp"
#include "radapt/io/json_document.hpp"
#include "radapt/io/preprocess_config.hpp"

namespace {

void require(bool condition) {
  if (!condition) { std::abort(); }
}

template <class Action>
void attempt(Action&& action) {
  try {
    action();
  } catch (const radapt::error&) {
    // One of the errors that the readers promise.
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::byte> input = std::as_bytes(std::span<const std::uint8_t>(data, size));
  attempt([input] {
    const nlohmann::json document = radapt::parse_json(input, "input");
    attempt([&document] {
      const radapt::ClipConfig config = radapt::clip_config_from_json(document, "input");
      require(config.vision.heads > 0 && config.vision.width % config.vision.heads == 0);
      require(config.text.heads > 0 && config.text.width % config.text.heads == 0);
      require(config.patch > 0 && config.patch <= config.image && config.activation_known);
      require(std::isfinite(config.layer_norm_eps) && config.layer_norm_eps > 0);
      require(std::isfinite(config.logit_scale_init));
      radapt::check_clip_config(config, "what was read");
      require(radapt::differences(config, config).empty());
    });
    attempt([&document] {
      const radapt::PreprocessConfig config = radapt::preprocess_from_json(document, "input");
      require(config.size > 0);
      for (const double deviation : config.std) { require(std::isfinite(deviation) && deviation > 0); }
      for (const double mean : config.mean) { require(std::isfinite(mean)); }
    });
  });
  return 0;
}
