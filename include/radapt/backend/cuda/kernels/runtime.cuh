#pragma once
/// The little that the backend asks of the CUDA runtime, with every answer checked.
///
/// The kernels are written in the part of CUDA C++ that a plain C++ compiler can read too. A build that defines
/// RADAPT_CUDA_ON_HOST to a header of its own supplies this interface and the built-in variables from there: radapt's
/// tests run every kernel so, without a GPU.
#ifdef RADAPT_CUDA_ON_HOST
#include RADAPT_CUDA_ON_HOST
#else
#include <cublasLt.h>
#include <cuda_runtime.h>

#include <cstring>
#include <string>

#include "radapt/core/error.hpp"
#include "radapt/core/shape.hpp"

/// Before a loop of a kernel that must become straight code, so that its arrays are registers.
#define RADAPT_UNROLL _Pragma("unroll")
/// Before one that is long enough as it is: unrolled, it would want more registers.
#define RADAPT_KEEP_LOOP _Pragma("unroll 1")

namespace radapt::detail::gpu {

/// Throws radapt's error with the runtime's words for a failure of `what`. The runtime forgets it: the next launch is
/// not to blame.
inline void check_runtime(cudaError_t status, const char* what) {
  if (status == cudaSuccess) { return; }
  (void)cudaGetLastError();
  fail({.what = std::string("cuda: ") + what,
        .expected = "success",
        .got = cudaGetErrorName(status),
        .hint = std::string(cudaGetErrorString(status)) +
                (status == cudaErrorMemoryAllocation ? ". Take smaller micro-batches" : "")});
}

/// On the way out, where nobody could do anything about a failure.
inline void ignore_failure(cudaError_t status) {
  if (status != cudaSuccess) { (void)cudaGetLastError(); }
}

/// Is asked for to see whether the kernels are compiled for a GPU.
static __global__ void no_kernel() {}

namespace runtime {

using Stream = cudaStream_t;
using Event = cudaEvent_t;
enum class StreamOf { launches, copies };

/// The GPU that calls of this thread go to.
inline int current_device() {
  int device = 0;
  check_runtime(cudaGetDevice(&device), "ask for the current GPU");
  return device;
}
inline void set_device(int device) { check_runtime(cudaSetDevice(device), "go to a GPU"); }
inline void return_to_device(int device) noexcept { ignore_failure(cudaSetDevice(device)); }

/// The name of the current device. Error: none, or one that the kernels do not run on.
inline std::string device_name() {
  int count = 0;
  check_runtime(cudaGetDeviceCount(&count), "look for a GPU");
  cudaDeviceProp facts{};
  check_runtime(cudaGetDeviceProperties(&facts, current_device()), "ask what the GPU is");
  const std::string capability = std::to_string(facts.major) + "." + std::to_string(facts.minor);
  const bool shares = facts.managedMemory != 0 && facts.concurrentManagedAccess != 0;
  if (facts.major < 8 || !shares) {
    fail({.what = std::string("cuda: ") + facts.name,
          .expected = "compute capability 8.0 or newer, and memory that host and GPU read at the same time, as Linux "
                      "beside a GPU of its own has it",
          .got = capability + (shares ? "" : " without such memory"),
          .hint = "Use the backend onednn"});
  }
  cudaFuncAttributes attributes{};
  const cudaError_t compiled = cudaFuncGetAttributes(&attributes, no_kernel);
  if (compiled != cudaSuccess) {
    ignore_failure(compiled);
    fail({.what = std::string("cuda: ") + facts.name,
          .expected = "kernels that are compiled for compute capability " + capability,
          .got = cudaGetErrorName(compiled),
          .hint = "Add it to RADAPT_CUDA_ARCHITECTURES"});
  }
  return facts.name;
}
inline Stream make_stream(StreamOf = StreamOf::launches) {
  Stream stream = nullptr;
  check_runtime(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "make a stream");
  return stream;
}
inline void destroy_stream(Stream stream) { ignore_failure(cudaStreamDestroy(stream)); }
inline void synchronize(Stream stream) { check_runtime(cudaStreamSynchronize(stream), "wait for kernels"); }

/// A point in a stream, for others to wait for: the one that was recorded last, or none.
inline Event make_event() {
  Event event = nullptr;
  check_runtime(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "make an event");
  return event;
}
inline void destroy_event(Event event) { ignore_failure(cudaEventDestroy(event)); }
inline void record(Event event, Stream stream) { check_runtime(cudaEventRecord(event, stream), "record an event"); }
inline void wait_for(Stream stream, Event event) {
  check_runtime(cudaStreamWaitEvent(stream, event, 0), "wait for another stream");
}
inline void synchronize(Event event) { check_runtime(cudaEventSynchronize(event), "wait for a copy"); }

inline void* take_device_memory(Index bytes) {
  void* memory = nullptr;
  check_runtime(cudaMalloc(&memory, bytes), "take device memory");
  return memory;
}
inline void give_back_device_memory(void* memory) { ignore_failure(cudaFree(memory)); }
/// Zeroes memory of the device and waits for that alone: a wait for everything would spoil what is recorded elsewhere.
inline void clear_new_memory(void* memory, Index bytes) {
  const Stream stream = make_stream();
  const cudaError_t begun = cudaMemsetAsync(memory, 0, bytes, stream);
  const cudaError_t done = cudaStreamSynchronize(stream);
  destroy_stream(stream);
  check_runtime(begun != cudaSuccess ? begun : done, "clear memory");
}

/// Zeroed, for what the host never looks at.
inline void* take_cleared_device_memory(Index bytes) {
  void* const memory = take_device_memory(bytes);
  clear_new_memory(memory, bytes);
  return memory;
}
inline void give_back_cleared_device_memory(void* memory) { give_back_device_memory(memory); }

/// What is launched on the stream from here to `end_capture` does not run, but becomes a graph. Memory may be taken
/// meanwhile.
using Graph = cudaGraph_t;
using GraphExec = cudaGraphExec_t;
inline void begin_capture(Stream stream) {
  check_runtime(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed), "begin to record a step");
}
inline Graph end_capture(Stream stream) {
  Graph graph = nullptr;
  check_runtime(cudaStreamEndCapture(stream, &graph), "record a step");
  return graph;
}
inline void destroy_graph(Graph graph) { ignore_failure(cudaGraphDestroy(graph)); }
/// Ends a capture, of whatever is left of it.
inline void drop_capture(Stream stream) noexcept {
  Graph graph = nullptr;
  ignore_failure(cudaStreamEndCapture(stream, &graph));
  if (graph != nullptr) { destroy_graph(graph); }
}
inline GraphExec instantiate(Graph graph) {
  GraphExec made = nullptr;
  check_runtime(cudaGraphInstantiateWithFlags(&made, graph, 0), "prepare a step");
  return made;
}
inline void destroy_graph_exec(GraphExec made) { ignore_failure(cudaGraphExecDestroy(made)); }
/// Whether `made` could become what `graph` is. If not, it is of no use any more.
inline bool update(GraphExec made, Graph graph) {
#if CUDART_VERSION >= 12000
  cudaGraphExecUpdateResultInfo result{};
  const cudaError_t status = cudaGraphExecUpdate(made, graph, &result);
#else
  cudaGraphNode_t node = nullptr;
  cudaGraphExecUpdateResult result{};
  const cudaError_t status = cudaGraphExecUpdate(made, graph, &node, &result);
#endif
  if (status == cudaErrorGraphExecUpdateFailure) { return (void)cudaGetLastError(), false; }
  check_runtime(status, "change a step");
  return true;
}
inline void launch_graph(GraphExec made, Stream stream) { check_runtime(cudaGraphLaunch(made, stream), "run a step"); }

/// Zeroed, and on the device until the host touches it. More than the device has free would be given, too, and moved
/// back and forth from then on: it is refused, as other memory is.
inline void* take_shared_memory(Index bytes) {
  std::size_t free = 0, total = 0;
  check_runtime(cudaMemGetInfo(&free, &total), "ask for free memory");
  check_runtime(bytes > free ? cudaErrorMemoryAllocation : cudaSuccess, "take shared memory");
  void* memory = nullptr;
  check_runtime(cudaMallocManaged(&memory, bytes), "take shared memory");
  clear_new_memory(memory, bytes);
  return memory;
}
inline void give_back_shared_memory(void* memory) { ignore_failure(cudaFree(memory)); }

/// Zeroed, of the host, pinned and mapped into the device's addresses.
inline void* take_host_memory(Index bytes) {
  void* memory = nullptr;
  check_runtime(cudaHostAlloc(&memory, bytes, cudaHostAllocPortable | cudaHostAllocMapped), "take pinned memory");
  std::memset(memory, 0, bytes);
  return memory;
}
inline void give_back_host_memory(void* memory) { ignore_failure(cudaFreeHost(memory)); }

/// `from`, ordinary memory of the host, may be written again as soon as this returns: the runtime has copied it by
/// then, but where the GPU reads such memory itself.
inline void copy_to_device(void* to, const void* from, Index bytes, Stream stream) {
  check_runtime(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream), "copy to the GPU");
  int reads_it_itself = 0;
  check_runtime(cudaDeviceGetAttribute(&reads_it_itself, cudaDevAttrPageableMemoryAccess, current_device()),
                "ask what the GPU reads");
  if (reads_it_itself != 0) { synchronize(stream); }
}
/// From pinned memory: returns before the copy is done, and reads `from` until then.
inline void copy_input_to_device(void* to, const void* from, Index bytes, Stream stream) {
  check_runtime(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream), "copy input to the GPU");
}
inline void copy_to_host(void* to, const void* from, Index bytes, Stream stream) {
  check_runtime(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream), "copy from the GPU");
}
inline void clear(void* memory, Index bytes, Stream stream) {
  check_runtime(cudaMemsetAsync(memory, 0, bytes, stream), "clear memory");
}

}  // namespace runtime

/// Runs kernel(arguments...) on `blocks` blocks of `threads` threads. `name` is for the error message.
template <class... Parameters, class... Arguments>
void launch_kernel(runtime::Stream stream, const char* name, dim3 blocks, unsigned threads,
                   void (*kernel)(Parameters...), const Arguments&... arguments) {
  kernel<<<blocks, threads, 0, stream>>>(arguments...);
  check_runtime(cudaGetLastError(), name);
}

}  // namespace radapt::detail::gpu
#endif
