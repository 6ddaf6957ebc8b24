#pragma once
/// What retrieval does for one architecture: read the captions, pre-train or load, run the methods, tell.
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "radapt/io/adapter_file.hpp"
#include "radapt/io/file.hpp"
#include "radapt/io/json_lines.hpp"
#include "radapt/io/tokenizer_files.hpp"

#include "checkpoint_model.hpp"
#include "pretrain.hpp"
#include "retrieval_report.hpp"
#include "study_key.hpp"

namespace example {

/// What the runs of one retrieval study depend on, beside their methods and rates.
inline std::string run_key(const RetrievalSettings& s) {
  const CaptionFile& c = s.captions;
  const RetrievalOptions& o = s.study;
  const std::vector<std::byte> captions = radapt::read_file(c.file);
  const std::string captions_digest = digest({reinterpret_cast<const char*>(captions.data()), captions.size()});
  const std::string parts =
      fmt::format("{} {} {} {} {} {} {} {} {}", captions_digest, place(c.images), listing_digest(c.images),
                  c.columns.image, c.columns.caption, c.split_seed, c.pretraining_share, c.limit, s.captions_per_image);
  const std::string base =
      fmt::format("{} {} {} {} {} {}", place(s.vocabulary), place(s.from), s.from.empty() ? "" : weights_digest(s.from),
                  s.pretrain_steps, s.pretrain_lr, s.pretrain_crop);
  return digest(fmt::format("{} {} {} {} {} {} {} {} {}", parts, base, o.steps, o.drawing.batch, o.micro_batch,
                            o.positives, o.momentum, o.drawing.crop, o.drawing.seed));
}

/// The whole program, for checkpoints of architecture Arch or, without a checkpoint, for an Arch from nothing.
template <class Arch>
void retrieval(const RetrievalSettings& settings) {
  using Clip = radapt::Clip<Arch>;
  const auto start = std::chrono::steady_clock::now();
  const bool pretrains = settings.from.empty();
  const radapt::Preprocess rules =
      pretrains ? radapt::Preprocess::openai(Arch::image) : preprocessing_of(settings.from, Arch::image);
  const Encode encode = [tokenizer = tokenizer_of<Arch>(settings.from, settings.vocabulary)](const std::string& text) {
    return tokenizer.context(text, Arch::context);
  };

  RunFiles runs(settings.checkpoints, settings.checkpoint_every,
                settings.checkpoints.empty() ? std::string() : run_key(settings));
  const CaptionParts parts = read_captions(settings.captions);
  if (parts.overlapping > 0) { fmt::print("{}\n", overlap_sentence(parts.overlapping)); }
  radapt::Progress progress(
      "reading images", parts.pretraining.size() + parts.train.size() + parts.validation.size() + parts.test.size());
  // A quarter larger than the model's images, so that a crop keeps its sharpness.
  radapt::Preprocess larger = rules;
  larger.size = rules.size + rules.size / 4;
  const std::size_t most = settings.captions_per_image;
  CaptionedSet pretraining;
  if (pretrains) {
    pretraining = decode_captioned("to pre-train on", parts.pretraining, most, larger, encode, progress);
  }
  const CaptionedSet train = decode_captioned("to train on", parts.train, most, larger, encode, progress);
  const CaptionedSet validation = decode_captioned("to choose on", parts.validation, most, rules, encode, progress);
  const CaptionedSet test = decode_captioned("to test on", parts.test, most, rules, encode, progress);
  progress.finish();

  RetrievalFacts facts{.parameters = radapt::count<Clip>(),
                       .pretraining = pretraining.size(),
                       .train = train.size(),
                       .validation = validation.size(),
                       .test = test.size(),
                       .test_captions = test.list().captions.size(),
                       .skipped = pretraining.skipped + train.skipped + validation.skipped + test.skipped,
                       .overlapping = parts.overlapping,
                       .image = Arch::image};
  radapt::JsonLines log(settings.log);
  log.write({{"run", settings.command},
             {"pretraining", facts.pretraining},
             {"train", facts.train},
             {"validation", facts.validation},
             {"test", facts.test},
             {"skipped", facts.skipped},
             {"overlapping", facts.overlapping}});
  RetrievalOptions options = settings.study;
  options.log = [&log](const StepRecord& step) { log.write(step_record(step)); };
  options.run_files = &runs;

  radapt::Weights<Clip> base;
  if (pretrains) {
    const auto begin = std::chrono::steady_clock::now();
    PairDrawing drawing = options.drawing;
    drawing.crop = settings.pretrain_crop;
    CaptionBatches batches(pretraining, rules, drawing, radapt::Captions::of<Clip>());
    base = pretrain<Arch>([&batches] { return batches.next(); }, drawing.batch, settings.pretrain_steps,
                          settings.pretrain_lr, drawing.seed, facts.pretraining_losses, options.log, &runs);
    facts.pretraining_seconds = seconds_since(begin);
    if (!settings.save.empty()) {
      radapt::save(settings.save / "base", base, radapt::names::Origin::huggingface);
      radapt::copy_tokenizer_files(settings.vocabulary, settings.save / "base");
    }
  } else {
    base = radapt::load<Clip>(settings.from);
  }

  RetrievalStudy<Arch> study(base, train, validation, test, rules, options);
  std::vector<RetrievalMethod> methods;
  const auto add = [&](RetrievalMethod m) {
    log.write(recall_record(m));  // at once: what is done is not lost
    methods.push_back(std::move(m));
  };
  add(study.zero_shot());
  if (settings.flyp) { add(study.flyp()); }
  add(study.r_adapter());
  if (!settings.save.empty()) {
    std::filesystem::create_directories(settings.save);
    radapt::save_adapters(settings.save / "r_adapter.safetensors", study.adapted(), /*averaged=*/true);
  }

  facts.seconds = seconds_since(start);
  print(recall_table(methods));
  print(recall_choice_table(methods));
  write_retrieval_report(settings, facts, methods, test);
  runs.remove();
  fmt::print("\nreport: {}   log: {}   total time: {:.0f} s\n", settings.report.string(), settings.log.string(),
             facts.seconds);
}

}  // namespace example
