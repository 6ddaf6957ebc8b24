#pragma once
/// The whole reference backend.
#include "radapt/backend/reference/activation.hpp"
#include "radapt/backend/reference/attention.hpp"
#include "radapt/backend/reference/columns.hpp"
#include "radapt/backend/reference/dropout.hpp"
#include "radapt/backend/reference/elementwise.hpp"
#include "radapt/backend/reference/embed.hpp"
#include "radapt/backend/reference/linear.hpp"
#include "radapt/backend/reference/loss.hpp"
#include "radapt/backend/reference/norm.hpp"
#include "radapt/backend/reference/orthogonality.hpp"
#include "radapt/backend/reference/pool.hpp"
#include "radapt/backend/reference/update.hpp"
