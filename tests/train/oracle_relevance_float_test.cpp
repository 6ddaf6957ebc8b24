/// The relevance of patches against tests/oracle, in f32 on oneDNN.
#include "radapt/backend/onednn/all.hpp"
#include "train/oracle_relevance.hpp"

TEST_CASE("relevance is that of the oracle, in f32 on oneDNN") { radapt_test::walk_relevance<radapt::onednn, float>(); }
