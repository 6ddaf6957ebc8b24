#pragma once
/// Gradients and training runs against the PyTorch oracle, for one fixture model in one precision.
#include <doctest/doctest.h>

#include <cmath>

#include "clip/fixture_models.hpp"
#include "radapt/train/deploy.hpp"
#include "radapt/train/recipes.hpp"
#include "support/tolerance.hpp"

namespace radapt_test {

/// The keep masks of a batch in the order in which forward meets the sites: image tower first, attention before MLP.
class Masks {
 public:
  template <class Arch>
  static Masks read(const radapt::safetensors::File& file, const std::string& prefix) {
    Masks masks;
    for (const bool image : {true, false}) {
      for (radapt::Index i = 0; i < (image ? Arch::vision.layers : Arch::text.layers); ++i) {
        for (const char* part : {"attn", "mlp"}) {
          masks.bytes_.push_back(file.read<std::uint8_t>(prefix + "keep." + (image ? "visual." : "") +
                                                         "transformer.resblocks." + std::to_string(i) + "." + part));
        }
      }
    }
    for (const auto& m : masks.bytes_) { masks.sites_.push_back(m.data()); }
    return masks;
  }
  const std::uint8_t* const* sites() const { return sites_.data(); }

 private:
  std::vector<std::vector<std::uint8_t>> bytes_;
  std::vector<const std::uint8_t*> sites_;
};

/// Compares the gradient of every trained tensor, and then all of it as one vector: the length of the error over that
/// of the gradient. The s of all adapters are one tensor, because each is one sum with much cancellation; the key third
/// of in_proj_bias has gradient zero and is left out (oracle README).
template <class Bound, class Trainer>
void check_gradients(Trainer& trainer, const radapt::safetensors::File& file, const std::string& prefix) {
  using T = typename Trainer::Base::element;
  std::vector<double> scales, expected_scales;
  std::size_t compared = 0;
  double squares = 0, squares_of_error = 0;
  for (const auto& slot : trainer.state().slots()) {
    CAPTURE(slot.name);
    const T* g = trainer.state().gradient_buffer().data() + slot.offset;
    auto expected = file.template read<double>(prefix + slot.name);
    REQUIRE(expected.size() == slot.size);
    if (slot.name.ends_with(".adapter.s")) {
      scales.push_back(static_cast<double>(*g));
      expected_scales.push_back(expected[0]);
    } else if (slot.name.ends_with("in_proj_bias")) {
      const std::size_t third = slot.size / 3;
      CHECK(normalised_error(g, expected.data(), third) < Bound::gradients);
      CHECK(normalised_error(g + 2 * third, expected.data() + 2 * third, third) < Bound::gradients);
    } else {
      CHECK(normalised_error(g, expected.data(), slot.size) < Bound::gradients);
    }
    for (std::size_t i = 0; i < slot.size; ++i) {
      squares += expected[i] * expected[i];
      squares_of_error += std::pow(static_cast<double>(g[i]) - expected[i], 2);
    }
    ++compared;
  }
  CHECK(std::sqrt(squares_of_error / squares) < Bound::whole_gradient);
  if (!scales.empty()) { CHECK(normalised_error(scales, expected_scales) < Bound::gradients); }
  CHECK(compared > 0);
}

inline radapt::TrainOptions fixture_options(const radapt::safetensors::File& file, radapt::Index batch) {
  radapt::TrainOptions o;
  o.size.batch = batch;
  o.adapter_drop = file.scalar<double>("input.drop_probability");
  return o;
}
inline radapt::loss::MpmNce fixture_loss(const radapt::safetensors::File& file) {
  return {.tau = file.scalar<double>("input.tau"),
          .margin = file.scalar<double>("input.delta"),
          .smoothing = file.scalar<double>("input.eps")};
}

/// The four methods of backward.safetensors for one architecture, backend and element type.
template <class Arch, class Backend, class T, class Bound = bounds<T>>
struct GradientParity {
  static constexpr radapt::Index batch_size = 8;
  std::string folder = Arch::folder;
  radapt::safetensors::File checkpoint = open_fixture(folder + "/open_clip_model.safetensors");
  radapt::safetensors::File file = open_fixture(folder + "/backward.safetensors");
  std::vector<T> pixels = file.read<T>("input.pixel_values");
  std::vector<std::int32_t> labels = read_labels(file, "input.labels");
  radapt::Captions captions = read_captions(file, "input.token_ids", Arch::context, Arch::vocabulary);
  Masks masks = Masks::read<Arch>(file, "input.");

  void info_nce() {
    using Recipe = radapt::recipe::flyp<Arch>;
    radapt::Weights<typename Recipe::trained, T> weights;
    read_tensors(weights, checkpoint);
    auto options = fixture_options(file, batch_size);
    options.schedule.base = 0;
    radapt::Trainer<Recipe, Backend, T> trainer(weights, options);
    const auto report = trainer.step({.pixels = pixels, .captions = &captions});
    CHECK(normalised_error(&report.loss, file.read<double>("info_nce.loss").data(), 1) < Bound::loss);
    check_gradients<Bound>(trainer, file, "info_nce.grad.");
  }

  void cross_entropy() {
    using Recipe = radapt::recipe::wise_ft<Arch>;
    const auto head = file.read<T>("cross_entropy.param.head.weight");
    radapt::Weights<typename Recipe::trained, T> weights(head.size() / Arch::embed);
    read_tensors(weights, checkpoint);
    REQUIRE(read_tensors(weights, file, "cross_entropy.param.") == 2);
    auto options = fixture_options(file, batch_size);
    options.schedule.base = 0;
    radapt::Trainer<Recipe, Backend, T> trainer(weights, options);
    const auto report = trainer.step({.pixels = pixels, .labels = labels});
    CHECK(normalised_error(&report.loss, file.read<double>("cross_entropy.loss").data(), 1) < Bound::loss);
    check_gradients<Bound>(trainer, file, "cross_entropy.grad.");
    trainer.objective().loss().smoothing = 0.1;
    const auto smooth = trainer.step({.pixels = pixels, .labels = labels});
    CHECK(normalised_error(&smooth.loss, file.read<double>("cross_entropy.loss_smoothing_0.1").data(), 1) <
          Bound::loss);
  }

  /// Whole batch, then micro-batches of three: the gradient of a contrastive loss must not depend on the split.
  template <class Rank>
  void r_adapter(const std::string& name) {
    using Recipe = radapt::recipe::r_adapter<Arch, Rank>;
    using Model = typename Recipe::trained;
    for (const radapt::Index micro : {batch_size, radapt::Index{3}}) {
      CAPTURE(micro);
      radapt::Weights<Model, T> weights;
      read_tensors(weights, checkpoint);
      REQUIRE(read_tensors(weights, file, name + ".param.") ==
              (std::is_same_v<Rank, radapt::full> ? 2 : 3) * 2 * (Arch::vision.layers + Arch::text.layers));
      auto options = fixture_options(file, batch_size);
      options.schedule.base = 0;
      options.schedule.minimum = 0;
      options.size.micro_batch = micro;
      radapt::Trainer<Recipe, Backend, T> trainer(weights, options, fixture_loss(file));
      trainer.use_masks(masks.sites());
      const auto report = trainer.step({.pixels = pixels, .captions = &captions, .groups = labels});
      CHECK(normalised_error(&report.loss, file.read<double>(name + ".loss").data(), 1) < Bound::loss);
      const auto near = [&](auto ours, const std::string& tensor, double bound) {
        CHECK(normalised_error(ours, file.read<double>(name + tensor)) < bound);
      };
      near(trainer.objective().image_features(), ".image_features", Bound::features);
      near(trainer.objective().text_features(), ".text_features", Bound::features);
      near(trainer.objective().image_feature_gradients(), ".grad.image_features", Bound::gradients);
      near(trainer.objective().text_feature_gradients(), ".grad.text_features", Bound::gradients);
      check_gradients<Bound>(trainer, file, name + ".grad.");
      // The arena took exactly what was planned for the whole batch.
      if (micro == batch_size) { CHECK(trainer.context().arena.kept_peak() <= trainer.context().arena.capacity()); }
    }
  }
};

/// The training runs of train.safetensors for one architecture, backend and element type.
template <class Arch, class Backend, class T, class Bound = bounds<T>>
struct TrainingParity {
  static constexpr radapt::Index batch_size = 8;
  std::string folder = Arch::folder;
  radapt::safetensors::File checkpoint = open_fixture(folder + "/open_clip_model.safetensors");
  radapt::safetensors::File file = open_fixture(folder + "/train.safetensors");
  std::vector<std::int32_t> labels = read_labels(file, "input.labels");

  radapt::TrainOptions options(const std::string& run) {
    auto o = fixture_options(file, batch_size);
    o.schedule = {.base = file.scalar<double>(run + ".base_lr"),
                  .warmup = static_cast<std::uint64_t>(file.scalar<std::int64_t>(run + ".warmup")),
                  .total = static_cast<std::uint64_t>(file.scalar<std::int64_t>(run + ".steps")),
                  .minimum = file.scalar<double>(run + ".min_lr")};
    o.clip_norm = file.scalar<double>(run + ".clip_norm");
    o.optimizer.weight_decay = file.scalar<double>(run + ".weight_decay");
    if (file.contains(run + ".ema_momentum")) { o.average.momentum = file.scalar<double>(run + ".ema_momentum"); }
    return o;
  }

  void check_report(const radapt::StepReport& report, const std::string& prefix) {
    CAPTURE(prefix);
    const auto expected = [&](const char* name) { return file.read<double>(prefix + name); };
    CHECK(normalised_error(&report.loss, expected("loss").data(), 1) < Bound::training_loss);
    CHECK(normalised_error(&report.lr, expected("lr").data(), 1) < 1e-14);  // the same formula in double
    CHECK(normalised_error(&report.grad_norm, expected("grad_norm").data(), 1) < Bound::grad_norm);
  }

  /// Mean error of parameters relative to the learning rate, and the share of elements that is off by more than 0.01 of
  /// it: AdamW divides by the gradient's own size, so single elements near a zero gradient may go either way.
  template <class Slots>
  void check_parameters(const Slots& slots, const radapt::Buffer<T>& buffer, const std::string& prefix,
                        double base_lr) {
    double sum = 0;
    std::size_t off = 0, n = 0;
    for (const auto& slot : slots) {
      const auto expected = file.read<double>(prefix + slot.name);
      const bool keys = slot.name.ends_with("in_proj_bias");  // their gradient is rounding noise (oracle README)
      for (std::size_t i = 0; i < slot.size; ++i) {
        if (keys && i >= slot.size / 3 && i < 2 * slot.size / 3) { continue; }
        const double error = std::abs(static_cast<double>(buffer[slot.offset + i]) - expected[i]) / base_lr;
        sum += error;
        off += error > 0.01 ? 1 : 0;
        ++n;
      }
    }
    CAPTURE(prefix);
    CHECK(sum / static_cast<double>(n) < Bound::parameters_mean);
    CHECK(static_cast<double>(off) / static_cast<double>(n) <= Bound::parameters_off);
  }

  template <class Rank>
  void r_adapter(const std::string& run) {
    using Recipe = radapt::recipe::r_adapter<Arch, Rank>;
    using Model = typename Recipe::trained;
    using Plain = radapt::Clip<Arch>;
    radapt::Weights<Model, T> weights;
    read_tensors(weights, checkpoint);
    read_tensors(weights, file, run + ".init.");
    radapt::Trainer<Recipe, Backend, T> trainer(weights, options(run), fixture_loss(file));
    const auto steps = trainer.options().schedule.total;
    for (std::uint64_t step = 0; step < steps; ++step) {
      const std::string input = "input.step_" + std::to_string(step) + ".",
                        output = run + ".step_" + std::to_string(step) + ".";
      const auto masks = Masks::read<Arch>(file, input);
      trainer.use_masks(masks.sites());
      const auto pixels = file.read<T>(input + "pixel_values");
      const auto captions = read_captions(file, input + "token_ids", Arch::context, Arch::vocabulary);
      check_report(trainer.step({.pixels = pixels, .captions = &captions, .groups = labels}), output);
      if (file.contains(output + "param." + trainer.state().slots()[0].name)) {
        const double lr = trainer.options().schedule.base;
        check_parameters(trainer.state().slots(), trainer.state().parameter_buffer(), output + "param.", lr);
        check_parameters(trainer.state().slots(), trainer.average_buffer(), output + "ema.", lr);
      }
    }

    const auto test_pixels = file.read<T>("test.pixel_values");
    const auto test_captions = read_captions(file, "test.token_ids", Arch::context, Arch::vocabulary);
    for (const std::string alpha : {"0.00", "0.50", "0.80", "1.00"}) {
      CAPTURE(alpha);
      const std::string prefix = run + ".merged.alpha_" + alpha + ".";
      const radapt::Weights<Plain, T> merged = radapt::deploy(trainer, std::stod(alpha));
      radapt::Session<Plain, Backend, T> session(merged);
      std::vector<T> image(4 * Arch::embed), text(4 * Arch::embed);
      session.encode_images(test_pixels, image);
      session.encode_texts(test_captions, text);
      CHECK(normalised_error(image, file.read<double>(prefix + "image_features")) < Bound::merged);
      CHECK(normalised_error(text, file.read<double>(prefix + "text_features")) < Bound::merged);
      // The same features without merging, the adapters scaled by alpha as they run.
      const auto averaged = trainer.averaged();
      radapt::Session<Model, Backend, T> unmerged(averaged, {.adapter_alpha = std::stod(alpha)});
      std::vector<T> running(4 * Arch::embed);
      unmerged.encode_images(test_pixels, running);
      CHECK(normalised_error(running, image) < Bound::merged);
      radapt::each_named(
          [&](const std::string& name, const auto& leaf) {
            if (!file.contains(prefix + name)) { return; }
            CAPTURE(name);
            CHECK(normalised_error(leaf.data, file.read<double>(prefix + name).data(), leaf.size()) <
                  Bound::merged_tensors);
          },
          "", merged.tree());
    }
    // alpha 0 is the original model, bit for bit.
    radapt::Weights<Plain, T> original;
    read_tensors(original, checkpoint);
    const auto zero = radapt::deploy(trainer, 0.0);
    CHECK(std::equal(zero.buffer().begin(), zero.buffer().end(), original.buffer().begin()));
  }

  void full_fine_tuning() {
    const std::string run = "full_finetune";
    using Recipe = radapt::recipe::wise_ft<Arch>;
    using Model = typename Recipe::trained;
    radapt::Weights<Model, T> weights(file.read<T>(run + ".init.head.bias").size());
    read_tensors(weights, checkpoint);
    read_tensors(weights, file, run + ".init.");
    auto o = options(run);
    o.optimizer.rule = radapt::DecayRule::everything;
    radapt::Trainer<Recipe, Backend, T> trainer(weights, o);
    for (std::uint64_t step = 0; step < o.schedule.total; ++step) {
      const auto pixels = file.read<T>("input.step_" + std::to_string(step) + ".pixel_values");
      check_report(trainer.step({.pixels = pixels, .labels = labels}), run + ".step_" + std::to_string(step) + ".");
    }
    check_parameters(trainer.state().slots(), trainer.state().parameter_buffer(), run + ".tuned.", o.schedule.base);
    const auto test_pixels = file.read<T>("test.pixel_values");
    for (const std::string alpha : {"0.00", "0.25", "0.50", "0.75", "1.00"}) {
      CAPTURE(alpha);
      const auto mixed = radapt::deploy(trainer, std::stod(alpha));
      radapt::ClassifierSession<Model, Backend, T> session(mixed);
      std::vector<T> logits(4 * mixed.classes());
      session.logits(test_pixels, logits);
      const auto expected = file.read<double>(run + ".wise_ft.alpha_" + alpha + ".logits");
      CHECK(normalised_error(logits, expected) < Bound::merged);
    }
  }
};

}  // namespace radapt_test
