# The target docs: the reference of every public header and the pages of docs/, as HTML. A warning is an error.
find_package(Doxygen 1.9 REQUIRED)
configure_file("${PROJECT_SOURCE_DIR}/docs/Doxyfile.in" "${PROJECT_BINARY_DIR}/Doxyfile" @ONLY)
add_custom_target(docs COMMAND Doxygen::doxygen "${PROJECT_BINARY_DIR}/Doxyfile"
                  WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}" COMMENT "Reference: ${PROJECT_BINARY_DIR}/html/index.html")
if(RADAPT_BUILD_TESTS)
  add_test(NAME docs COMMAND Doxygen::doxygen "${PROJECT_BINARY_DIR}/Doxyfile" WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}")
endif()
