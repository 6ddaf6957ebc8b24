#pragma once
/// The whole oneDNN backend: every operation in float. Products in bf16 are bf16.hpp, beside it.
#include "radapt/backend/onednn/activation.hpp"
#include "radapt/backend/onednn/attention.hpp"
#include "radapt/backend/onednn/columns.hpp"
#include "radapt/backend/onednn/dropout.hpp"
#include "radapt/backend/onednn/elementwise.hpp"
#include "radapt/backend/onednn/embed.hpp"
#include "radapt/backend/onednn/linear.hpp"
#include "radapt/backend/onednn/loss.hpp"
#include "radapt/backend/onednn/norm.hpp"
#include "radapt/backend/onednn/orthogonality.hpp"
#include "radapt/backend/onednn/pool.hpp"
#include "radapt/backend/onednn/update.hpp"
