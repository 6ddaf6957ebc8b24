// expect-error: terms_on_features_beside_a_head_read_no_captions<
#include "radapt/train/recipes.hpp"

namespace {

/// Reads the features of both towers; without captions of its own there are none of the text tower.
struct Term {
  static constexpr auto name = "mine";
  static constexpr radapt::Index extra_captions = 0;
  template <class T>
  void add(auto&, const radapt::loss::PairFeatures<T>&, radapt::loss::StepPosition, double*) const {}
};

}  // namespace

constexpr auto size = sizeof(radapt::loss::With<radapt::loss::CrossEntropy, Term>);
