// libFuzzer: whatever bytes a checkpoint has, reading it succeeds or throws radapt::error; and what was read is
// consistent, and comes back unchanged when it is written.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "radapt/core/error.hpp"
#include "radapt/io/clip_config.hpp"
#include "radapt/io/names.hpp"
#include "radapt/io/safetensors.hpp"

namespace {

namespace st = radapt::safetensors;

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

/// What was read lies inside the input and has the size of its shape; its elements can be read or are refused.
void look_at(const st::File& file, std::span<const std::byte> input) {
  std::size_t total = 0;
  for (const auto& [name, tensor] : file.tensors()) {
    total += tensor.data.size();
    require(st::byte_size(tensor.dtype, tensor.shape) == tensor.data.size());
    require(tensor.data.data() >= input.data() &&
            tensor.data.data() + tensor.data.size() <= input.data() + input.size());
    attempt([&file, &name = name] { file.read<double>(name); });
    attempt([&file, &name = name] { file.read<float>(name); });
    attempt([&file, &name = name] { file.read<std::int64_t>(name); });
    attempt([&file, &name = name] { file.scalar<std::uint8_t>(name); });
  }
  require(total <= input.size());
  attempt([&file] { file.at("visual.prj"); });
}

/// Header and data as `write` would put them into a file.
std::string written(const st::File& file) {
  std::string header = st::header_text(file.tensors(), file.metadata(), "writing");
  std::string bytes;
  for (std::size_t i = 0; i < 8; ++i) { bytes += static_cast<char>((header.size() >> (8 * i)) & 255U); }
  bytes += header;
  for (const auto* item : st::file_order(file.tensors())) {
    const std::span<const std::byte> data = item->second.data;
    bytes.append(reinterpret_cast<const char*>(data.data()), data.size());
  }
  return bytes;
}

void same(const st::File& a, const st::File& b) {
  require(a.metadata() == b.metadata() && a.names() == b.names());
  for (const auto& [name, tensor] : a.tensors()) {
    const st::Tensor& other = b.at(name);
    require(tensor.dtype == other.dtype && tensor.shape == other.shape && tensor.data.size() == other.data.size());
    for (std::size_t i = 0; i < tensor.data.size(); ++i) { require(tensor.data[i] == other.data[i]); }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::byte> input = std::as_bytes(std::span<const std::uint8_t>(data, size));
  attempt([input] {
    const st::File file = st::parse(input, "input");
    look_at(file, input);
    const std::string again = written(file);
    same(file, st::parse(std::as_bytes(std::span<const char>(again.data(), again.size())), "again"));
    attempt([&file] {
      const radapt::ClipConfig config = radapt::infer_clip_config(file);
      const std::vector<radapt::names::Wanted> wanted{{"visual.proj", {config.vision.width, config.embed}},
                                                      {"logit_scale", {}}};
      const radapt::names::Assembly assembly(file, radapt::names::detect(file), wanted);
      std::vector<double> values(static_cast<std::size_t>(assembly.stored_size("visual.proj")));
      assembly.copy("visual.proj", values.data());
    });
  });
  return 0;
}
