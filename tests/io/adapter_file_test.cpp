/// Adapter files: every bit back, and one clear error for whatever does not fit.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "radapt/clip/initialise.hpp"
#include "radapt/clip/merge.hpp"
#include "radapt/io/adapter_file.hpp"
#include "support/temporary_folder.hpp"

using radapt::Index;
using radapt::safetensors::DType;
using radapt_test::TemporaryFolder;

namespace {

struct Tiny : radapt::arch::Defaults {
  static constexpr Index embed = 16, image = 16, patch = 8, context = 8, vocabulary = 16;
  static constexpr radapt::TowerSize vision{32, 2, 1, 64}, text{16, 2, 2, 64};
};
struct Deeper : Tiny {
  static constexpr radapt::TowerSize text{16, 2, 3, 64};
};

template <class Policy, class Arch = Tiny, class T = float>
using Adapted = radapt::Weights<radapt::Clip<Arch, Policy>, T>;
using Full = radapt::RAdapter<>;
using Rank3 = radapt::RAdapter<radapt::low_rank<3>>;
using Rank20 = radapt::RAdapter<radapt::low_rank<20>>;  // U D in the image tower, F in the narrower text tower
using Rank32 = radapt::RAdapter<radapt::low_rank<32>>;  // as wide as the widest layer: full
using ImageWithoutScale =
    radapt::RAdapter<radapt::full, radapt::no_scale, radapt::only_tower<radapt::role::tower::image>>;

/// A model whose every tensor is drawn, adapters included.
template <class Policy, class Arch = Tiny, class T = float>
Adapted<Policy, Arch, T> drawn(std::uint64_t seed = 7) {
  Adapted<Policy, Arch, T> weights;
  radapt::initialise_clip(weights, seed);
  radapt::Random random(seed + 1);
  for (const radapt::Tensor<T>& tensor : weights.tensors()) {
    if (!tensor.facts.is_adapter) { continue; }
    for (Index i = 0; i < tensor.size(); ++i) { tensor.data[i] = static_cast<T>(0.1 * random.normal()); }
  }
  return weights;
}
/// The same frozen weights with adapters at their first values.
template <class Policy, class Arch = Tiny, class T = float>
Adapted<Policy, Arch, T> untrained(std::uint64_t seed = 7) {
  Adapted<Policy, Arch, T> weights;
  radapt::initialise_clip(weights, seed);
  return weights;
}

template <class W>
bool same_bits(const W& a, const W& b) {
  const auto& x = a.buffer();
  const auto& y = b.buffer();
  return x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size() * sizeof(*x.data())) == 0;
}

/// What a call throws; empty if it does not.
template <class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const radapt::error& e) { return e.what(); }
  return {};
}
bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// Rewrites a file with changed tensors and metadata.
template <class Change>
void rewrite(const std::filesystem::path& from, const std::filesystem::path& to, Change&& change) {
  const auto file = radapt::safetensors::open(from);
  auto tensors = file.tensors();
  auto metadata = file.metadata();
  change(tensors, metadata);
  radapt::safetensors::write(to, tensors, metadata);
}

template <class Policy, class T>
void check_round_trip() {
  const TemporaryFolder folder;
  const auto path = folder.path() / "run.safetensors";
  const auto weights = drawn<Policy, Tiny, T>();
  radapt::save_adapters(path, weights, true);
  auto back = untrained<Policy, Tiny, T>();
  REQUIRE_FALSE(same_bits(back, weights));
  const radapt::AdapterFacts facts = radapt::load_adapters(path, back);
  CHECK(same_bits(back, weights));
  CHECK(facts.averaged);
  CHECK(facts.base == radapt::base_fingerprint(weights));
  // Only adapters are stored.
  for (const std::string& name : radapt::safetensors::open(path).names()) {
    CHECK(name.find(".adapter.") != std::string::npos);
  }
}

}  // namespace

TEST_CASE("adapters come back bit for bit") {
  check_round_trip<Full, float>();
  check_round_trip<Rank3, double>();
  check_round_trip<ImageWithoutScale, float>();
  check_round_trip<Rank20, float>();
}

TEST_CASE("the metadata and the names are those of the format") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "run.safetensors";
  radapt::save_adapters(path, drawn<Rank3>(), false);
  const auto file = radapt::safetensors::open(path);
  const radapt::AdapterFacts facts = radapt::adapter_facts(file);
  CHECK(facts.rank == "3");
  CHECK(facts.scale == "learned");
  CHECK(facts.towers == "both");
  CHECK_FALSE(facts.averaged);
  CHECK(*file.metadata().find("radapt.adapter") == "r_adapter");
  CHECK(*file.metadata().find("format") == "pt");  // transformers asks for it
  const auto& up = file.at("visual.transformer.resblocks.0.attn.adapter.U");
  CHECK(up.dtype == DType::F32);
  CHECK(up.shape == std::vector<std::uint64_t>{32, 3});
  CHECK(file.at("transformer.resblocks.1.mlp.adapter.D").shape == std::vector<std::uint64_t>{3, 16});
  CHECK(file.at("transformer.resblocks.1.mlp.adapter.s").shape.empty());
  CHECK(file.tensors().size() == 3 * 2 * 3);  // three blocks, two sites, s U D

  radapt::save_adapters(path, drawn<Rank32>(), false);
  CHECK(radapt::adapter_facts(radapt::safetensors::open(path)).rank == "full");
}

TEST_CASE("the fingerprint is that of the frozen weights alone") {
  const auto plain = [](std::uint64_t seed) {
    radapt::Weights<radapt::Clip<Tiny>> weights;
    radapt::initialise_clip(weights, seed);
    return weights;
  };
  const std::string base = radapt::base_fingerprint(plain(7));
  CHECK(base == radapt::base_fingerprint(drawn<Full>()));
  CHECK(base == radapt::base_fingerprint(drawn<Rank3>()));
  CHECK(base != radapt::base_fingerprint(plain(8)));
  auto changed = plain(7);
  float& one = changed.tensor("ln_final.bias").data[3];
  one = std::nextafter(one, 1.0f);
  CHECK(base != radapt::base_fingerprint(changed));
  // The same values in two tensors of equal shape, exchanged.
  auto exchanged = plain(7);
  const auto a = exchanged.tensor("transformer.resblocks.0.mlp.c_fc.weight");
  const auto b = exchanged.tensor("transformer.resblocks.1.mlp.c_fc.weight");
  std::swap_ranges(a.data, a.data + a.size(), b.data);
  CHECK(base != radapt::base_fingerprint(exchanged));
}

TEST_CASE("missing, unexpected, misshapen and mistyped tensors are in one error, and nothing changes") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "run.safetensors", bad = folder.path() / "bad.safetensors";
  radapt::save_adapters(path, drawn<Full>(), true);
  const std::vector<std::int32_t> whole(32 * 32);
  const std::vector<float> small(4);
  rewrite(path, bad, [&](auto& tensors, auto&) {
    tensors.erase("transformer.resblocks.0.attn.adapter.s");
    tensors["transformer.resblocks.9.attn.adapter.s"] = tensors.at("transformer.resblocks.1.attn.adapter.s");
    tensors["extra"] = tensors.at("transformer.resblocks.1.attn.adapter.s");
    tensors["transformer.resblocks.0.mlp.adapter.F"] = {
        .dtype = DType::F32, .shape = {2, 2}, .data = radapt::safetensors::bytes_of(small)};
    tensors["visual.transformer.resblocks.0.attn.adapter.F"] = {
        .dtype = DType::I32, .shape = {32, 32}, .data = radapt::safetensors::bytes_of(whole)};
  });
  auto weights = untrained<Full>();
  const auto before = weights;
  const std::string message = message_of([&] { radapt::load_adapters(bad, weights); });
  CHECK(holds(message, "1 missing: 'transformer.resblocks.0.attn.adapter.s'"));
  CHECK(holds(message, "2 unexpected: 'extra', 'transformer.resblocks.9.attn.adapter.s'"));
  CHECK(holds(message, "1 misshapen: 'transformer.resblocks.0.mlp.adapter.F' is [2,2], the model wants [16,16]"));
  CHECK(holds(message,
              "1 without floating-point numbers: 'visual.transformer.resblocks.0.attn.adapter.F' is "
              "I32"));
  CHECK(same_bits(weights, before));

  auto deeper = untrained<Full, Deeper>();
  CHECK(holds(message_of([&] { radapt::load_adapters(path, deeper, {.any_base = true}); }),
              "4 missing: 'transformer.resblocks.2.attn.adapter.s', 'transformer.resblocks.2.attn.adapter.F'"));
}

TEST_CASE("a value that the element type cannot hold changes nothing") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "run.safetensors";
  auto large = drawn<Full, Tiny, double>();
  large.tensor("transformer.resblocks.1.mlp.adapter.F").data[5] = 1e300;
  radapt::save_adapters(path, large, true);
  auto weights = untrained<Full>();
  const auto before = weights;
  CHECK(holds(message_of([&] { radapt::load_adapters(path, weights, {.any_base = true}); }),
              "values that a float can hold"));
  CHECK(same_bits(weights, before));
}

TEST_CASE("another rank, scale or choice of towers is named") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "run.safetensors";
  radapt::save_adapters(path, drawn<Rank3>(), true);
  auto full = untrained<Full>();
  CHECK(holds(message_of([&] { radapt::load_adapters(path, full); }),
              "expected rank full, as the model's type says, got rank 3"));
  auto four = untrained<radapt::RAdapter<radapt::low_rank<4>>>();
  CHECK(holds(message_of([&] { radapt::load_adapters(path, four); }),
              "expected rank 4, as the model's type says, got rank 3"));
  auto other = untrained<ImageWithoutScale>();
  CHECK(
      holds(message_of([&] { radapt::load_adapters(path, other); }),
            "expected rank full, scale none, towers image, as the model's type says, got rank 3, scale learned, towers "
            "both"));
}

TEST_CASE("adapters of other frozen weights are refused unless asked for") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "run.safetensors";
  radapt::save_adapters(path, drawn<Full>(7), true);
  auto other = untrained<Full>(8);
  const auto before = other;
  CHECK(holds(message_of([&] { radapt::load_adapters(path, other); }), "trained on these frozen weights"));
  CHECK(same_bits(other, before));
  radapt::load_adapters(path, other, {.any_base = true});
  CHECK_FALSE(same_bits(other, before));
}

TEST_CASE("what is no adapter file, or says something unknown, is refused") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "run.safetensors", bad = folder.path() / "bad.safetensors";
  auto weights = untrained<Full>();
  radapt::save_adapters(path, drawn<Full>(), true);
  rewrite(path, bad, [](auto&, auto& metadata) { metadata = {{"format", "pt"}}; });
  CHECK(holds(message_of([&] { radapt::load_adapters(bad, weights); }),
              "expected metadata radapt.adapter = r_adapter, got none"));
  rewrite(path, bad, [](auto&, auto& metadata) { metadata.set("radapt.adapter", "lora"); });
  CHECK(holds(message_of([&] { radapt::load_adapters(bad, weights); }), "got 'lora'"));
  rewrite(path, bad, [](auto&, auto& metadata) {
    metadata = {{"radapt.adapter", "r_adapter"}, {"radapt.rank", "0"},         {"radapt.scale", "large"},
                {"radapt.towers", "image"},      {"radapt.averaged", "maybe"}, {"radapt.base", "12"}};
  });
  const std::string message = message_of([&] { radapt::load_adapters(bad, weights); });
  CHECK(holds(message, "radapt.rank = '0', not full or a number"));
  CHECK(holds(message, "radapt.scale = 'large'"));
  CHECK_FALSE(holds(message, "radapt.towers"));
  CHECK(holds(message, "radapt.averaged = 'maybe'"));
  CHECK(holds(message, "radapt.base = '12'"));
  CHECK(holds(message_of([&] { radapt::load_adapters(folder.path() / "absent.safetensors", weights); }), "absent"));
}

TEST_CASE("adapters of low rank load as full ones that merge to the same model") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "run.safetensors";
  for (const bool mixed : {false, true}) {
    radapt::Weights<radapt::Clip<Tiny>> expected;
    if (mixed) {
      const auto twenty = drawn<Rank20>();
      radapt::save_adapters(path, twenty, true);
      expected = radapt::merge(0.7, twenty);
    } else {
      const auto three = drawn<Rank3>();
      radapt::save_adapters(path, three, true);
      expected = radapt::merge(0.7, three);
    }
    auto full = untrained<Full>();
    CHECK(radapt::load_adapters(path, full, {.expand_low_rank = true}).rank == (mixed ? "20" : "3"));
    const auto merged = radapt::merge(0.7, full);
    double most = 0, largest = 0;
    for (std::size_t i = 0; i < merged.buffer().size(); ++i) {
      const double x = static_cast<double>(merged.buffer().data()[i]);
      most = std::max(most, std::abs(x - static_cast<double>(expected.buffer().data()[i])));
      largest = std::max(largest, std::abs(x));
    }
    // F = U D is rounded to f32 once, and the two merged weights are rounded apart: a few units in the last place of
    // values below `largest`.
    CHECK(most < 4 * 0x1p-24 * largest);
    CHECK(largest > 1);
  }
}

TEST_CASE("writing is atomic: a folder that is not there leaves no file") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "absent" / "run.safetensors";
  CHECK_FALSE(message_of([&] { radapt::save_adapters(path, drawn<Full>(), true); }).empty());
  CHECK_FALSE(std::filesystem::exists(folder.path() / "absent"));
}
