/// A project's own parts, declared outside radapt and nowhere registered.
#include <cstdio>

#include "radapt/core/shape.hpp"

using Row = radapt::Shape<2, 3>;
static_assert(Row::size() == 6);

int main() { std::printf("own model: %d numbers\n", static_cast<int>(Row::size())); }
