#pragma once
/// The numbers of a training run, and which of them make no sense.
#include <cmath>
#include <cstdint>
#include <string>
#include <tuple>

#include "radapt/core/context.hpp"
#include "radapt/core/error.hpp"
#include "radapt/train/average.hpp"
#include "radapt/train/batch.hpp"
#include "radapt/train/optimizer.hpp"
#include "radapt/train/schedule.hpp"

namespace radapt {

/// Options of a run; the defaults are R-Adapter's recipe for ImageNet (methods.md 1.10).
struct TrainOptions {
  BatchSize size{};
  WarmupCosine schedule{};
  AdamW optimizer{};
  double clip_norm = 1.0;     ///< largest global L2 norm of the gradients; 0 does not clip
  double adapter_drop = 0.2;  ///< used by recipes with AdapterDrop
  DropGranularity granularity = DropGranularity::per_sample;
  double dropout = 0.1;  ///< of single elements, in the layers that have one: AdaptFormer's and RepAdapter's
  Average average{};     ///< used by recipes with Accumulate
  std::uint64_t seed = 0;
  bool clamp_logit_scale = true;  ///< keeps a trained logit_scale in 0 .. ln 100 (clip_compat.md 1.2)
};

namespace detail {

/// The options, of a recipe that has an average of products, or an average at all. Errors: values that no run can have.
inline TrainOptions checked(const TrainOptions& o, bool has_products, bool accumulates) {
  if (o.size.batch == 0 || o.size.batch >> 31 != 0) {
    fail({.what = "training option size.batch",
          .expected = "1 to 2147483647",
          .got = std::to_string(o.size.batch),
          .hint = "It is unsigned: a negative number comes out as a large one"});
  }
  for (const double rate : {o.schedule.base, o.schedule.minimum}) {
    if (!(rate >= 0.0 && std::isfinite(rate))) {
      fail({.what = "training option schedule",
            .expected = "rates that are finite and at least 0",
            .got = std::to_string(rate),
            .hint = "base is the largest rate of the run, minimum is added to it"});
    }
  }
  for (const auto& [name, probability, published] :
       {std::tuple{"dropout", o.dropout, "0.1"}, std::tuple{"adapter_drop", o.adapter_drop, "0.2"}}) {
    if (!(probability >= 0.0 && probability < 1.0)) {
      fail({.what = std::string("training option ") + name,
            .expected = "a probability from 0 to below 1",
            .got = std::to_string(probability),
            .hint = std::string("It is the probability of dropping; the published value is ") + published});
    }
  }
  if (!(o.clip_norm >= 0.0)) {
    fail({.what = "training option clip_norm",
          .expected = "a length of at least 0",
          .got = std::to_string(o.clip_norm),
          .hint = "It is the largest length of all gradients together; 0 does not clip"});
  }
  const AdamW& adamw = o.optimizer;
  for (const double beta : {adamw.beta1, adamw.beta2}) {
    if (!(beta >= 0.0 && beta < 1.0)) {
      fail({.what = "training option optimizer",
            .expected = "beta1 and beta2 from 0 to below 1",
            .got = std::to_string(beta),
            .hint = "They weight the old moments; PyTorch's are 0.9 and 0.999"});
    }
  }
  for (const auto& [name, number, least] :
       {std::tuple{"eps", adamw.eps, 1e-300}, {"weight_decay", adamw.weight_decay, 0.0}}) {
    if (!(number >= least && std::isfinite(number))) {
      fail({.what = std::string("training option optimizer.") + name,
            .expected = least > 0 ? "a finite number above 0" : "a finite number of at least 0",
            .got = std::to_string(number),
            .hint = "PyTorch's eps is 1e-8; R-Adapter's weight_decay is 0, that of full fine-tuning 0.1"});
    }
  }
  if (o.average.target == Average::Target::product && !has_products) {
    fail(
        {.what = "training option average.target",
         .expected = "factors",
         .got = "product",
         .hint = "Only recipes with Accumulate, Rescale and a contrastive loss have a product of adapters to average"});
  }
  if (accumulates && o.average.kind == Average::Kind::beta &&
      !(o.schedule.total > 0 && o.average.beta > 0.0 && std::isfinite(o.average.beta))) {
    fail({.what = "training option average",
          .expected = "schedule.total of at least 1 and a finite beta above 0, which weigh the steps of a Beta average",
          .got = std::to_string(o.schedule.total) + " and " + std::to_string(o.average.beta),
          .hint = "Set schedule.total to the steps of the run; the published beta is 0.5"});
  }
  if (!(o.average.momentum >= 0.0 && o.average.momentum < 1.0)) {
    fail({.what = "training option average.momentum",
          .expected = "a number from 0 to below 1",
          .got = std::to_string(o.average.momentum),
          .hint = "It weights the old value; 0.999 for long runs, 0.9 for short ones"});
  }
  return o;
}

}  // namespace detail

}  // namespace radapt
