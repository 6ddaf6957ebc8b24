# radapt::onednn: what the headers of radapt/backend/onednn need. Included by radapt's own build and by the installed package.
# Sets radapt_onednn_FOUND, or radapt_onednn_MISSING: what is missing and where to get it.
set(radapt_onednn_FOUND FALSE)

# oneDNN's own package describes it best, but one built with a GPU runtime, as Debian's is, stops the configuration where the
# OpenCL development files are absent. radapt does not use them: there, and where oneDNN has no CMake package, the header and
# the library are looked up by name.
if(RADAPT_ONEDNN_ROOT)
  find_package(dnnl QUIET CONFIG PATHS "${RADAPT_ONEDNN_ROOT}" NO_DEFAULT_PATH)
else()
  set(CMAKE_REQUIRED_QUIET TRUE)
  find_package(OpenCL QUIET)
  unset(CMAKE_REQUIRED_QUIET)
  if(OpenCL_FOUND)
    find_package(dnnl QUIET CONFIG)
  endif()
endif()
if(NOT TARGET DNNL::dnnl AND NOT RADAPT_ONEDNN_ROOT)
  find_path(RADAPT_ONEDNN_INCLUDE_DIR dnnl.hpp)
  find_library(RADAPT_ONEDNN_LIBRARY dnnl)
  mark_as_advanced(RADAPT_ONEDNN_INCLUDE_DIR RADAPT_ONEDNN_LIBRARY)
  if(RADAPT_ONEDNN_INCLUDE_DIR AND RADAPT_ONEDNN_LIBRARY)
    add_library(DNNL::dnnl UNKNOWN IMPORTED ${radapt_target_scope})
    set_target_properties(DNNL::dnnl PROPERTIES IMPORTED_LOCATION "${RADAPT_ONEDNN_LIBRARY}"
                                                INTERFACE_INCLUDE_DIRECTORIES "${RADAPT_ONEDNN_INCLUDE_DIR}")
  endif()
endif()
if(NOT TARGET DNNL::dnnl)
  if(RADAPT_ONEDNN_ROOT)
    set(radapt_onednn_MISSING "RADAPT_ONEDNN_ROOT=${RADAPT_ONEDNN_ROOT} holds no oneDNN: lib/cmake/dnnl/dnnl-config.cmake was expected below it")
  else()
    set(radapt_onednn_MISSING "oneDNN was not found. Debian: apt-get install libdnnl-dev; elsewhere: set RADAPT_ONEDNN_ROOT to its install prefix")
  endif()
  return()
endif()

# g++'s OpenMP is the runtime that Debian's oneDNN uses. clang's is another one, and two in one process fight over the
# processors: there radapt's own loops stay serial, while oneDNN's kernels still use every core.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  find_package(OpenMP QUIET COMPONENTS CXX)
  if(NOT OpenMP_CXX_FOUND)
    set(radapt_onednn_MISSING "OpenMP for ${CMAKE_CXX_COMPILER} was not found")
    return()
  endif()
endif()

if(NOT TARGET radapt::onednn)
  add_library(radapt::onednn INTERFACE IMPORTED ${radapt_target_scope})
  target_link_libraries(radapt::onednn INTERFACE radapt::radapt DNNL::dnnl)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_link_libraries(radapt::onednn INTERFACE OpenMP::OpenMP_CXX)
  endif()
endif()
set(radapt_onednn_FOUND TRUE)
