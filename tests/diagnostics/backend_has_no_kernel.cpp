// expect-error: this backend has no kernel for this operation
#include "radapt/backend/reference/all.hpp"
#include "radapt/backend/run.hpp"

namespace mine {

template <class T>
struct softplus {
  radapt::Vector<T> x;
};
struct known {
  radapt::Vector<float> x;
};
inline void launch(radapt::reference&, const known&) {}

}  // namespace mine

void go(radapt::Context<radapt::reference>& c) { radapt::run(c, mine::softplus<float>{}); }
