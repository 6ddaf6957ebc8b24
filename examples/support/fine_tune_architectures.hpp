#pragma once
#include "architectures.hpp"
namespace example {
using FineTuneArchitectures = ArchitectureList<Known<"SmallClip", SmallClip>>;
}
