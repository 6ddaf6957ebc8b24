# cmake -D WAY=add_subdirectory|find_package|fetch_content|no_such_component|pkg_config|cuda -D SOURCE=... -D BUILD=... -D WORK=...
#       -D COMPILER=... -D CUDA_COMPILER=... -D GENERATOR=... -D ONEDNN_ROOT=... -P run.cmake
# Configures, builds and runs a project that uses radapt in one way, from an empty folder.
file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}")
set(prefix "${WORK}/prefix")
set(project "${SOURCE}/tests/downstream/${WAY}")
set(configure "${CMAKE_COMMAND}" -G "${GENERATOR}" -B "${WORK}/build" "-DCMAKE_CXX_COMPILER=${COMPILER}" "-DRADAPT_SOURCE=${SOURCE}"
              "-DRADAPT_ONEDNN_ROOT=${ONEDNN_ROOT}" "-DCMAKE_PREFIX_PATH=${prefix}")
set(expected_output "expected an exception, got one; radapt ${VERSION}")

function(step)
  execute_process(COMMAND ${ARGV} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

function(require_output)
  execute_process(COMMAND ${ARGV} OUTPUT_VARIABLE output COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
  if(NOT output MATCHES "${expected_output}")
    message(FATAL_ERROR "the program printed '${output}', expected '${expected_output}'")
  endif()
endfunction()

if(WAY MATCHES "^(find_package|no_such_component|pkg_config|cuda)$")
  step("${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${prefix}")
endif()

if(WAY STREQUAL "no_such_component")
  # One message that names the component, for one that radapt never had and for one whose libraries are absent.
  foreach(case IN ITEMS "cuda_of_tomorrow|" "onednn|-DRADAPT_ONEDNN_ROOT=${WORK}/holds_no_onednn")
    string(REGEX MATCH "(.*)\\|(.*)" case "${case}")
    set(component "${CMAKE_MATCH_1}")
    set(option "${CMAKE_MATCH_2}")
    execute_process(COMMAND ${configure} -S "${SOURCE}/tests/downstream/find_package" "-DCOMPONENTS=${component}" ${option}
                    RESULT_VARIABLE failed OUTPUT_VARIABLE output ERROR_VARIABLE errors)
    string(REGEX MATCHALL "CMake Error" count "${errors}")
    list(LENGTH count count)
    if(NOT failed OR NOT count EQUAL 1 OR NOT errors MATCHES "component '${component}' is not available")
      message(FATAL_ERROR "expected one error about the component '${component}', got ${count}:\n${output}${errors}")
    endif()
  endforeach()
elseif(WAY STREQUAL "pkg_config")
  find_program(pkg_config pkg-config REQUIRED)
  execute_process(COMMAND "${CMAKE_COMMAND}" -E env "PKG_CONFIG_PATH=${prefix}/share/pkgconfig" "${pkg_config}" --cflags radapt
                  OUTPUT_VARIABLE flags OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  separate_arguments(flags UNIX_COMMAND "${flags}")
  step("${COMPILER}" -std=c++20 ${flags} "${SOURCE}/tests/downstream/main.cpp" -o "${WORK}/consumer")
  require_output("${WORK}/consumer")
elseif(WAY STREQUAL "cuda")
  # For one architecture: that the kernels compile for all of them is another test.
  step(${configure} -S "${project}" "-DCMAKE_CUDA_COMPILER=${CUDA_COMPILER}" "-DRADAPT_CUDA_ARCHITECTURES=80-real")
  step("${CMAKE_COMMAND}" --build "${WORK}/build")
  set(expected_output "^(no )?device: [^\n]+\n$")
  require_output("${WORK}/build/consumer")
else()
  step(${configure} -S "${project}" "-DCOMPONENTS=onednn\\;io")
  step("${CMAKE_COMMAND}" --build "${WORK}/build")
  require_output("${WORK}/build/consumer")
  if(EXISTS "${WORK}/build/own_model")
    step("${WORK}/build/own_model")
  endif()
endif()
