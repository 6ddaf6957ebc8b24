#pragma once
/// Configurations of CLIP checkpoints: read, inferred from tensors, compared with a type, written.
#include "radapt/io/clip_config_data.hpp"   // IWYU pragma: export
#include "radapt/io/clip_config_infer.hpp"  // IWYU pragma: export
#include "radapt/io/clip_config_read.hpp"   // IWYU pragma: export
#include "radapt/io/clip_config_write.hpp"  // IWYU pragma: export
#include "radapt/io/preprocess_config.hpp"  // IWYU pragma: export
