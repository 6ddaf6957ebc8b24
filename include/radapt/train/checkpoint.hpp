#pragma once
/// Saving a training run and going on from it, bit for bit.
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "radapt/io/safetensors.hpp"
#include "radapt/io/safetensors_write.hpp"
#include "radapt/train/trainer.hpp"

namespace radapt {

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

}  // namespace detail

/// Writes everything that the next steps depend on, but the base weights and the options: trained parameters, both
/// moments, the moving average, the teacher of a loss that has one, the number of steps and the seed. A safetensors
/// file, written atomically: a crash leaves the last one.
template <class R, class Backend, class T>
void save_checkpoint(const std::filesystem::path& path, Trainer<R, Backend, T>& trainer) {
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
  safetensors::write(path, tensors,
                     {{"format", "pt"},
                      {"radapt.checkpoint", "1"},
                      {"radapt.steps", std::to_string(trainer.steps())},
                      {"radapt.seed", std::to_string(trainer.options().seed)}});
}

/// Continues from a checkpoint: the following steps give the bits that the uninterrupted run would have given. The
/// trainer must have been made from the same base weights with the same options; the seed and every tensor are checked,
/// and nothing is changed unless all of them fit.
template <class R, class Backend, class T>
void resume(const std::filesystem::path& path, Trainer<R, Backend, T>& trainer) {
  const safetensors::File file = safetensors::open(path);
  const std::string what = "resuming from '" + path.string() + "'";
  const std::string* steps = file.metadata().find("radapt.steps");
  const std::string* seed = file.metadata().find("radapt.seed");
  if (steps == nullptr || seed == nullptr || steps->find_first_not_of("0123456789") != std::string::npos ||
      steps->empty() || steps->size() > 18) {
    fail({.what = what,
          .expected = "a training checkpoint",
          .got = "a file without its number of steps",
          .hint = "Weights for inference are loaded, not resumed"});
  }
  if (*seed != std::to_string(trainer.options().seed)) {
    fail({.what = what,
          .expected = "seed " + std::to_string(trainer.options().seed) + ", as in the options",
          .got = *seed,
          .hint = "Another seed would draw other masks; continue with the seed of the run"});
  }
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
  detail::each_training_buffer(trainer, [&](const std::string& prefix, Buffer<T>& buffer) {
    for (const auto& slot : trainer.state().slots()) {
      const std::vector<T> values = file.read<T>(prefix + slot.name);
      std::copy(values.begin(), values.end(), buffer.data() + slot.offset);
    }
  });
  if constexpr (Trainer<R, Backend, T>::has_products) {
    if (trainer.products().has_value()) {
      for (auto& [name, product] : trainer.products()->products()) {
        const auto values = file.read<double>("product/" + name);
        if (values.size() != product.size()) {
          fail({.what = what + ": tensor 'product/" + name + "'",
                .expected = std::to_string(product.size()) + " elements",
                .got = std::to_string(values.size()),
                .hint = ""});
        }
        std::copy(values.begin(), values.end(), product.data());
      }
    }
  }
  trainer.set_steps(std::stoull(*steps));
}

}  // namespace radapt
