#pragma once
/// The whole CUDA backend: every operation in float, and those of a tower in bf16.
#include "radapt/backend/cuda/cuda.hpp"
