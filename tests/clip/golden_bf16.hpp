#pragma once
/// A backend that computes in bf16 against the golden values of tiny_clip_quickgelu: features, gradients, a run.
#include "clip/training_parity.hpp"
#include "radapt/clip/zero_shot.hpp"

namespace radapt_test {

template <class Backend>
struct GoldenBf16 {
  using Arch = TinyQuickGelu;
  using Gradients = GradientParity<Arch, Backend, float, bf16_bounds>;
  using Training = TrainingParity<Arch, Backend, float, bf16_bounds>;

  static void features() {
    using Model = radapt::Clip<Arch>;
    radapt::Weights<Model> weights;
    read_tensors(weights, open_fixture(std::string(Arch::folder) + "/open_clip_model.safetensors"));
    const auto file = open_fixture(std::string(Arch::folder) + "/forward.safetensors");
    radapt::Session<Model, Backend> session(weights, {.images = 2, .captions = 3});
    const auto pixels = file.read<float>("input.pixel_values");
    const auto captions = read_captions(file, "input.token_ids", Arch::context, Arch::vocabulary);
    std::vector<float> image(pixels.size() / Model::PixelRow::width * Arch::embed), text(captions.size() * Arch::embed);
    const auto near = [&](const std::vector<float>& got, const char* name) {
      CAPTURE(name);
      const double error = normalised_error(got, file.read<double>(name));
      CHECK(error < bf16_bounds::features);
      CHECK(error > bounds<float>::features);  // something was rounded
    };
    session.encode_images(pixels, image);
    near(image, "f64.image_features");
    session.encode_texts(captions, text);
    near(text, "f64.text_features");
    session.normalize(image);
    near(image, "f64.image_features_normalised");
    session.normalize(text);
    near(text, "f64.text_features_normalised");
    const auto prompts = read_captions(file, "input.prompts", Arch::context, Arch::vocabulary);
    const auto& shape = file.at("input.prompts").shape;
    auto head = radapt::zero_shot_weights(session, prompts, std::vector<radapt::Index>(shape[0], shape[1]));
    for (float& x : head) { x *= session.scale(); }
    near(head, "f64.zero_shot_head");
  }
  static void info_nce() { Gradients{}.info_nce(); }
  static void cross_entropy() { Gradients{}.cross_entropy(); }
  static void r_adapter() { Gradients{}.template r_adapter<radapt::full>("r_adapter_full"); }
  static void training() { Training{}.template r_adapter<radapt::full>("r_adapter_full"); }
};

}  // namespace radapt_test
