# Targets for people who change radapt: format (rewrites), format_check and tidy (both only look). Nothing builds them by itself.
if(NOT PROJECT_IS_TOP_LEVEL)
  return()
endif()

find_program(RADAPT_CLANG_FORMAT NAMES clang-format-14 clang-format)
mark_as_advanced(RADAPT_CLANG_FORMAT)
if(RADAPT_CLANG_FORMAT)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS include/*.hpp include/*.cu include/*.cuh tests/*.hpp tests/*.cpp examples/*.hpp examples/*.cpp
       bench/*.hpp bench/*.cpp)
  add_custom_target(format COMMAND "${RADAPT_CLANG_FORMAT}" -i ${sources} WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}" VERBATIM)
  add_custom_target(format_check COMMAND "${RADAPT_CLANG_FORMAT}" --dry-run --Werror ${sources}
                    WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}" VERBATIM)
endif()

# The one source that includes every header.
find_program(RADAPT_CLANG_TIDY NAMES clang-tidy-14 clang-tidy)
mark_as_advanced(RADAPT_CLANG_TIDY)
if(RADAPT_CLANG_TIDY AND RADAPT_BUILD_TESTS AND CMAKE_EXPORT_COMPILE_COMMANDS)
  add_custom_target(tidy COMMAND "${RADAPT_CLANG_TIDY}" --quiet -p "${PROJECT_BINARY_DIR}"
                                 "${PROJECT_BINARY_DIR}/tests/header_tests/all_headers_together.cpp"
                    WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}" VERBATIM)
endif()
