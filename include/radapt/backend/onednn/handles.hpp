#pragma once
/// What every call into oneDNN needs: owned handles, and an error for a status.
///
/// radapt uses oneDNN's C interface. That is what its versions 2.6 and 3.x spell almost alike, and what nvcc can read
/// too: nvcc 13.0 stops with an internal error in the C++ header of 2.6.
#include <dnnl.h>

#include <memory>
#include <string>
#include <type_traits>

#include "radapt/core/error.hpp"

namespace radapt::detail::cpu {

/// Fails with one sentence unless `status` is success. `what` completes "oneDNN could not ...".
inline void check_status(dnnl_status_t status, const char* what) {
  if (status == dnnl_success) { return; }
  fail({.what = std::string{"oneDNN could not "} + what,
        .expected = "status 0",
        .got = "status " + std::to_string(static_cast<int>(status)),
        .hint = "Run with ONEDNN_VERBOSE=all in the environment to see oneDNN's own account"});
}

template <auto Destroy>
struct Destroyer {
  template <class T>
  void operator()(T* handle) const {
    Destroy(handle);
  }
};
template <class Handle, auto Destroy>
using Owned = std::unique_ptr<std::remove_pointer_t<Handle>, Destroyer<Destroy>>;

using OwnedEngine = Owned<dnnl_engine_t, &dnnl_engine_destroy>;
using OwnedStream = Owned<dnnl_stream_t, &dnnl_stream_destroy>;
using OwnedPrimitive = Owned<dnnl_primitive_t, &dnnl_primitive_destroy>;
using OwnedPrimitiveDescription = Owned<dnnl_primitive_desc_t, &dnnl_primitive_desc_destroy>;
using OwnedMemory = Owned<dnnl_memory_t, &dnnl_memory_destroy>;

}  // namespace radapt::detail::cpu
