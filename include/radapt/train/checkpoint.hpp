#pragma once
/// Saving a training run and going on from it, bit for bit.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

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
/// trainer must have been made from the same base weights with the same options, which is not checked; the seed, the
/// version and every tensor are, and nothing is changed unless all of them fit and hold finite numbers.
template <class R, class Backend, class T>
void resume(const std::filesystem::path& path, Trainer<R, Backend, T>& trainer) {
  const safetensors::File file = safetensors::open(path);
  const std::string what = "resuming from '" + path.string() + "'";
  const std::string* steps = file.metadata().find("radapt.steps");
  const std::string* seed = file.metadata().find("radapt.seed");
  const std::string* format = file.metadata().find("radapt.checkpoint");
  if (steps == nullptr || seed == nullptr || steps->find_first_not_of("0123456789") != std::string::npos ||
      steps->empty() || steps->size() > 18) {
    fail({.what = what,
          .expected = "a training checkpoint",
          .got = "a file without its number of steps",
          .hint = "Weights for inference are loaded, not resumed"});
  }
  if (format == nullptr || *format != "1") {
    fail({.what = what,
          .expected = "a training checkpoint of version 1",
          .got = format == nullptr ? "a file without a version" : "version " + *format,
          .hint = "Was it written by another version of radapt?"});
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
  trainer.set_steps(std::stoull(*steps));
}

}  // namespace radapt
