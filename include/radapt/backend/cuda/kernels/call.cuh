#pragma once
/// One call of an operation: memory that lasts as long as the call, and operands that kernels can follow.
#include <type_traits>
#include <vector>

#include "radapt/backend/cuda/kernels/device.cuh"
#include "radapt/core/view.hpp"
#include "radapt/op/kept_rows.hpp"

namespace radapt::detail::gpu {

/// Every pointer of an operation goes through `in`, `out` or `updated` before a kernel sees it: memory of the library
/// is handed on as it is, host memory is exchanged for device memory. `done` ends the call.
class Call {
 public:
  explicit Call(cuda& backend)
      : device_(backend.device()), on_device_(device_.number()), before_(device_.workspace().mark()) {}
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  ~Call() { device_.workspace().release(before_); }

  Device& device() { return device_; }
  runtime::Stream stream() const { return device_.stream(); }

  /// Device memory for n elements, not cleared.
  template <class T>
  T* workspace(Index n) {
    return n == 0 ? nullptr : reinterpret_cast<T*>(device_.workspace().take(n * sizeof(T)));
  }

  /// n elements that are only read.
  template <class T>
  const T* in(const T* data, Index n) {
    if (n == 0 || is_visible(data)) { return data; }
    if (std::is_integral_v<T> && n * sizeof(T) <= Mirrors::most_bytes) {
      return reinterpret_cast<const T*>(device_.mirrors().of(data, n * sizeof(T), device_.launches()));
    }
    T* const copy = workspace<T>(n);
    device_.launches().copy_to_device(copy, data, n * sizeof(T));
    return copy;
  }
  /// n elements, all of which are written.
  template <class T>
  T* out(T* data, Index n) {
    if (n == 0 || is_visible(data)) { return data; }
    T* const copy = workspace<T>(n);
    returned_.push_back({data, copy, n * sizeof(T)});
    return copy;
  }
  /// n elements that are read and written, or written in part.
  template <class T>
  T* updated(T* data, Index n) {
    T* const copy = out(data, n);
    if (copy != data) { device_.launches().copy_to_device(copy, data, n * sizeof(T)); }
    return copy;
  }

  template <class T>
  Matrix<const T> in(Matrix<const T> m) {
    return {in(m.data, m.size()), m.rows, m.columns};
  }
  template <class T>
  Matrix<T> out(Matrix<T> m) {
    return {out(m.data, m.size()), m.rows, m.columns};
  }
  template <class T>
  Matrix<T> updated(Matrix<T> m) {
    return {updated(m.data, m.size()), m.rows, m.columns};
  }
  template <class T>
  Vector<const T> in(Vector<const T> v) {
    return {in(v.data, v.size), v.size};
  }
  template <class T>
  Vector<T> out(Vector<T> v) {
    return {out(v.data, v.size), v.size};
  }
  template <class T>
  Vector<T> updated(Vector<T> v) {
    return {updated(v.data, v.size), v.size};
  }
  Sequences in(Sequences s) {
    s.offsets = in(s.offsets, s.count + 1);
    s.pooled = in(s.pooled, s.count);
    return s;
  }
  /// The longest sequence is asked for on the host, where the offsets are read before they are exchanged.
  op::KeptRows in(op::KeptRows k) {
    if (k.mask == nullptr) { return k; }
    if (!is_visible(k.mask)) { k.mask = in(k.mask, op::mask_entries(k.granularity, k.sequences)); }
    k.sequences = in(k.sequences);
    return k;
  }

  /// Runs a kernel. `name` is the operation's.
  template <class... Parameters, class... Arguments>
  void run(const char* name, dim3 blocks, unsigned threads, void (*kernel)(Parameters...),
           const Arguments&... arguments) {
    if (blocks.x == 0 || blocks.y == 0 || blocks.z == 0) { return; }
    launch_kernel(stream(), name, blocks, threads, kernel, arguments...);
  }

  /// Copies back what belongs to the host, and waits for it.
  void done() {
    if (returned_.empty()) { return; }
    device_.launches().wait([&] {
      for (const Returned& r : returned_) { runtime::copy_to_host(r.host, r.copy, r.bytes, stream()); }
    });
    returned_.clear();
  }

 private:
  struct Returned {
    void* host;
    const void* copy;
    Index bytes;
  };
  static bool is_visible(const void* data) { return data == nullptr || VisibleMemory::all().contains(data); }

  Device& device_;
  OnDevice on_device_;
  Workspace::Mark before_;
  std::vector<Returned> returned_;
};

/// Blocks that take `threads` of n items each. A grid has fewer than 2^31: more rows than a GPU's memory holds.
inline dim3 blocks_for(Index n, Index threads) { return dim3(static_cast<unsigned>((n + threads - 1) / threads)); }

}  // namespace radapt::detail::gpu
