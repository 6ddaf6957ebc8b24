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

/// Throws radapt's error with the runtime's words for a failure of `what`.
inline void check_runtime(cudaError_t status, const char* what) {
  if (status == cudaSuccess) { return; }
  fail({.what = std::string("cuda: ") + what,
        .expected = "success",
        .got = cudaGetErrorName(status),
        .hint = std::string(cudaGetErrorString(status)) +
                (status == cudaErrorMemoryAllocation ? ". Take smaller micro-batches" : "")});
}

namespace runtime {

using Stream = cudaStream_t;
using Event = cudaEvent_t;
enum class StreamOf { launches, copies };

/// The name of the current device. Error: none, or one that the kernels are not compiled for.
inline std::string device_name() {
  int count = 0;
  check_runtime(cudaGetDeviceCount(&count), "look for a GPU");
  int device = 0;
  check_runtime(cudaGetDevice(&device), "ask for the current GPU");
  cudaDeviceProp facts{};
  check_runtime(cudaGetDeviceProperties(&facts, device), "ask what the GPU is");
  if (facts.major < 8 || facts.managedMemory == 0) {
    fail({.what = std::string("cuda: ") + facts.name,
          .expected = "compute capability 8.0 or newer, and memory that host and GPU share",
          .got = std::to_string(facts.major) + "." + std::to_string(facts.minor) +
                 (facts.managedMemory == 0 ? " without such memory" : ""),
          .hint = "Use the backend onednn"});
  }
  return facts.name;
}
inline Stream make_stream(StreamOf = StreamOf::launches) {
  Stream stream = nullptr;
  check_runtime(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "make a stream");
  return stream;
}
inline void destroy_stream(Stream stream) { (void)cudaStreamDestroy(stream); }
inline void synchronize(Stream stream) { check_runtime(cudaStreamSynchronize(stream), "wait for kernels"); }

/// A point in a stream, for others to wait for: the one that was recorded last, or none.
inline Event make_event() {
  Event event = nullptr;
  check_runtime(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "make an event");
  return event;
}
inline void destroy_event(Event event) { (void)cudaEventDestroy(event); }
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
inline void give_back_device_memory(void* memory) { (void)cudaFree(memory); }

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
inline void destroy_graph(Graph graph) { (void)cudaGraphDestroy(graph); }
inline GraphExec instantiate(Graph graph) {
  GraphExec made = nullptr;
  check_runtime(cudaGraphInstantiateWithFlags(&made, graph, 0), "prepare a step");
  return made;
}
inline void destroy_graph_exec(GraphExec made) { (void)cudaGraphExecDestroy(made); }
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

/// Zeroed, and on the device until the host touches it.
inline void* take_shared_memory(Index bytes) {
  void* memory = nullptr;
  check_runtime(cudaMallocManaged(&memory, bytes), "take shared memory");
  check_runtime(cudaMemset(memory, 0, bytes), "clear shared memory");
  check_runtime(cudaDeviceSynchronize(), "clear shared memory");
  return memory;
}
inline void give_back_shared_memory(void* memory) { (void)cudaFree(memory); }

/// Zeroed, of the host, pinned and mapped into the device's addresses.
inline void* take_host_memory(Index bytes) {
  void* memory = nullptr;
  check_runtime(cudaHostAlloc(&memory, bytes, cudaHostAllocPortable | cudaHostAllocMapped), "take pinned memory");
  std::memset(memory, 0, bytes);
  return memory;
}
inline void give_back_host_memory(void* memory) { (void)cudaFreeHost(memory); }

/// `from` may be written again as soon as this returns: the runtime has copied pageable memory by then.
inline void copy_to_device(void* to, const void* from, Index bytes, Stream stream) {
  check_runtime(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream), "copy to the GPU");
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
