// expect-error: a Session runs the two towers of a Clip
#include "radapt/backend/onednn/all.hpp"
#include "radapt/clip/session.hpp"

namespace {

struct Small : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 16, image = 16, patch = 8;
  static constexpr radapt::TowerSize vision{32, 2, 1, 64}, text{32, 2, 1, 64};
};

}  // namespace

using Model = radapt::Classifier<radapt::Clip<Small>>;
void run(const radapt::Weights<Model>& weights) { radapt::Session<Model, radapt::onednn> session(weights); }
