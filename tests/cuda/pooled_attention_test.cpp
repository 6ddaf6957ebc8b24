/// Attention of the pooled token where the CUDA kernels take their work in pieces, which the sizes of the cases are too
/// small for: four heads, 64 sequences and 64 columns of a head at a time, and more columns than a block has threads.
#include "op/agreement.hpp"

using namespace radapt_test;

namespace {

/// Three groups of heads, the last one of one head; two tiles of columns of a head, and of sequences. The widest is two
/// turns of a block that takes packs of eight.
std::vector<cases::PooledAttentionSize> in_pieces() {
  using radapt::Pooling;
  return {{packed({3, 1, 21, 2, 5}), 9, 8},
          {packed({3, 1, 21, 2, 5}), 9, 8, true, Pooling::last},
          {uniform(70, 2), 5, 3},
          {packed({9, 2}), 5, 80},
          {packed({18}), 6, 176}};
}

struct Forward : cases::PooledAttentionForward {
  static std::vector<Size> tested() { return in_pieces(); }
};
struct Backward : cases::PooledAttentionBackward {
  static std::vector<Size> tested() { return in_pieces(); }
};

}  // namespace

TEST_CASE_TEMPLATE("cuda: attention of the pooled token in pieces agrees with the reference in double", C, Forward,
                   Backward) {
  check_agreement<C, radapt::op::list<radapt::cuda, radapt::cuda_bf16>>();
}
