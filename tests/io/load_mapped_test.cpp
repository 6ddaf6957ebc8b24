/// Weights that stay in their file: what is read, what is copied, and that sessions get what `load` gives them.
#include "radapt/io/load_mapped.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>

#include "cases/reference_kernels.hpp"
#include "clip/fixture_models.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/backend/onednn/bf16.hpp"
#include "radapt/clip/session.hpp"
#include "support/error_text.hpp"
#include "support/temporary_folder.hpp"
#include "support/tolerance.hpp"

using namespace radapt_test;
using radapt::Index;

namespace {

using Model = radapt::Clip<TinyQuickGelu>;
struct OtherResolution : TinyQuickGelu {
  static constexpr Index image = 48;
};

template <class M, class T>
bool same_tensors(const radapt::ConstWeights<M, T>& mapped, const radapt::Weights<M, T>& loaded) {
  const auto a = mapped.tensors();
  const auto b = loaded.tensors();
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.name() == y.name() && x.size() == y.size() && std::memcmp(x.data, y.data, x.size() * sizeof(T)) == 0;
  });
}
/// How many elements are read in the file, and how many from copies.
struct Places {
  Index in_file = 0, copied = 0;
  explicit Places(const auto& weights) {
    for (const auto& range : weights.ranges()) { (range.in_file ? in_file : copied) += range.elements; }
  }
};
constexpr Index elements = radapt::count<Model>();

std::vector<float> some_pixels(Index images) {
  std::vector<float> pixels(images * Model::PixelRow::width);
  for (Index i = 0; i < pixels.size(); ++i) { pixels[i] = 0.01F * static_cast<float>(i % 97) - 0.5F; }
  return pixels;
}
template <class Backend>
std::vector<float> features(const radapt::ConstWeights<Model>& weights, Index images, bool constant) {
  std::vector<float> out(images * Model::arch::embed);
  radapt::Session<Model, Backend> session(weights, {.images = images, .constant_weights = constant});
  session.encode_images(some_pixels(images), out);
  session.encode_images(some_pixels(images), out);  // once more: pages that were given back come again
  return out;
}

}  // namespace

TEST_CASE("mapped weights are those of load, whatever the checkpoint") {
  const auto of = [](const std::filesystem::path& path) {
    const auto mapped = radapt::load_mapped<Model>(path);
    CHECK(same_tensors(mapped, radapt::load<Model>(path)));
    return Places(mapped);
  };
  const auto folder = shared_data("fixtures/tiny_clip_quickgelu");
  SUBCASE("open_clip: everything stays in the file") {
    const Places places = of(folder / "open_clip_model.safetensors");
    CHECK(places.in_file == elements);
    CHECK(places.copied == 0);
  }
  SUBCASE("transformers: queries, keys and values are put together, projections turned") {
    const Places places = of(folder / "model.safetensors");
    constexpr Index D = TinyQuickGelu::vision.width, H = TinyQuickGelu::text.width, E = TinyQuickGelu::embed;
    const Index turned = E * (D + H), together = TinyQuickGelu::vision.layers * 3 * (D * D + D) +
                                                 TinyQuickGelu::text.layers * 3 * (H * H + H);
    CHECK(places.copied == turned + together);
    CHECK(places.in_file == elements - places.copied);
  }
  SUBCASE("halves are widened, in one file or several") {
    for (const char* name :
         {"tiny_clip_quickgelu_f16", "tiny_clip_quickgelu_bf16", "tiny_clip_quickgelu_f16_sharded"}) {
      CHECK(of(shared_data(std::string("fixtures/") + name)).in_file == 0);
    }
  }
  SUBCASE("doubles are widened from floats") {
    const auto mapped = radapt::load_mapped<Model, double>(folder);
    CHECK(same_tensors(mapped, radapt::load<Model, double>(folder)));
    CHECK(Places(mapped).in_file == 0);
  }
}

TEST_CASE("of another resolution the positions are copies, and nothing else") {
  const auto path = shared_data("fixtures/tiny_clip_quickgelu/open_clip_model.safetensors");
  const auto mapped = radapt::load_mapped<radapt::Clip<OtherResolution>>(path);
  CHECK(same_tensors(mapped, radapt::load<radapt::Clip<OtherResolution>>(path)));
  CHECK(Places(mapped).copied == (1 + 6 * 6) * OtherResolution::vision.width);
}

TEST_CASE("tensors that begin where no float may are copied") {
  const TemporaryFolder folder;
  std::ifstream from(shared_data("fixtures/tiny_clip_quickgelu/open_clip_model.safetensors"), std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(from)), std::istreambuf_iterator<char>());
  std::uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof header);
  bytes.insert(sizeof header + header, " ");  // JSON may end with spaces: now the data begin one byte later
  ++header;
  std::memcpy(bytes.data(), &header, sizeof header);
  const auto path = folder.path() / "odd.safetensors";
  std::ofstream(path, std::ios::binary) << bytes;
  const auto mapped = radapt::load_mapped<Model>(path);
  CHECK(same_tensors(mapped, radapt::load<Model>(path)));
  CHECK(Places(mapped).in_file == 0);
}

TEST_CASE_TEMPLATE("sessions on mapped weights give what they give on loaded ones", Backend, radapt::reference,
                   radapt::onednn, radapt::onednn_bf16) {
  const auto path = shared_data("fixtures/tiny_clip_quickgelu/open_clip_model.safetensors");
  const auto loaded = radapt::load<Model>(path);
  for (const bool constant : {false, true}) {
    for (const Index images : {Index{1}, Index{40}}) {  // 40: more rows than packed copies serve
      // The same sums, but tensors in a file begin at other addresses, of which oneDNN's order depends.
      CHECK(normalised_error(features<Backend>(radapt::load_mapped<Model>(path), images, constant),
                             features<Backend>(loaded, images, constant)) < 1e-6);
    }
  }
}

TEST_CASE_TEMPLATE("in bf16 sessions on mapped weights take them for constant, and no others, unless they are told",
                   Backend, radapt::onednn, radapt::onednn_bf16) {
  const auto loaded = radapt::load<Model>(shared_data("fixtures/tiny_clip_quickgelu"));
  const auto promised = [](const radapt::ConstWeights<Model>& weights, radapt::SessionSize size = {}) {
    radapt::Session<Model, Backend> session(weights, size);
    const auto tensors = weights.tensors();
    const auto is_covered = [&](const auto& tensor) { return session.context().device.constant().covers(tensor.data); };
    const bool all = std::all_of(tensors.begin(), tensors.end(), is_covered);
    CHECK(all == std::any_of(tensors.begin(), tensors.end(), is_covered));
    return all;
  };
  for (const char* name : {"open_clip_model.safetensors", "model.safetensors"}) {  // of the second a part is copied
    const auto mapped = radapt::load_mapped<Model>(shared_data("fixtures/tiny_clip_quickgelu") / name);
    CHECK(promised(mapped) == radapt::packs_weights<Backend>());
    CHECK(promised(mapped, {.constant_weights = true}));
    CHECK_FALSE(promised(mapped, {.constant_weights = false}));
  }
  CHECK_FALSE(promised(loaded));
  CHECK(promised(loaded, {.constant_weights = true}));

  using Head = radapt::Classifier<Model>;
  const radapt::Weights<Head> classifier(3);
  for (const bool constant : {false, true}) {
    radapt::ClassifierSession<Head, Backend> session(classifier, {.constant_weights = constant});
    CHECK(session.context().device.constant().covers(classifier.buffer().data()) == constant);
  }
}

TEST_CASE("mapped weights outlive their file's name, and a new file of that name") {
  const TemporaryFolder folder;
  const auto original = radapt::load<Model>(shared_data("fixtures/tiny_clip_quickgelu"));
  radapt::save(folder.path(), original);
  const auto mapped = radapt::load_mapped<Model>(folder.path());
  radapt::Weights<Model> others = original;
  for (float& w : others.buffer()) { w += 1; }
  radapt::save(folder.path(), others);
  CHECK(same_tensors(mapped, original));
  std::filesystem::remove_all(folder.path() / "open_clip_model.safetensors");
  CHECK(same_tensors(mapped, original));
}

TEST_CASE("a checkpoint of another model is the error of load") {
  const auto path = shared_data("fixtures/tiny_clip_gelu");
  const std::string of_mapped = error_of([&] { radapt::load_mapped<Model>(path); });
  CHECK(of_mapped == error_of([&] { radapt::load<Model>(path); }));
  CHECK(of_mapped.find("activation") != std::string::npos);
}
