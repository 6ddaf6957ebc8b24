# How radapt's own executables are compiled. Nothing here reaches a project that uses radapt.

if(PROJECT_IS_TOP_LEVEL)
  set(CMAKE_CXX_EXTENSIONS OFF)
  if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release, RelWithDebInfo or MinSizeRel" FORCE)
  endif()
  find_program(RADAPT_CCACHE ccache DOC "ccache, or empty to compile without it")
  foreach(language IN ITEMS CXX CUDA)
    if(RADAPT_CCACHE AND NOT CMAKE_${language}_COMPILER_LAUNCHER)
      set(CMAKE_${language}_COMPILER_LAUNCHER "${RADAPT_CCACHE}")
    endif()
  endforeach()
endif()

add_library(radapt_own_options INTERFACE)
target_compile_options(
  radapt_own_options
  INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wpedantic;-Wshadow;-Wconversion;-Wsign-conversion>
            # g++ collects its own garbage from 128 MB on, which is a tenth of its time on sources that need 600 MB anyway.
            $<$<COMPILE_LANG_AND_ID:CXX,GNU>:--param=ggc-min-heapsize=500000>
            # g++ 12 warns of overlapping copies inside std::string's own operator+ (GCC bug 105651).
            $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-restrict>
            $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<BOOL:${RADAPT_WARNINGS_AS_ERRORS}>>:-Werror>)
if(RADAPT_SANITIZE)
  target_compile_options(radapt_own_options INTERFACE -fsanitize=${RADAPT_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(radapt_own_options INTERFACE -fsanitize=${RADAPT_SANITIZE})
endif()

# radapt_own_target(NAME): warnings, sanitizers, and every part of radapt that was asked for.
function(radapt_own_target target)
  target_link_libraries(${target} PRIVATE radapt::radapt radapt_own_options)
  if(RADAPT_WITH_ONEDNN)
    target_link_libraries(${target} PRIVATE radapt::onednn)
  endif()
  if(RADAPT_WITH_IO)
    target_link_libraries(${target} PRIVATE radapt::io)
  endif()
endfunction()

# radapt_vectorised(NAME): for tests of kernels in a debug build, whose loops stay out of vector registers at -Og.
function(radapt_vectorised target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Debug>:-O1>)
endfunction()

# radapt_optimised(NAME): what examples and benchmarks add: full optimisation, but in a debug build, where they only have to run.
function(radapt_optimised target)
  # g++ 12 warns of its own AVX-512 intrinsics, which begin with an undefined register (GCC bug 105593).
  target_compile_options(${target} PRIVATE $<$<NOT:$<CONFIG:Debug>>:-O3> $<$<BOOL:${RADAPT_NATIVE}>:-march=native>
                                           "$<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized;-Wno-uninitialized>")
endfunction()
