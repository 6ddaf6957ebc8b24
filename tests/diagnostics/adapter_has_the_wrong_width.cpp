// expect-error: an adapter must put out the width that it takes
#include "radapt/adapter/r_adapter.hpp"
#include "radapt/clip/clip.hpp"

namespace {

template <radapt::Index Out>
struct Policy {
  template <class Site, radapt::Index D>
  using at = radapt::Linear<D, Out == 0 ? D : Out, radapt::role::adapter>;
};
struct Small : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 16, image = 16, patch = 8;
  static constexpr radapt::TowerSize vision{32, 2, 1, 64}, text{32, 2, 1, 64};
};

}  // namespace

constexpr radapt::Index parameters = radapt::count<radapt::Clip<Small, Policy<48>>>();
