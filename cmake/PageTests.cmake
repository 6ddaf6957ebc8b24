# The code that pages show compiles: pages.NAME for every page that holds complete C++. Flags as those of the diagnostics.
if(NOT RADAPT_WITH_ONEDNN OR NOT RADAPT_WITH_IO)
  message(STATUS "The code of the pages is not compiled: it needs RADAPT_WITH_ONEDNN and RADAPT_WITH_IO")
  return()
endif()
foreach(page IN ITEMS README.md docs/add-a-layer.md docs/add-a-loss.md docs/add-an-adapter.md docs/concepts.md docs/cuda.md docs/methods.md docs/tasks.md)
  get_filename_component(name "${page}" NAME_WE)
  add_test(NAME pages.${name} COMMAND sh "${PROJECT_SOURCE_DIR}/tests/structure/page_code.sh" "${PROJECT_SOURCE_DIR}/${page}"
                                      "${CMAKE_CXX_COMPILER}" "${flags_file}")
  set_tests_properties(pages.${name} PROPERTIES TIMEOUT 120 LABELS pages)
endforeach()
