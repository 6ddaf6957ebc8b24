#pragma once
/// The whole CUDA backend: every operation in float.
#include "radapt/backend/cuda/cuda.hpp"
