#pragma once
/// Adapters of a fine-tuned CLIP in a file of their own: small, and of use only together with the weights they adapt.
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "radapt/adapter/r_adapter.hpp"
#include "radapt/clip/clip.hpp"
#include "radapt/core/weights.hpp"
#include "radapt/io/quoted_name.hpp"
#include "radapt/io/safetensors.hpp"
#include "radapt/io/safetensors_write.hpp"
#include "radapt/io/wanted_tensors.hpp"

namespace radapt {

/// What an adapter file says about itself, in the metadata of its safetensors header:
///
///     radapt.adapter   r_adapter
///     radapt.rank      full, or the inner width of U D
///     radapt.scale     learned (there are tensors s), or none (s = 1)
///     radapt.towers    both, image or text
///     radapt.averaged  true if the tensors are the moving average, which is what is deployed; false if the last step's
///     radapt.base      fingerprint of the frozen weights
///
/// Its tensors are `<site>.adapter.s` [], and `.F` [d,d], or `.U` [d,r] and `.D` [r,d], where a site is
/// `<block>.attn` or `<block>.mlp` of open_clip's names; a layer narrower than the rank has an F (methods.md 1.13).
struct AdapterFacts {
  std::string rank = "full";
  std::string scale = "learned";
  std::string towers = "both";
  bool averaged = false;
  std::string base = {};
};

struct AdapterLoadOptions {
  bool expand_low_rank = false;  ///< load U D as F = U D, rounded once, where the model's adapters are full
  bool any_base = false;         ///< load although the file was trained on other frozen weights
};

namespace detail {

constexpr std::string_view adapter_key = "radapt.adapter";

/// FNV-1a over 32-bit words and bytes.
struct Fingerprint {
  std::uint64_t value = 0xcbf29ce484222325u;
  void add(std::uint32_t word) { value = (value ^ word) * 0x100000001b3u; }
};

/// What the type of a model says an adapter file for it must hold.
template <class Arch, class Policy>
struct adapter_description {};
template <class Arch, class Rank, class Scale, class Towers>
struct adapter_description<Arch, RAdapter<Rank, Scale, Towers>> {
  template <Index R>
  static Index width_of(const low_rank<R>&) {
    return R;
  }
  static Index width_of(const full&) { return 0; }
  static std::string rank() {
    const Index r = width_of(Rank{});
    const bool image = Towers::template has<role::tower::image>, text = Towers::template has<role::tower::text>;
    const bool narrow = (image && r < Arch::vision.width) || (text && r < Arch::text.width);
    return r == 0 || !narrow ? "full" : std::to_string(r);
  }
  static AdapterFacts facts() {
    const bool image = Towers::template has<role::tower::image>, text = Towers::template has<role::tower::text>;
    return {.rank = rank(),
            .scale = std::is_same_v<Scale, learned_scale> ? "learned" : "none",
            .towers = image && text ? "both"
                      : image       ? "image"
                                    : "text"};
  }
};
template <class Arch, class Policy, class What>
struct adapter_description<Arch, Recomputed<Policy, What>> : adapter_description<Arch, Policy> {};
template <class Arch, class Policy>
concept has_r_adapter = requires {
  adapter_description<Arch, Policy>::facts();
};

}  // namespace detail

/// A fingerprint of everything in `weights` that is no adapter: names and values, as f32, in any order. Equal for a
/// model with and without adapters; 16 hexadecimal digits. It guards against mistakes, not against intent.
template <class M, class T>
std::string base_fingerprint(const Weights<M, T>& weights) {
  std::uint64_t sum = 0;
  for (const Tensor<const T>& tensor : weights.tensors()) {
    if (tensor.facts.is_adapter) { continue; }
    detail::Fingerprint print;
    for (const char c : tensor.name()) { print.add(static_cast<unsigned char>(c)); }
    for (Index i = 0; i < tensor.size(); ++i) {
      const auto value = static_cast<float>(tensor.data[i]);
      std::uint32_t bits = 0;
      std::memcpy(&bits, &value, sizeof bits);
      print.add(bits);
    }
    sum += print.value;
  }
  std::string text(16, '0');
  for (std::size_t i = 0; i < 16; ++i) { text[15 - i] = "0123456789abcdef"[(sum >> (4 * i)) & 15U]; }
  return text;
}

/// Writes the adapters of `weights`, and nothing else, atomically, in the element type of the weights. `averaged` says
/// whether they are a moving average (Trainer::averaged) or the last step's (Trainer::weights).
template <class Arch, class Policy, class Unlock, class T>
requires detail::has_r_adapter<Arch, Policy>
void save_adapters(const std::filesystem::path& path, const Weights<Clip<Arch, Policy, Unlock>, T>& weights,
                   bool averaged) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8);
  std::map<std::string, safetensors::Entry> tensors;
  for (const Tensor<const T>& tensor : weights.tensors()) {
    if (!tensor.facts.is_adapter) { continue; }
    tensors[tensor.name()] = {.dtype = sizeof(T) == 8 ? safetensors::DType::F64 : safetensors::DType::F32,
                              .shape = safetensors::shape_of(tensor),
                              .data = std::as_bytes(std::span<const T>(tensor.data, tensor.size()))};
  }
  const AdapterFacts facts = detail::adapter_description<Arch, Policy>::facts();
  safetensors::write(path, tensors,
                     {{"format", "pt"},
                      {std::string(detail::adapter_key), "r_adapter"},
                      {"radapt.rank", facts.rank},
                      {"radapt.scale", facts.scale},
                      {"radapt.towers", facts.towers},
                      {"radapt.averaged", averaged ? "true" : "false"},
                      {"radapt.base", base_fingerprint(weights)}});
}

/// What the file says about itself. Error: it is no adapter file, or says something that radapt does not know.
inline AdapterFacts adapter_facts(const safetensors::File& file) {
  const std::string what = "reading the adapters in '" + file.name() + "'";
  const std::string* kind = file.metadata().find(detail::adapter_key);
  if (kind == nullptr || *kind != "r_adapter") {
    fail({.what = what,
          .expected = "metadata " + std::string(detail::adapter_key) + " = r_adapter",
          .got = kind == nullptr ? "none" : quoted_name(*kind),
          .hint = "Adapter files are written by radapt::save_adapters"});
  }
  std::string problems;
  const auto value = [&](const std::string& key, auto&& fits, const std::string& expected) {
    const std::string* found = file.metadata().find("radapt." + key);
    if (found != nullptr && fits(*found)) { return *found; }
    problems += (problems.empty() ? "" : "; ") + ("radapt." + key) +
                (found == nullptr ? std::string(" missing") : " = " + quoted_name(*found)) + ", not " + expected;
    return std::string();
  };
  const auto is_rank = [](const std::string& text) {
    const bool number = !text.empty() && text.size() < 10 && text[0] != '0' &&
                        text.find_first_not_of("0123456789") == std::string::npos;
    return text == "full" || number;
  };
  AdapterFacts facts;
  facts.rank = value("rank", is_rank, "full or a number");
  facts.scale = value(
      "scale", [](const std::string& t) { return t == "learned" || t == "none"; }, "learned or none");
  facts.towers = value(
      "towers", [](const std::string& t) { return t == "both" || t == "image" || t == "text"; }, "both, image or text");
  facts.averaged =
      value(
          "averaged", [](const std::string& t) { return t == "true" || t == "false"; }, "true or false") == "true";
  facts.base = value(
      "base",
      [](const std::string& t) {
        return t.size() == 16 && t.find_first_not_of("0123456789abcdef") == std::string::npos;
      },
      "16 hexadecimal digits");
  if (!problems.empty()) {
    fail({.what = what,
          .expected = "metadata of an adapter file",
          .got = problems,
          .hint = "Was it written by another version?"});
  }
  return facts;
}

namespace detail {

/// An adapter file in the place of a model's adapters; a low-rank file also for full ones.
class AdapterReader {
 public:
  AdapterReader(const safetensors::File& file, std::string what, Index expanded_rank)
      : file_(file), wanted_(file, std::move(what)), expanded_rank_(expanded_rank) {}

  /// Notes what is wrong with the stored form of our tensor `name`.
  void check(const std::string& name, const std::vector<std::uint64_t>& shape) {
    if (expands(name)) {
      wanted_.check(factor(name, 'U'), {shape[0], expanded_rank_});
      wanted_.check(factor(name, 'D'), {expanded_rank_, shape[1]});
    } else {
      wanted_.check(name, shape);
    }
  }
  void finish() const {
    wanted_.finish("the adapters of the model", "Were they trained in a model of this architecture?");
  }
  /// The elements of our tensor `name`.
  template <class T>
  std::vector<T> read(const std::string& name) const {
    if (!expands(name)) { return file_.read<T>(name); }
    const auto up = file_.read<double>(factor(name, 'U')), down = file_.read<double>(factor(name, 'D'));
    const Index rank = expanded_rank_, rows = up.size() / rank;
    const DoubleMatrix product = multiply(in_double(Matrix<const double>(up.data(), rows, rank)),
                                          in_double(Matrix<const double>(down.data(), rank, rows)));
    std::vector<T> values;
    for (Index i = 0; i < product.size(); ++i) { values.push_back(static_cast<T>(product.data()[i])); }
    return values;
  }

 private:
  /// A full F whose file has U and D instead. A file of low rank has an F where the layer is no wider than the rank.
  bool expands(const std::string& name) const {
    return expanded_rank_ > 0 && name.ends_with(".F") && !file_.contains(name);
  }
  static std::string factor(const std::string& name, char letter) {
    return name.substr(0, name.size() - 1) + std::string(1, letter);
  }

  const safetensors::File& file_;
  safetensors::WantedTensors wanted_;
  Index expanded_rank_;
};

}  // namespace detail

/// Reads an adapter file into the adapters of `weights`, whose other tensors must be those that the adapters were
/// trained with. Bits come back as they were saved; F64 is rounded to nearest even where T is float.
///
/// Errors: no adapter file; another rank, scale or choice of towers than the model's; another base; and, in one
/// message, all missing, unexpected and misshapen tensors and those without floating-point numbers. After an error
/// `weights` are as before.
template <class Arch, class Policy, class Unlock, class T>
requires detail::has_r_adapter<Arch, Policy> AdapterFacts load_adapters(const std::filesystem::path& path,
                                                                        Weights<Clip<Arch, Policy, Unlock>, T>& weights,
                                                                        const AdapterLoadOptions& options = {}) {
  const safetensors::File file = safetensors::open(path);
  const AdapterFacts stored = adapter_facts(file);
  const AdapterFacts wanted = detail::adapter_description<Arch, Policy>::facts();
  const std::string what = "loading the adapters in '" + file.name() + "'";
  const bool expands = options.expand_low_rank && wanted.rank == "full" && stored.rank != "full";
  std::string expected, got;
  const auto compare = [&](const std::string& key, const std::string& theirs, const std::string& ours) {
    if (theirs == ours) { return; }
    expected += (expected.empty() ? "" : ", ") + key + " " + ours;
    got += (got.empty() ? "" : ", ") + key + " " + theirs;
  };
  if (!expands) { compare("rank", stored.rank, wanted.rank); }
  compare("scale", stored.scale, wanted.scale);
  compare("towers", stored.towers, wanted.towers);
  if (!expected.empty()) {
    fail({.what = what,
          .expected = expected + ", as the model's type says",
          .got = got,
          .hint = "Choose the RAdapter<rank, scale, towers> that fits"});
  }
  if (const std::string base = base_fingerprint(weights); !options.any_base && stored.base != base) {
    fail({.what = what,
          .expected = "adapters that were trained on these frozen weights (" + base + ")",
          .got = "adapters of " + stored.base,
          .hint = "Load the checkpoint that was fine-tuned, at the precision and resolution of then"});
  }
  detail::AdapterReader reader(file, what, expands ? static_cast<Index>(std::stoull(stored.rank)) : 0);
  std::vector<Tensor<T>> tensors = weights.tensors();
  std::erase_if(tensors, [](const Tensor<T>& tensor) { return !tensor.facts.is_adapter; });
  for (const Tensor<T>& tensor : tensors) { reader.check(tensor.name(), safetensors::shape_of(tensor)); }
  reader.finish();
  std::vector<std::vector<T>> values;  // conversion may still fail; weights change only after it
  for (const Tensor<T>& tensor : tensors) { values.push_back(reader.template read<T>(tensor.name())); }
  for (Index i = 0; i < tensors.size(); ++i) { std::copy(values[i].begin(), values[i].end(), tensors[i].data); }
  return stored;
}

}  // namespace radapt
