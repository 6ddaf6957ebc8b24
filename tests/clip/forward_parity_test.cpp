/// Forward passes against the PyTorch oracle: features, every block, logits, zero-shot heads.
#include <doctest/doctest.h>

#include "cases/reference_kernels.hpp"
#include "clip/fixture_models.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/clip/zero_shot.hpp"
#include "support/tolerance.hpp"

using namespace radapt_test;
using radapt::Index;

namespace {

template <class Backend, class Element>
struct Setting {
  using backend = Backend;
  using T = Element;
};
using InDouble = Setting<radapt::reference, double>;
using InFloat = Setting<radapt::onednn, float>;

/// What enters a tower, with its row type.
template <class Row, class V>
struct Input {
  Row row;
  V view;
};

/// Runs the layers of a tower one by one over one sequence and compares the residual stream before the blocks and
/// behind each. `First` is the position of the blocks in the tower; x is what enters layer 0.
template <class Tower, Index First, class S, class X>
void check_blocks(const auto& parameters, auto input, radapt::Sequences sequences, const std::string& label,
                  const radapt::safetensors::File& file) {
  using T = typename S::T;
  using Blocks = typename Tower::template layer_at<First>;
  using Repeat = typename Blocks::template layer_at<0>;
  using Block = typename Repeat::block_layer;
  const Index rows = sequences.rows();
  radapt::Context<typename S::backend> c;
  c.sequences = sequences;
  c.arena.reserve(0, 1 << 22);
  std::vector<T> before(rows * X::width), after(rows * X::width);
  const auto view = [&](std::vector<T>& v) { return radapt::View<T, X>{v.data(), rows}; };
  radapt::Unsaved none;
  using Embedding = typename Tower::template layer_at<0>;
  Embedding::template forward<T, std::remove_cvref_t<decltype(input.row)>>(c, radapt::detail::child_at<0>(parameters),
                                                                           input.view, view(after), none);
  if constexpr (First == 2) {
    std::swap(before, after);
    Tower::template layer_at<1>::template forward<T, X>(c, radapt::detail::child_at<1>(parameters), view(before),
                                                        view(after), none);
  }
  // A caption is stored at all 77 positions; ours ends at end-of-text, and nothing before it depends on what follows.
  const auto stored = [&](const std::string& name) {
    auto values = file.template read<double>("f64." + label + "." + name);
    REQUIRE(values.size() >= after.size());
    values.resize(after.size());
    return values;
  };
  CHECK(normalised_error(after, stored("embeddings")) < bounds<T>::features);
  const auto& blocks = radapt::detail::child_at<First>(parameters);
  for (Index i = 0; i < Repeat::blocks; ++i) {
    std::swap(before, after);
    Block::template forward<T, X>(c, radapt::detail::child_at<0>(blocks).block[i], view(before), view(after), none);
    CAPTURE(i);
    CHECK(normalised_error(after, stored("block." + std::to_string(i))) < bounds<T>::features);
  }
  // Behind the last block there is one row: that of the class token, or of end-of-text.
  using Pooled = radapt::Samples<X::width>;
  std::vector<T> row(X::width);
  Blocks::template layer_at<1>::template forward<T, X>(c, radapt::detail::child_at<1>(blocks), view(after),
                                                       radapt::View<T, Pooled>{row.data(), 1}, none);
  const auto whole = stored("block." + std::to_string(Repeat::blocks));
  const auto first = whole.begin() + static_cast<std::ptrdiff_t>(First == 2 ? 0 : whole.size() - X::width);
  CHECK(normalised_error(row, std::vector<double>(first, first + X::width)) < bounds<T>::features);
}

template <class Arch, class S>
void check_features(const std::string& folder, const std::string& weights_file) {
  using T = typename S::T;
  using Model = radapt::Clip<Arch>;
  CAPTURE(folder);
  radapt::Weights<Model, T> weights;
  const auto checkpoint = open_fixture(folder + "/" + weights_file);
  REQUIRE(read_tensors(weights, checkpoint) == checkpoint.names().size());
  const auto file = open_fixture(folder + "/forward.safetensors");

  radapt::Session<Model, typename S::backend, T> session(weights, {.images = 2, .captions = 3});
  const auto pixels = file.template read<T>("input.pixel_values");
  const auto captions = read_captions(file, "input.token_ids", Arch::context, Arch::vocabulary);
  std::vector<T> image(pixels.size() / Model::PixelRow::width * Arch::embed), text(captions.size() * Arch::embed);
  session.encode_images(pixels, image);
  session.encode_texts(captions, text);
  const double bound = bounds<T>::features;
  CHECK(normalised_error(image, file.template read<double>("f64.image_features")) < bound);
  CHECK(normalised_error(text, file.template read<double>("f64.text_features")) < bound);

  // The oracle traces image 1 and caption 3.
  using Pixel = typename Model::PixelRow;
  const Input<Pixel, radapt::View<const T, Pixel>> one_image{{}, {pixels.data() + Pixel::width, 1}};
  check_blocks<typename Model::Image, 2, S, radapt::Tokens<Arch::vision.width>>(
      weights.tree().image, one_image, Model::image_sequences(1), "image", file);
  std::vector<Index> offsets(2);
  const radapt::Sequences one = captions.slice(3, 1, offsets);
  using Ids = radapt::View<const std::int32_t, radapt::TokenRow>;
  const Input<radapt::TokenRow, Ids> one_caption{{}, Ids{captions.ids(3), captions.tokens(3, 1)}};
  check_blocks<typename Model::Text, 1, S, radapt::Tokens<Arch::text.width>>(weights.tree().text, one_caption, one,
                                                                             "text", file);

  session.normalize(image);
  session.normalize(text);
  CHECK(normalised_error(image, file.template read<double>("f64.image_features_normalised")) < bound);
  CHECK(normalised_error(text, file.template read<double>("f64.text_features_normalised")) < bound);
  const Index images = image.size() / Arch::embed, texts = captions.size();
  std::vector<double> logits(images * texts);
  for (Index i = 0; i < images; ++i) {
    for (Index j = 0; j < texts; ++j) {
      double dot = 0;
      for (Index e = 0; e < Arch::embed; ++e) {
        dot += static_cast<double>(image[i * Arch::embed + e]) * static_cast<double>(text[j * Arch::embed + e]);
      }
      logits[i * texts + j] = static_cast<double>(session.scale()) * dot;
    }
  }
  CHECK(normalised_error(logits, file.template read<double>("f64.logits_per_image")) < bound);

  if (file.contains("input.prompts")) {
    const auto prompts = read_captions(file, "input.prompts", Arch::context, Arch::vocabulary);
    const auto& shape = file.at("input.prompts").shape;
    auto head = radapt::zero_shot_weights(session, prompts, std::vector<Index>(shape[0], shape[1]));
    for (T& x : head) { x *= session.scale(); }
    CHECK(normalised_error(head, file.template read<double>("f64.zero_shot_head")) < bound);
  }
}

}  // namespace

TEST_CASE_TEMPLATE("features, logits and heads of the fixture models", S, InDouble, InFloat) {
  check_features<TinyQuickGelu, S>("tiny_clip_quickgelu", "open_clip_model.safetensors");
  check_features<TinyQuickGelu, S>("tiny_clip_quickgelu_bf16", "open_clip_model.safetensors");
  check_features<TinyGelu, S>("tiny_clip_gelu", "open_clip_model.safetensors");
}

TEST_CASE_TEMPLATE("captions at their own length give what 77 padded tokens give", S, InDouble, InFloat) {
  using T = typename S::T;
  using Model = radapt::Clip<TinyQuickGelu>;
  radapt::Weights<Model, T> weights;
  read_tensors(weights, open_fixture("tiny_clip_quickgelu/open_clip_model.safetensors"));
  const auto file = open_fixture("tiny_clip_quickgelu/forward.safetensors");
  const auto captions = read_captions(file, "input.token_ids", 77, TinyQuickGelu::vocabulary);
  const auto end_of_text = file.template read<std::int64_t>("input.end_of_text");
  radapt::Session<Model, typename S::backend, T> session(weights, {.images = 1, .captions = captions.size()});
  std::vector<T> packed(captions.size() * 48), padded(captions.size() * 48);
  session.encode_texts(captions, packed);

  std::vector<std::int32_t> ids;
  for (const auto id : file.template read<std::int64_t>("input.token_ids")) {
    ids.push_back(static_cast<std::int32_t>(id));
  }
  const std::vector<Index> pooled(end_of_text.begin(), end_of_text.end());
  auto& c = session.context();
  c.sequences = {.count = captions.size(), .uniform_length = 77, .pooled = pooled.data()};
  radapt::Unsaved none;
  Model::Text::template forward<T, radapt::TokenRow>(
      c, weights.tree().text, radapt::View<const std::int32_t, radapt::TokenRow>{ids.data(), ids.size()},
      radapt::View<T, typename Model::FeatureRow>{padded.data(), captions.size()}, none);
  CHECK(captions.tokens(0, captions.size()) < ids.size() / 2);                // there was something to save
  CHECK(normalised_error(packed, padded) < (sizeof(T) == 8 ? 1e-14 : 1e-6));  // rounding only: sums of other lengths
}
