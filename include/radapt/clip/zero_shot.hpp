#pragma once
/// The zero-shot head: a classifier made of text (methods.md 0.3).
#include <string>
#include <vector>

#include "radapt/clip/headed_clip.hpp"
#include "radapt/clip/session.hpp"
#include "radapt/core/copy.hpp"

namespace radapt {

/// Rows of unit length, one per class: w_c = normalise(mean over prompts of normalise(text(prompt))). `prompts` holds
/// the prompts of class 0, then of class 1, ...; `per_class` says how many each class has.
template <class M, class Backend, class T>
std::vector<T> zero_shot_weights(Session<M, Backend, T>& session, const Captions& prompts,
                                 const std::vector<Index>& per_class) {
  constexpr Index embed = M::arch::embed;
  Index expected = 0;
  for (const Index n : per_class) { expected += n; }
  if (expected != prompts.size()) {
    fail({.what = "zero_shot_weights",
          .expected = std::to_string(expected) + " prompts, the sum over classes",
          .got = std::to_string(prompts.size()),
          .hint = "Give every prompt to exactly one class"});
  }
  std::vector<T> text(prompts.size() * embed);
  session.encode_texts(prompts, text);
  session.normalize(text);
  std::vector<T> head(per_class.size() * embed, T{0});
  Index row = 0;
  for (Index c = 0; c < per_class.size(); ++c) {
    if (per_class[c] == 0) {
      fail({.what = "zero_shot_weights, class " + std::to_string(c),
            .expected = "at least one prompt",
            .got = "none",
            .hint = ""});
    }
    for (Index i = 0; i < per_class[c]; ++i, ++row) {
      for (Index e = 0; e < embed; ++e) { head[c * embed + e] += text[row * embed + e] / static_cast<T>(per_class[c]); }
    }
  }
  session.normalize(head);
  return head;
}

namespace detail {
/// The tensors of `clip` that Model has, head.weight = exp(logit_scale) w_c, bias 0. Error: no row, or part of one.
template <class Model, class M, class T>
Weights<Model, T> with_zero_shot_head(const Weights<M, T>& clip, const std::vector<T>& head) {
  if (head.empty() || head.size() % M::arch::embed != 0) {
    fail({.what = "a zero-shot head",
          .expected = "rows of " + std::to_string(M::arch::embed) + " numbers, one for each class",
          .got = std::to_string(head.size()) + " numbers",
          .hint = "zero_shot_weights makes them"});
  }
  Weights<Model, T> out(head.size() / M::arch::embed);
  copy_by_name(out, clip);
  const T scale = std::exp(*clip.tree().logit_scale.data);
  const auto fill = [&](auto& weight) {
    for (Index i = 0; i < head.size(); ++i) { weight.data[i] = scale * head[i]; }
  };
  if constexpr (requires { out.tree().head; }) {
    fill(out.tree().head.weight);
  } else {
    fill(child<"head">(out.tree()).weight);
  }
  return out;
}
}  // namespace detail

/// A Classifier that starts as the zero-shot model: the image tower of `clip`, head.weight = exp(logit_scale) w_c, bias
/// 0.
template <class M, class T>
Weights<Classifier<M>, T> zero_shot_classifier(const Weights<M, T>& clip, const std::vector<T>& head) {
  return detail::with_zero_shot_head<Classifier<M>>(clip, head);
}
/// The same with both towers.
template <class M, class T>
Weights<HeadedClip<M>, T> zero_shot_headed_clip(const Weights<M, T>& clip, const std::vector<T>& head) {
  return detail::with_zero_shot_head<HeadedClip<M>>(clip, head);
}

/// "a photo of a {}." with the name in the place of {}. A template without {} is an error.
inline std::string fill_template(const std::string& text, const std::string& name) {
  const std::size_t at = text.find("{}");
  if (at == std::string::npos) {
    fail({.what = "prompt template '" + text + "'",
          .expected = "{} where the class name goes",
          .got = "none",
          .hint = "For example: a photo of a {}."});
  }
  return text.substr(0, at) + name + text.substr(at + 2);
}

}  // namespace radapt
