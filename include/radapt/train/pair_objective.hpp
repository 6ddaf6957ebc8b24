#pragma once
/// From a batch of pairs to a loss and gradients: both towers under a contrastive loss, or with a head beside them.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "radapt/backend/run.hpp"
#include "radapt/clip/clip.hpp"
#include "radapt/loss/targets.hpp"
#include "radapt/loss/terms.hpp"
#include "radapt/op/linear.hpp"
#include "radapt/op/loss.hpp"
#include "radapt/op/update.hpp"
#include "radapt/train/batch.hpp"
#include "radapt/train/pair_towers.hpp"

namespace radapt {

/// Model is a Clip, or a HeadedClip. One step: features of both towers, the loss over the whole batch, gradients
/// through both towers.
///
/// With micro-batches the features of the whole batch are computed first without keeping anything, the loss is taken
/// once, and each micro-batch then runs again with its share of the features' gradients: the exact gradient of the full
/// batch, since masks are a function of (seed, step, site, sample).
///
/// A loss with terms may compare the features with those of teachers: the frozen weights that the run began with, and a
/// moving average. They are computed first, without masks, and share the scratch memory.
///
/// Captions that are equal run once where nothing is drawn for each of them: see PairTowers.
template <class Model, class Tune, class Loss, class T, class Backend>
class PairObjective {
  using Towers = detail::PairTowers<Model, Tune, loss::captions_per_pair<Loss>(), T, Backend>;

 public:
  using S = statistic_t<T>;
  using A = activation_t<Backend, T>;
  using Batch = PairBatch<T>;
  using ImagePlan = typename Towers::ImagePlan;
  using TextPlan = typename Towers::TextPlan;
  static constexpr bool has_head = std::is_same_v<typename Loss::needs, needs_both_towers_and_head>;
  using Needs = loss::term_needs<Loss>;
  static constexpr bool has_teacher = Needs::frozen_teacher || Needs::average_teacher;
  static constexpr Index captions_per_pair = loss::captions_per_pair<Loss>();

  PairObjective(Loss loss, BatchSize size, Index classes)
      : loss_(loss),
        size_(size),
        classes_(classes),
        targets_(size.batch),
        towers_(size.batch, size.micro(), longest_caption(size)),
        frozen_(Needs::frozen_teacher ? size.batch : 0),
        average_(Needs::average_teacher ? size.batch : 0) {
    if constexpr (requires { loss.smoothing; }) {
      loss::detail::check_fraction(Loss::name, "smoothing", loss.smoothing, 1.0);
    }
    logits_ = Buffer<T>(size.batch * std::max(size.batch, has_head ? classes : 0), device_memory_of<Backend>());
    teacher_logits_ = Buffer<T>(has_teacher ? size.batch * size.batch : 0, device_memory_of<Backend>());
    log_sums_ = Buffer<S>(2 * size.batch, device_memory_of<Backend>());
    losses_ = Buffer<double>(Needs::count + 1, input_memory_of<Backend>());
  }

  static MemoryNeed memory(const BatchSize& size, Index classes) {
    const Index longest = longest_caption(size);
    const Index captions = size.micro() * captions_per_pair;
    const bool features_first = has_teacher || size.micro() < size.batch;
    const Extent images = Model::image_sequences(size.micro()).extent();
    const Extent tokens{captions * longest, captions};
    const auto image =
        detail::tower_need<typename Model::Image, typename Model::PixelRow, A, T, Tune>(images, features_first);
    const auto text = detail::tower_need<typename Model::Text, TokenRow, A, T, Tune>(tokens, features_first);
    const auto matrix = [](Index rows, Index columns) { return padded(rows * columns * sizeof(T)); };
    const Index batch = size.batch, texts = batch * captions_per_pair;
    const auto side = [&](Index rows) { return 4 * matrix(rows, Model::arch::embed) + padded(rows * sizeof(S)); };
    constexpr Index teachers = (Needs::frozen_teacher ? 1 : 0) + (Needs::average_teacher ? 1 : 0);
    const auto teacher = [&](Index rows) { return matrix(rows, Model::arch::embed); };
    // Both towers have run forward before that of the text runs backward, and then that of the images: by then what the
    // text kept is free, and scratch of the larger tower may lie there.
    const Index above_images =
        std::max(TextPlan::kept(tokens) + TextPlan::backward_kept(tokens), ImagePlan::backward_kept(images));
    const Index more_scratch = image.scratch > text.scratch ? image.scratch - text.scratch : 0;
    return {.kept = ImagePlan::kept(images) + above_images,
            .scratch = std::max(image.scratch, text.scratch),
            .shared = std::min(above_images - ImagePlan::backward_kept(images), more_scratch),
            .features = side(batch) + side(texts) + Towers::bytes(size.micro()) +
                        matrix(batch, std::max(batch, has_head ? classes : 0)) + padded(2 * batch * sizeof(S)) +
                        teachers * (teacher(batch) + teacher(texts)) + (has_teacher ? matrix(batch, batch) : 0)};
  }

  /// What the host reads of the parameters: before anything of a step is launched, so that nothing has to be waited
  /// for. The arguments are those of `step`.
  void read_parameters([[maybe_unused]] const Values<Model, T>& values, [[maybe_unused]] const Values<Model, T>& frozen,
                       [[maybe_unused]] const Values<Model, T>* average = nullptr) {
    if constexpr (has_teacher) {
      scale_ = std::exp(static_cast<double>(*values.logit_scale.data));
      frozen_.read_scale(frozen);
      average_.read_scale(average == nullptr ? frozen : *average);
    }
  }

  /// Launches what finds the loss of the batch, for `value`; gradients are added to `gradients`. `frozen` are the
  /// weights that the run began with, `average` those that terms with `FromAverage` learn from; null is the frozen
  /// ones.
  void step(Context<Backend>& c, const Values<Model, T>& values, Gradients<Model, Tune, T>& gradients,
            const Batch& batch, const Values<Model, T>& frozen, loss::StepPosition at,
            const Values<Model, T>* average = nullptr) {
    const Index count = check(batch);
    const Index micro = size_.micro();
    std::fill(losses_.begin(), losses_.end(), 0.0);
    const Arena::Mark before = c.arena.mark();
    if constexpr (Needs::frozen_teacher) {
      if (has_active_term<false>(at)) { towers_.run_teacher(c, frozen_, frozen, batch, count); }
    }
    if constexpr (Needs::average_teacher) {
      if (has_active_term<true>(at)) {
        towers_.run_teacher(c, average_, average == nullptr ? frozen : *average, batch, count);
      }
    }
    if (count <= micro) {
      typename ImagePlan::Saved image_saved;
      typename TextPlan::Saved text_saved;
      towers_.run_images(c, values, batch, {0, count}, image_saved);
      const Arena::Mark before_texts = c.arena.mark();
      towers_.run_texts(c, values, batch, Towers::texts_of({0, count}), text_saved);
      take_loss(c, values, gradients, batch, count, at);
      towers_.text_backward(c, values, gradients, batch, Towers::texts_of({0, count}), text_saved);
      c.arena.release(before_texts);
      towers_.image_backward(c, values, gradients, batch, {0, count}, image_saved);
    } else {
      towers_.for_each_part(count, [&](Part part) {
        Unsaved none;
        towers_.run_images(c, values, batch, part, none);
        towers_.run_texts(c, values, batch, Towers::texts_of(part), none);
      });
      take_loss(c, values, gradients, batch, count, at);
      towers_.for_each_part(count, [&](Part part) {
        if constexpr (ImagePlan::runs_backward) {
          typename ImagePlan::Saved image_saved;
          towers_.run_images(c, values, batch, part, image_saved);
          towers_.image_backward(c, values, gradients, batch, part, image_saved);
        }
        c.arena.release(before);
        if constexpr (TextPlan::runs_backward) {
          typename TextPlan::Saved text_saved;
          towers_.run_texts(c, values, batch, Towers::texts_of(part), text_saved);
          towers_.text_backward(c, values, gradients, batch, Towers::texts_of(part), text_saved);
        }
        c.arena.release(before);
      });
    }
    c.arena.release(before);
    c.arena.give_shared_to_scratch();
  }
  /// The loss of the last step with its terms, when the backend has finished.
  double value() const { return std::accumulate(losses_.begin(), losses_.end(), 0.0); }
  /// What it is the sum of, for kernels.
  Vector<const double> losses() const { return {losses_.data(), losses_.size()}; }
  /// What each term added to it, by its place in the list of terms; those on parameters are launched by the trainer.
  std::span<double> term_values() { return {losses_.data(), Needs::count}; }

  /// Features of the last step, not normalised, (B, embed): what a diagnosis looks at first.
  std::span<const T> image_features() const { return {towers_.image.features.data(), towers_.image.features.size()}; }
  std::span<const T> text_features() const { return {towers_.text.features.data(), towers_.text.features.size()}; }
  std::span<const T> image_feature_gradients() const {
    return {towers_.image.dfeatures.data(), towers_.image.dfeatures.size()};
  }
  std::span<const T> text_feature_gradients() const {
    return {towers_.text.dfeatures.data(), towers_.text.dfeatures.size()};
  }
  Loss& loss() { return loss_; }

 private:
  using Part = typename Towers::Part;
  using Teacher = typename Towers::Teacher;

  static Index longest_caption(const BatchSize& size) {
    return size.longest_caption == 0 ? Model::arch::context : size.longest_caption;
  }
  Index check(const Batch& batch) const {
    const Index captions = batch.captions == nullptr ? 0 : batch.captions->size();
    const Index count = captions / captions_per_pair;
    if (captions % captions_per_pair != 0) {
      fail({.what = "a training batch",
            .expected = std::to_string(captions_per_pair) + " captions for each image",
            .got = std::to_string(captions) + " captions",
            .hint = "All first captions stand before all second ones"});
    }
    const Index images = batch.pixels.size() / Model::PixelRow::width;
    if (captions_per_pair > 1 && images != count && images * Model::PixelRow::width == batch.pixels.size()) {
      fail({.what = "a training batch of " + std::to_string(images) + " images",
            .expected = std::to_string(images * captions_per_pair) + " captions, " + std::to_string(captions_per_pair) +
                        " for each image",
            .got = std::to_string(captions),
            .hint = "All first captions stand before all second ones"});
    }
    detail::check_batch(count, size_.batch);
    detail::check_pixels(batch.pixels, count, Model::PixelRow::width);
    if (batch.captions != nullptr) { check_captions(*batch.captions); }
    if (batch.groups.size() != count && (has_head || !batch.groups.empty())) {
      fail({.what = "a training batch",
            .expected = std::to_string(count) + (has_head ? " class ids in groups" : " group labels, or none"),
            .got = std::to_string(batch.groups.size()),
            .hint = "Give one class id or image id for each pair"});
    }
    if constexpr (has_head) { detail::check_labels(batch.groups, classes_); }
    const auto none =
        std::find_if(batch.groups.begin(), batch.groups.end(), [](std::int32_t group) { return group < 0; });
    if (none != batch.groups.end()) {
      fail({.what = "a training batch",
            .expected = "group labels of 0 and more",
            .got =
                std::to_string(*none) + ", which marks a sample without one: they would all be positives of each other",
            .hint = "Give class ids, image ids, or no groups at all"});
    }
    return count;
  }

  /// Errors: captions of another model, or longer than memory was taken for.
  void check_captions(const Captions& captions) const {
    captions.check_fit(Model::arch::context, Model::arch::vocabulary, "a training batch");
    const Index most = longest_caption(size_);
    for (Index i = 0; i < captions.size(); ++i) {
      if (captions.tokens(i, 1) <= most) { continue; }
      fail({.what = "a training batch, caption " + std::to_string(i),
            .expected = "at most " + std::to_string(most) + " tokens, for which memory was taken",
            .got = std::to_string(captions.tokens(i, 1)),
            .hint = "Raise TrainOptions::size.longest_caption; 0 is the model's context"});
    }
  }

  double* own_loss() { return losses_.data() + Needs::count; }
  template <bool FromAverage>
  bool has_active_term(loss::StepPosition at) const {
    bool any = false;
    loss_.each_term([&]<class Term>(const Term& term) {
      if constexpr (loss::feature_term<Term> && loss::follows_average<Term> == FromAverage) {
        any = any || loss::is_active(term, at);
      }
    });
    return any;
  }
  void take_loss(Context<Backend>& c, const Values<Model, T>& values, Gradients<Model, Tune, T>& gradients,
                 const Batch& batch, Index count, loss::StepPosition at) {
    const Part images{0, count}, texts = Towers::texts_of(images);
    towers_.normalise(c, towers_.image, images);
    towers_.normalise(c, towers_.text, texts);
    if constexpr (has_head) {
      head_loss(c, values, gradients, batch.groups, count);
      run(c, op::clear<T>{.x = Towers::rows(towers_.text.dnormalised, texts)});
    } else {
      contrastive_loss(c, values, gradients, batch.groups, count);
      if constexpr (captions_per_pair > 1) {
        run(c, op::clear<T>{.x = Towers::rows(towers_.text.dnormalised, {count, texts.count - count})});
      }
    }
    if constexpr (has_teacher) { add_terms(c, gradients, batch.groups, count, at); }
    if constexpr (ImagePlan::runs_backward) { towers_.normalise_backward(c, towers_.image, images); }
    if constexpr (TextPlan::runs_backward) { towers_.normalise_backward(c, towers_.text, texts); }
  }

  void contrastive_loss(Context<Backend>& c, const Values<Model, T>& values, Gradients<Model, Tune, T>& gradients,
                        std::span<const std::int32_t> groups, Index count) {
    if (targets_.size() != count) { targets_ = loss::ContrastiveTargets<S>(count); }
    loss_.targets(groups, targets_);
    op::contrastive_loss<T> o{.image = Towers::rows(towers_.image.normalised, {0, count}),
                              .text = Towers::rows(towers_.text.normalised, {0, count}),
                              .labels = targets_.labels.data(),
                              .positive = {targets_.positive.data(), count},
                              .negative = {targets_.negative.data(), count},
                              .margin = targets_.margin,
                              .scale = targets_.scale,
                              .logits = {logits_.data(), count, count},
                              .log_sums = {log_sums_.data(), 2 * count},
                              .loss = own_loss()};
    if constexpr (Loss::uses_logit_scale) { o.log_scale = values.logit_scale.data; }
    if constexpr (ImagePlan::runs_backward) { o.dimage = Towers::rows(towers_.image.dnormalised, {0, count}); }
    if constexpr (TextPlan::runs_backward) { o.dtext = Towers::rows(towers_.text.dnormalised, {0, count}); }
    if constexpr (Loss::uses_logit_scale && wanted<decltype(gradients.logit_scale)>) {
      o.dlog_scale = gradients.logit_scale.data;
    }
    run(c, o);
  }

  /// Cross entropy of the head on the normalised image features.
  void head_loss(Context<Backend>& c, const Values<Model, T>& values, Gradients<Model, Tune, T>& gradients,
                 std::span<const std::int32_t> labels, Index count) {
    const Matrix<T> logits{logits_.data(), count, classes_};
    const auto x = Towers::rows(towers_.image.normalised, {0, count});
    run(c, op::linear_forward<T>{.y = logits, .x = x, .weight = values.head.weight, .bias = values.head.bias});
    run(c, op::cross_entropy<T>{.logits = logits,
                                .labels = labels.data(),
                                .smoothing = loss_.smoothing,
                                .loss = own_loss(),
                                .dlogits = logits});
    if constexpr (wanted<decltype(gradients.head.weight)>) {
      run(c, op::linear_backward_weight<T>{.dw = gradients.head.weight, .dy = logits, .x = x});
      run(c, op::linear_backward_bias<T>{.db = gradients.head.bias, .dy = logits});
    }
    if constexpr (ImagePlan::runs_backward) {
      run(c,
          op::linear_backward_input<T>{
              .dx = Towers::rows(towers_.image.dnormalised, {0, count}), .dy = logits, .weight = values.head.weight});
    }
  }

  void add_terms(Context<Backend>& c, Gradients<Model, Tune, T>& gradients, std::span<const std::int32_t> groups,
                 Index count, loss::StepPosition at) {
    Index position = 0;
    loss_.each_term([&]<class Term>(const Term& term) {
      if constexpr (loss::feature_term<Term>) {
        if (loss::is_active(term, at)) {
          Teacher& teacher = loss::follows_average<Term> ? average_ : frozen_;
          term.add(c, what_terms_read(teacher, gradients, groups, count), at, &term_values()[position]);
        }
      }
      ++position;
    });
  }
  loss::PairFeatures<T> what_terms_read(Teacher& teacher, Gradients<Model, Tune, T>& gradients,
                                        std::span<const std::int32_t> groups, Index count) {
    constexpr Index own = captions_per_pair - Loss::extra_captions;
    const Part images{0, count}, extra{own * count, count};
    loss::PairFeatures<T> f{.image = Towers::rows(towers_.image.normalised, images),
                            .teacher_image = Towers::rows(teacher.image, images),
                            .groups = groups.empty() ? nullptr : groups.data(),
                            .scale = scale_,
                            .teacher_scale = teacher.scale,
                            .logits = {logits_.data(), count, count},
                            .teacher_logits = {teacher_logits_.data(), count, count},
                            .dfeatures = Towers::rows(towers_.image.dfeatures, images)};
    if constexpr (ImagePlan::runs_backward) { f.dimage = Towers::rows(towers_.image.dnormalised, images); }
    if constexpr (own > 0) {
      f.text = Towers::rows(towers_.text.normalised, images);
      f.teacher_text = Towers::rows(teacher.text, images);
      if constexpr (TextPlan::runs_backward) { f.dtext = Towers::rows(towers_.text.dnormalised, images); }
    }
    if constexpr (Loss::extra_captions > 0) {
      f.extra_text = Towers::rows(towers_.text.normalised, extra);
      f.teacher_extra_text = Towers::rows(teacher.text, extra);
      if constexpr (TextPlan::runs_backward) { f.dextra_text = Towers::rows(towers_.text.dnormalised, extra); }
    }
    if constexpr (wanted<decltype(gradients.logit_scale)>) { f.dlog_scale = gradients.logit_scale.data; }
    return f;
  }

  Loss loss_;
  BatchSize size_;
  Index classes_;
  loss::ContrastiveTargets<S> targets_;
  Towers towers_;
  Teacher frozen_, average_;
  double scale_ = 1.0;  ///< exp(logit_scale) of the student, for terms
  Buffer<T> logits_, teacher_logits_;
  Buffer<S> log_sums_;
  Buffer<double> losses_;  ///< of the terms, and the one that they are added to
};

}  // namespace radapt
