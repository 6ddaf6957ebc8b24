#pragma once
/// Saving a training run and going on from it, bit for bit.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <typeinfo>
#include <vector>

#include "radapt/io/safetensors.hpp"
#include "radapt/io/safetensors_write.hpp"
#include "radapt/train/trainer.hpp"

namespace radapt {

/// Which differences from the run that wrote a checkpoint are wanted.
struct ResumeOptions {
  /// Goes on with other TrainOptions, such as a longer schedule: then no bits are promised.
  bool other_options = false;
};

namespace detail {

template <class T>
constexpr safetensors::DType stored_type() {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8);
  return sizeof(T) == 8 ? safetensors::DType::F64 : safetensors::DType::F32;
}

/// The flat buffers of a run by the names that their tensors carry in a checkpoint.
template <class Trainer, class F>
void each_training_buffer(Trainer& trainer, F&& f) {
  f("parameters/", trainer.state().parameter_buffer());
  f("first_moment/", trainer.state().first_moment());
  f("second_moment/", trainer.state().second_moment());
  if (trainer.average_buffer().size() > 0) { f("average/", trainer.average_buffer()); }
  if (trainer.teacher_buffer().size() > 0) { f("teacher/", trainer.teacher_buffer()); }
}

inline constexpr const char* checkpoint_version = "2";

/// The number of steps in a checkpoint of this version.
inline std::uint64_t checkpoint_steps(const std::string& what, const safetensors::File& file) {
  const std::string* steps = file.metadata().find("radapt.steps");
  const std::string* format = file.metadata().find("radapt.checkpoint");
  if (steps == nullptr || steps->empty() || steps->size() > 18 ||
      steps->find_first_not_of("0123456789") != std::string::npos) {
    fail({.what = what,
          .expected = "a training checkpoint",
          .got = "a file without its number of steps",
          .hint = "Weights for inference are loaded, not resumed"});
  }
  if (format == nullptr || *format != checkpoint_version) {
    fail({.what = what,
          .expected = std::string("a training checkpoint of version ") + checkpoint_version,
          .got = format == nullptr ? "a file without a version" : "version " + *format,
          .hint = "Was it written by another version of radapt?"});
  }
  return std::stoull(*steps);
}

/// Error: the file is of another run than this trainer's.
template <class R, class Backend, class T>
void check_same_run(const std::string& what, const safetensors::File& file, Trainer<R, Backend, T>& trainer,
                    const ResumeOptions& options) {
  const auto same = [&](const std::string& key, const std::string& name, const std::string& own, const char* hint) {
    const std::string* kept = file.metadata().find(key);
    if (kept != nullptr && *kept == own) { return; }
    fail({.what = what,
          .expected = name + " " + own + ", as in this trainer",
          .got = kept == nullptr ? "a file that does not say" : *kept,
          .hint = hint});
  };
  same("radapt.seed", "seed", std::to_string(trainer.options().seed),
       "Another seed would draw other masks; continue with the seed of the run");
  if (!options.other_options) {
    for (const auto& [name, value] : option_values(trainer.options())) {
      same("radapt.option." + name, name, value,
           "Give the options of the run that wrote it, or ResumeOptions{.other_options = true} to change them");
    }
  }
  same("radapt.loss", "loss", typeid(typename R::loss).name(),
       "Go on with the loss of the run that wrote it; types stand as the compiler spells them");
  same("radapt.base", "base weights of digest", trainer.base_digest(),
       "Make the trainer from the weights that the run began with");
}

/// Error: the file has a tensor, such as one of an average, that the run would go on without.
template <class R, class Backend, class T>
void check_no_other_buffers(const std::string& what, const safetensors::File& file, Trainer<R, Backend, T>& trainer) {
  std::vector<std::string> known;
  each_training_buffer(trainer, [&](const std::string& prefix, const Buffer<T>&) { known.push_back(prefix); });
  if constexpr (Trainer<R, Backend, T>::has_products) {
    if (trainer.products().has_value()) { known.emplace_back("product/"); }
  }
  for (const auto& entry : file.tensors()) {
    const std::string& name = entry.first;
    if (std::any_of(known.begin(), known.end(), [&](const std::string& prefix) { return name.starts_with(prefix); })) {
      continue;
    }
    fail({.what = what,
          .expected = "what this trainer keeps",
          .got = "a tensor '" + name + "' besides",
          .hint = "Was it written by a recipe with an average, or a loss with a teacher?"});
  }
}

}  // namespace detail

/// What a checkpoint says beside its tensors.
struct CheckpointFacts {
  std::uint64_t steps = 0;
  std::map<std::string, std::string> notes{};  ///< the program's own, such as where it is in its data
};

/// Writes everything that the next steps depend on, but the base weights: trained parameters, both moments, the moving
/// average, the teacher of a loss that has one, the number of steps and the options; of the base weights and the loss,
/// what tells them from others. A safetensors file, written atomically: a crash leaves the last one. `notes` are kept
/// as they are, for the program that goes on.
template <class R, class Backend, class T>
void save_checkpoint(const std::filesystem::path& path, Trainer<R, Backend, T>& trainer,
                     const std::map<std::string, std::string>& notes = {}) {
  std::map<std::string, safetensors::Entry> tensors;
  detail::each_training_buffer(trainer, [&](const std::string& prefix, const Buffer<T>& buffer) {
    for (const auto& slot : trainer.state().slots()) {
      tensors[prefix + slot.name] = {.dtype = detail::stored_type<T>(),
                                     .shape = {slot.size},
                                     .data = std::as_bytes(std::span<const T>(buffer.data() + slot.offset, slot.size))};
    }
  });
  if constexpr (Trainer<R, Backend, T>::has_products) {
    if (trainer.products().has_value()) {
      for (const auto& [name, product] : trainer.products()->products()) {
        tensors["product/" + name] = {.dtype = safetensors::DType::F64,
                                      .shape = {product.rows(), product.columns()},
                                      .data = std::as_bytes(std::span<const double>(product.data(), product.size()))};
      }
    }
  }
  safetensors::Metadata metadata{{"format", "pt"},
                                 {"radapt.checkpoint", detail::checkpoint_version},
                                 {"radapt.steps", std::to_string(trainer.steps())},
                                 {"radapt.seed", std::to_string(trainer.options().seed)},
                                 {"radapt.base", trainer.base_digest()},
                                 {"radapt.loss", typeid(typename R::loss).name()}};
  for (const auto& [name, value] : detail::option_values(trainer.options())) {
    metadata.set("radapt.option." + name, value);
  }
  for (const auto& [name, text] : notes) { metadata.set("radapt.note." + name, text); }
  safetensors::write(path, tensors, metadata);
}

/// Continues from a checkpoint: the following steps give the bits that the uninterrupted run would have given. The
/// trainer must have been made from the same base weights, with the same kind of loss, seed and options; all of that is
/// checked, but for the numbers inside of the loss. Errors: something differs, the file is of another version, a tensor
/// does not fit or holds what is no finite number. Then nothing is changed.
template <class R, class Backend, class T>
CheckpointFacts resume(const std::filesystem::path& path, Trainer<R, Backend, T>& trainer,
                       const ResumeOptions& options = {}) {
  const safetensors::File file = safetensors::open(path);
  const std::string what = "resuming from '" + path.string() + "'";
  CheckpointFacts facts{.steps = detail::checkpoint_steps(what, file)};
  detail::check_same_run(what, file, trainer, options);
  for (const auto& [name, text] : file.metadata()) {
    if (name.starts_with("radapt.note.")) { facts.notes[name.substr(12)] = text; }
  }
  detail::check_no_other_buffers(what, file, trainer);
  detail::each_training_buffer(trainer, [&](const std::string& prefix, const Buffer<T>&) {
    for (const auto& slot : trainer.state().slots()) {
      const auto& tensor = file.at(prefix + slot.name);
      if (tensor.dtype != detail::stored_type<T>() || tensor.size() != slot.size) {
        fail({.what = what + ": tensor '" + prefix + slot.name + "'",
              .expected = std::to_string(slot.size) + " elements of the trainer's type",
              .got = std::to_string(tensor.size()),
              .hint = "Was it written by another recipe or architecture?"});
      }
    }
  });
  const auto check_finite = [&](const std::string& name, const auto& values) {
    if (!std::all_of(values.begin(), values.end(), [](auto x) { return std::isfinite(x); })) {
      fail({.what = what + ": tensor '" + name + "'",
            .expected = "numbers that are finite",
            .got = "others",
            .hint = "The file is damaged, or another program has written it"});
    }
  };
  std::vector<std::vector<double>> products;
  if constexpr (Trainer<R, Backend, T>::has_products) {
    if (trainer.products().has_value()) {
      for (auto& [name, product] : trainer.products()->products()) {
        products.push_back(file.read<double>("product/" + name));
        if (products.back().size() != product.size()) {
          fail({.what = what + ": tensor 'product/" + name + "'",
                .expected = std::to_string(product.size()) + " elements",
                .got = std::to_string(products.back().size()),
                .hint = ""});
        }
        check_finite("product/" + name, products.back());
      }
    }
  }
  std::vector<std::vector<T>> buffers;  // everything, before anything is changed
  detail::each_training_buffer(trainer, [&](const std::string& prefix, const Buffer<T>&) {
    for (const auto& slot : trainer.state().slots()) {
      buffers.push_back(file.read<T>(prefix + slot.name));
      check_finite(prefix + slot.name, buffers.back());
    }
  });
  Index read = 0;
  detail::each_training_buffer(trainer, [&](const std::string&, Buffer<T>& buffer) {
    for (const auto& slot : trainer.state().slots()) {
      std::copy(buffers[read].begin(), buffers[read].end(), buffer.data() + slot.offset);
      ++read;
    }
  });
  if constexpr (Trainer<R, Backend, T>::has_products) {
    if (trainer.products().has_value()) {
      read = 0;
      for (auto& [name, product] : trainer.products()->products()) {
        std::copy(products[read].begin(), products[read].end(), product.data());
        ++read;
      }
    }
  }
  trainer.set_steps(facts.steps);
  return facts;
}

}  // namespace radapt
