/// Kernels on bf16 whose rows are whole packs of eight, which most sizes of the cases are not: read and written at once
/// where operands are aligned (those that a call copies), one by one where they are not.
#include "op/agreement.hpp"

using namespace radapt_test;

namespace {

/// Some captions kept, the same left out, and all rows.
std::vector<Mask> some_masks() {
  const Batch batch = packed({3, 1, 7, 2, 5});
  const Mask some{.batch = batch, .entries = {1, 0, 1, 1, 0}};
  Mask others = some;
  others.inverted = true;
  return {some, others, {.batch = batch}};
}

struct ScaledAdd : cases::ScaledAdd {
  static std::vector<Size> tested() {
    std::vector<Size> all;
    for (const Mask& mask : some_masks()) {
      for (int place = 0; place < 3; ++place) { all.push_back({mask, 264, static_cast<cases::Place>(place)}); }
    }
    return all;
  }
};
/// More elements in a row than the threads of a block take in one turn.
struct ScaledAddBackwardScale : cases::ScaledAddBackwardScale {
  static std::vector<Size> tested() {
    std::vector<Size> all;
    for (const Mask& mask : some_masks()) { all.push_back({mask, 2056}); }
    return all;
  }
};
std::vector<cases::ColumnsSize> columns_in_packs() {
  std::vector<cases::ColumnsSize> all;
  for (const Mask& mask : some_masks()) {
    all.push_back({mask, 48, 16, 24});
    all.push_back({mask, 48, 4, 24});  // begins inside of a pack
  }
  return all;
}
struct TakeColumns : cases::TakeColumns {
  static std::vector<Size> tested() { return columns_in_packs(); }
};
struct AddColumns : cases::AddColumns {
  static std::vector<Size> tested() { return columns_in_packs(); }
};
struct AssembleTokensForward : cases::AssembleTokensForward {
  static std::vector<Size> tested() { return {{2, 6, 2, 40}}; }
};
struct AssembleTokensBackward : cases::AssembleTokensBackward {
  static std::vector<Size> tested() { return {{2, 6, 2, 40}}; }
};
struct EmbedTokensForward : cases::EmbedTokensForward {
  static std::vector<Size> tested() { return {{packed({3, 1, 7, 2, 5}), 40}}; }
};

}  // namespace

TEST_CASE_TEMPLATE("cuda_bf16: kernels on rows of whole packs agree with the reference in double", C, ScaledAdd,
                   ScaledAddBackwardScale, TakeColumns, AddColumns, AssembleTokensForward, AssembleTokensBackward,
                   EmbedTokensForward) {
  check_agreement<C, radapt::op::list<radapt::cuda_bf16>>();
}
