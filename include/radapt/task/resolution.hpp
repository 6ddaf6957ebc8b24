#pragma once
/// The same CLIP at another resolution: the position embedding of the image tower is resized, everything else is kept.
#include <algorithm>
#include <span>
#include <vector>

#include "radapt/clip/clip.hpp"
#include "radapt/core/weights.hpp"
#include "radapt/io/position_embedding.hpp"

namespace radapt::task {

/// Weights of a Clip of architecture Arch for images of Size x Size pixels, a multiple of the patch size; the positions
/// by the rule of `resize` (clip_compat.md 2.1). The same size gives the same values.
///
///     const auto larger = task::at_resolution<448>(weights);   // Weights<Clip<arch::at_resolution<Arch, 448>>>
template <Index Size, class Arch, class T>
Weights<Clip<arch::at_resolution<Arch, Size>>, T> at_resolution(const Weights<Clip<Arch>, T>& weights,
                                                                GridResize resize = GridResize::open_clip) {
  using To = Clip<arch::at_resolution<Arch, Size>>;
  static_assert(Size > 0 && Size % Arch::patch == 0,
                "radapt: the image size must be a multiple of the patch size; to fix: choose another size.");
  Weights<To, T> out;
  const auto& table = radapt::detail::child_at<0>(weights.tree().image).positional_embedding;
  const std::vector<T> positions = resize_image_positions<T>(std::span<const T>(table.data, table.size()),
                                                             Arch::vision.width, Size / Arch::patch, resize);
  each(
      [&](auto& to, const auto& from) {
        const T* const values = from.data == table.data ? positions.data() : from.data;
        std::copy(values, values + to.size(), to.data);
      },
      out.tree(), weights.tree());
  return out;
}

}  // namespace radapt::task
