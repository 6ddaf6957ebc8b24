// A consumer's own architecture and own adapter policy, compiled against the installed package.
#include <cstdio>

#include <radapt/clip/merge.hpp>
#include <radapt/adapter/r_adapter.hpp>
#include <radapt/clip/clip.hpp>

namespace consumer {

struct Tiny : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 16, image = 16, patch = 8, vocabulary = 32;
  static constexpr radapt::TowerSize vision{32, 2, 1, 128}, text{16, 2, 1, 64};
};

/// A full-rank adapter after the MLPs only.
struct AfterMlp {
  template <class Site, radapt::Index D>
  using at = std::conditional_t<std::is_same_v<typename Site::place, radapt::site::after_mlp>,
                                radapt::FullAdapter<D, radapt::role::in<radapt::role::adapter, typename Site::tower>>,
                                radapt::Identity>;
};
using Model = radapt::Clip<Tiny, AfterMlp>;
static_assert(radapt::count<Model, radapt::tune::only<radapt::role::adapter>>() == 32 * 32 + 1 + 16 * 16 + 1);

}  // namespace consumer

int main() {
  const radapt::Weights<consumer::Model> adapted;
  const radapt::Weights<radapt::Clip<consumer::Tiny>> merged = radapt::merge(0.5, adapted);
  std::printf("%zu parameters, %zu after merging\n", radapt::count<consumer::Model>(),
              radapt::count<radapt::Clip<consumer::Tiny>>());
  return merged.buffer().size() > 0 ? 0 : 1;
}
