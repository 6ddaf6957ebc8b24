/// Loading and saving whole models: every fixture checkpoint, both ways, bit for bit.
#include <doctest/doctest.h>

#include "clip/fixture_models.hpp"
#include "radapt/adapter/r_adapter.hpp"
#include "radapt/io/load.hpp"
#include "support/temporary_folder.hpp"

using namespace radapt_test;

namespace {

template <class Arch>
using Plain = radapt::Weights<radapt::Clip<Arch>>;
using radapt::names::Origin;
using radapt::safetensors::DType;

bool same_bits(const auto& a, const auto& b) {
  return a.buffer().size() == b.buffer().size() && std::equal(a.buffer().begin(), a.buffer().end(), b.buffer().begin());
}
template <class Arch>
Plain<Arch> loaded(const std::string& folder, radapt::LoadOptions options = {}) {
  return radapt::load<radapt::Clip<Arch>>(shared_data("fixtures/" + folder), options);
}
struct OtherActivation : TinyQuickGelu {
  static constexpr radapt::Activation activation = radapt::Activation::gelu;
};
struct OtherResolution : TinyQuickGelu {
  static constexpr radapt::Index image = 48;
};
struct Wider : TinyQuickGelu {
  static constexpr radapt::TowerSize vision{96, 3, 4, 384};
};

}  // namespace

TEST_CASE("transformers and open_clip files of one model load to the same bits") {
  const auto folder = shared_data("fixtures/tiny_clip_quickgelu");
  const auto open_clip = radapt::load<radapt::Clip<TinyQuickGelu>>(folder / "open_clip_model.safetensors");
  const auto huggingface = radapt::load<radapt::Clip<TinyQuickGelu>>(folder / "model.safetensors");
  CHECK(same_bits(open_clip, huggingface));
  CHECK(same_bits(loaded<TinyQuickGelu>("tiny_clip_quickgelu_f16"),
                  loaded<TinyQuickGelu>("tiny_clip_quickgelu_f16_sharded")));
  CHECK_FALSE(same_bits(open_clip, loaded<TinyQuickGelu>("tiny_clip_quickgelu_bf16")));
  loaded<TinyGelu>("tiny_clip_gelu");
  loaded<TinyVocabulary>("tiny_clip_vocab49408");
}

TEST_CASE("saving and loading again gives every bit back") {
  const TemporaryFolder folder;
  const auto weights = loaded<TinyQuickGelu>("tiny_clip_quickgelu_f16");
  for (const Origin origin : {Origin::open_clip, Origin::huggingface}) {
    for (const DType type : {DType::F32, DType::F16}) {  // the values are f16 numbers, so F16 is exact
      const auto place = folder.path() / std::to_string(static_cast<int>(origin) * 100 + static_cast<int>(type));
      radapt::save(place, weights, origin, type);
      CHECK(same_bits(radapt::load<radapt::Clip<TinyQuickGelu>>(place), weights));
    }
  }
}

TEST_CASE("a folder holds one checkpoint: under other names it is not saved beside it") {
  const TemporaryFolder folder;
  const auto weights = loaded<TinyQuickGelu>("tiny_clip_quickgelu_f16");
  radapt::save(folder.path(), weights, Origin::huggingface);
  radapt::save(folder.path(), weights, Origin::huggingface);
  CHECK_THROWS_WITH_AS(radapt::save(folder.path(), weights, Origin::open_clip),
                       doctest::Contains("expected a folder without 'model.safetensors'"), radapt::error);
  CHECK_FALSE(std::filesystem::exists(folder.path() / "open_clip_model.safetensors"));
  CHECK(same_bits(radapt::load<radapt::Clip<TinyQuickGelu>>(folder.path()), weights));
}

TEST_CASE("a checkpoint of another model is one error") {
  CHECK_THROWS_WITH_AS(loaded<OtherActivation>("tiny_clip_quickgelu"), doctest::Contains("quick_gelu"), radapt::error);
  CHECK_NOTHROW(loaded<OtherActivation>("tiny_clip_quickgelu", {.ignore_config = true}));
  CHECK_THROWS_WITH_AS(loaded<Wider>("tiny_clip_quickgelu", {.ignore_config = true}), doctest::Contains("resblocks.3"),
                       radapt::error);
  CHECK_THROWS_AS(loaded<TinyGelu>("tiny_clip_quickgelu", {.ignore_config = true}), radapt::error);
}

TEST_CASE("another resolution resizes the position embedding and nothing else") {
  const auto small = loaded<TinyQuickGelu>("tiny_clip_quickgelu");
  const auto large = loaded<OtherResolution>("tiny_clip_quickgelu");
  const auto& from = radapt::detail::child_at<0>(small.tree().image);
  const auto& to = radapt::detail::child_at<0>(large.tree().image);
  CHECK(to.positional_embedding.size() == (1 + 6 * 6) * 96);
  CHECK(std::equal(from.positional_embedding.data, from.positional_embedding.data + 96, to.positional_embedding.data));
  CHECK(std::equal(from.conv1.data, from.conv1.data + from.conv1.size(), to.conv1.data));
}

TEST_CASE("adapters start as the identity and keep the plain tensors") {
  const auto plain = loaded<TinyQuickGelu>("tiny_clip_quickgelu");
  const auto adapted = radapt::with_adapters<radapt::RAdapter<>>(plain);
  Plain<TinyQuickGelu> back;
  const auto tensors = radapt::copy_by_name(back, adapted);
  CHECK(same_bits(back, plain));
  CHECK(tensors == open_fixture("tiny_clip_quickgelu/open_clip_model.safetensors").names().size());
  std::size_t scales = 0;
  radapt::each_named(
      [&](const std::string& name, const auto& leaf) {
        if (name.ends_with(".adapter.s")) {
          CHECK(*leaf.data == 0.1f);
          ++scales;
        }
        if (name.ends_with(".adapter.F")) {
          CHECK(std::all_of(leaf.data, leaf.data + leaf.size(), [](float x) { return x == 0; }));
        }
      },
      "", adapted.tree());
  CHECK(scales == 2 * (3 + 2));
}
