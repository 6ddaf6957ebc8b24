#pragma once
/// Checkpoints of other projects: their tensor names, reading them into ours, and writing ours as theirs.
#include "radapt/io/name_assembly.hpp"  // IWYU pragma: export
#include "radapt/io/name_export.hpp"    // IWYU pragma: export
#include "radapt/io/name_map.hpp"       // IWYU pragma: export
