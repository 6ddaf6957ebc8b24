#pragma once
/// Which adapters of a model follow the phase: dropped at random while training, scaled by alpha in evaluation.
#include <type_traits>

#include "radapt/adapter/branch.hpp"
#include "radapt/clip/block.hpp"

namespace radapt::detail {

/// Adapters of a block of one tower, in all places that a policy has.
template <class Policy, class Tower, Index Width, Index Hidden>
struct block_scaling {
  using Kind = BlockKind<Policy, Tower, false>;
  using Plain = BlockKind<NoAdapter, Tower, false>;
  template <class L>
  static constexpr bool follows = std::is_base_of_v<AdapterBranch, L>;
  template <class L, class Without>
  static constexpr bool is_other = !std::is_same_v<L, Without>;
  /// Whether any adapter follows the phase, and whether one does not.
  struct Answer {
    bool any = false, all = true;
    template <class L, class Without>
    constexpr void add() {
      if (is_other<L, Without>) {
        any = any || follows<L>;
        all = all && follows<L>;
      }
    }
  };
  template <class Place, Index In, Index Out>
  static constexpr void add_linear(Answer& answer) {
    answer.template add<typename Kind::template linear<Place, In, Out>,
                        typename Plain::template linear<Place, In, Out>>();
  }
  static constexpr Answer answer() {
    Answer all;
    all.template add<typename Kind::template adapter<site::after_attention, Width>, Identity>();
    all.template add<typename Kind::template adapter<site::after_mlp, Width>, Identity>();
    // A branch beside the MLP is put there by a layer that follows.
    all.any = all.any || is_other<typename Kind::template beside<site::beside_mlp, Width>, Identity>;
    add_linear<site::in_proj, Width, 3 * Width>(all);
    add_linear<site::out_proj, Width, Width>(all);
    add_linear<site::c_fc, Width, Hidden>(all);
    add_linear<site::c_proj, Hidden, Width>(all);
    return all;
  }
};
template <class Policy, class Arch>
struct adapter_scaling {
  static constexpr auto image =
      block_scaling<Policy, role::tower::image, Arch::vision.width, Arch::vision.hidden>::answer();
  static constexpr auto text = block_scaling<Policy, role::tower::text, Arch::text.width, Arch::text.hidden>::answer();
  static constexpr bool any = image.any || text.any, all = image.all && text.all;
};

/// Of a model without a policy: it has no adapters.
struct no_adapter_scaling {
  static constexpr bool any = false, all = true;
};
template <class Model>
constexpr auto adapter_scaling_of() {
  if constexpr (requires { typename Model::policy; }) {
    return adapter_scaling<typename Model::policy, typename Model::arch>{};
  } else {
    return no_adapter_scaling{};
  }
}

/// Whether AdapterDrop drops anything in a model.
template <class Model>
inline constexpr bool drops_any_adapter = decltype(adapter_scaling_of<Model>())::any;
/// Whether SessionSize::adapter_alpha scales all adapters of a model.
template <class Model>
inline constexpr bool scales_all_adapters = decltype(adapter_scaling_of<Model>())::all;

}  // namespace radapt::detail
