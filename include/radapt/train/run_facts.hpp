#pragma once
/// What a training run depends on beside its state: kept in checkpoints, so that another run is not taken for it.
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "radapt/core/const_weights.hpp"
#include "radapt/core/digest.hpp"
#include "radapt/train/train_options.hpp"

namespace radapt::detail {

/// The Digest of names, sizes and elements of the weights.
template <class Model, class T>
std::string digest(const ConstWeights<Model, T>& weights) {
  Digest all;
  for (const auto& tensor : weights.tensors()) {
    for (const char letter : tensor.name()) { all.add(static_cast<unsigned char>(letter)); }
    all.add(tensor.size());
    all.add(std::as_bytes(std::span<const T>(tensor.data, tensor.size())));
  }
  return all.text();
}

/// The options that change what the next steps give, by name and in words that are equal only if the values are.
inline std::vector<std::pair<std::string, std::string>> option_values(const TrainOptions& o) {
  const auto real = [](double x) {
    char text[32];
    std::snprintf(text, sizeof text, "%.17g", x);
    return std::string(text);
  };
  const auto count = [](std::uint64_t n) { return std::to_string(n); };
  const char* const kinds[] = {"none", "exponential", "beta"};
  const char* const granularities[] = {"per_sample", "per_batch", "per_token_position"};
  return {{"size.batch", count(o.size.batch)},
          {"size.micro_batch", count(o.size.micro())},
          {"schedule.base", real(o.schedule.base)},
          {"schedule.warmup", count(o.schedule.warmup)},
          {"schedule.total", count(o.schedule.total)},
          {"schedule.minimum", real(o.schedule.minimum)},
          {"optimizer.beta1", real(o.optimizer.beta1)},
          {"optimizer.beta2", real(o.optimizer.beta2)},
          {"optimizer.eps", real(o.optimizer.eps)},
          {"optimizer.weight_decay", real(o.optimizer.weight_decay)},
          {"optimizer.rule", o.optimizer.rule == DecayRule::everything ? "everything" : "matrices_only"},
          {"clip_norm", real(o.clip_norm)},
          {"adapter_drop", real(o.adapter_drop)},
          {"granularity", granularities[static_cast<int>(o.granularity)]},
          {"dropout", real(o.dropout)},
          {"average.kind", kinds[static_cast<int>(o.average.kind)]},
          {"average.momentum", real(o.average.momentum)},
          {"average.beta", real(o.average.beta)},
          {"average.target", o.average.target == Average::Target::product ? "product" : "factors"},
          {"clamp_logit_scale", o.clamp_logit_scale ? "true" : "false"}};
}

}  // namespace radapt::detail
