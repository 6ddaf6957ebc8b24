# Every header compiles alone and included twice: one generated source per header, compiled by the configured compiler; and
# all of them together in one, where two headers that define the same name are found out.
# With nvcc, the same headers again as CUDA, in two sources, since nvcc needs seconds to start and more for each time Eigen is read.

file(GLOB_RECURSE headers CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/include/radapt/*.hpp")
list(SORT headers)
radapt_keep_available(headers)

set(host_sources "")
set(folders "")
foreach(header IN LISTS headers)
  file(RELATIVE_PATH name "${PROJECT_SOURCE_DIR}/include" "${header}")
  set(line "#include \"${name}\"\n")
  set(source "${CMAKE_CURRENT_BINARY_DIR}/header_tests/${name}.cpp")
  file(CONFIGURE OUTPUT "${source}" CONTENT "${line}${line}")
  list(APPEND host_sources "${source}")
  string(APPEND host_content "${line}")

  get_filename_component(folder "${name}" DIRECTORY)
  list(APPEND folders "${folder}")
  string(APPEND content_of_${folder} "${line}${line}")
endforeach()

set(source "${CMAKE_CURRENT_BINARY_DIR}/header_tests/all_headers_together.cpp")
file(CONFIGURE OUTPUT "${source}" CONTENT "${host_content}")
add_library(radapt_header_tests OBJECT ${host_sources} "${source}")
radapt_own_target(radapt_header_tests)
target_compile_options(radapt_header_tests PRIVATE -O0 -g0)
add_test(NAME headers.${CMAKE_CXX_COMPILER_ID}
         COMMAND "${CMAKE_COMMAND}" --build "${PROJECT_BINARY_DIR}" --target radapt_header_tests)
set_tests_properties(headers.${CMAKE_CXX_COMPILER_ID} PROPERTIES RUN_SERIAL TRUE LABELS headers)

# The CUDA compiler is optional: without it the row headers.nvcc is listed by CTest as not run.
set(nvcc_absent "RADAPT_TEST_NVCC=OFF")
if(RADAPT_TEST_NVCC)
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES "80;90")
  endif()
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    set(nvcc_absent "")
  elseif(RADAPT_TEST_NVCC STREQUAL "AUTO")
    set(nvcc_absent "no CUDA compiler was found")
  else()
    message(FATAL_ERROR "radapt: RADAPT_TEST_NVCC is ON, but no CUDA compiler was found. Put nvcc on PATH, set CUDACXX, or set RADAPT_TEST_NVCC=AUTO.")
  endif()
endif()

if(nvcc_absent)
  message(STATUS "Header test: nvcc compiles nothing: ${nvcc_absent}")
  add_test(NAME headers.nvcc COMMAND "${CMAKE_COMMAND}" -E false)
  set_tests_properties(headers.nvcc PROPERTIES DISABLED TRUE LABELS headers)
else()
  list(REMOVE_DUPLICATES folders)
  list(LENGTH folders folder_count)
  math(EXPR folders_per_source "(${folder_count} + 1) / 2")
  set(nvcc_sources "")
  set(content "")
  set(folders_in_source 0)
  foreach(folder IN LISTS folders ITEMS end)
    if(folder STREQUAL "end" OR folders_in_source EQUAL folders_per_source)
      list(LENGTH nvcc_sources number)
      set(source "${CMAKE_CURRENT_BINARY_DIR}/header_tests/headers_${number}.cu")
      file(CONFIGURE OUTPUT "${source}" CONTENT "${content}")
      list(APPEND nvcc_sources "${source}")
      set(content "")
      set(folders_in_source 0)
    endif()
    string(APPEND content "${content_of_${folder}}")
    math(EXPR folders_in_source "${folders_in_source} + 1")
  endforeach()
  add_library(radapt_header_tests_nvcc OBJECT ${nvcc_sources})
  target_link_libraries(radapt_header_tests_nvcc PRIVATE radapt::radapt $<$<BOOL:${RADAPT_WITH_ONEDNN}>:radapt::onednn>
                                                         $<$<BOOL:${RADAPT_WITH_IO}>:radapt::io>)
  # 20012 and 20015: Eigen 3.4 marks defaulted functions and callers of std:: functions __host__ __device__, in its own headers.
  # 554: a View of const elements has a conversion to itself, which its requires-clause takes away; nvcc looks only at the first.
  target_compile_options(
    radapt_header_tests_nvcc
    PRIVATE -std=c++20 -O0 -Xcompiler=-O0,-Wall,-Wextra
            -Xcudafe=--diag_suppress=20012,--diag_suppress=20015,--diag_suppress=554
            $<$<BOOL:${RADAPT_WARNINGS_AS_ERRORS}>:-Werror=all-warnings>)
  # One architecture: what is tested is that the headers are read, and they hold no device code.
  list(GET CMAKE_CUDA_ARCHITECTURES -1 newest)
  set_target_properties(radapt_header_tests_nvcc PROPERTIES CUDA_ARCHITECTURES ${newest})
  add_test(NAME headers.nvcc COMMAND "${CMAKE_COMMAND}" --build "${PROJECT_BINARY_DIR}" --target radapt_header_tests_nvcc)
  set_tests_properties(headers.nvcc PROPERTIES RUN_SERIAL TRUE LABELS headers)
endif()
