# What `cmake --install` puts in place: the headers, the CMake package and the pkg-config file. Nothing of it depends on the processor.
include(CMakePackageConfigHelpers)

set(radapt_package_dir "${CMAKE_INSTALL_DATADIR}/cmake/radapt")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/radapt" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
        FILES_MATCHING PATTERN "*.hpp" PATTERN "*.cuh" PATTERN "*.cu")
install(TARGETS radapt EXPORT radaptTargets)
install(EXPORT radaptTargets NAMESPACE radapt:: DESTINATION "${radapt_package_dir}")

configure_package_config_file(
  "${PROJECT_SOURCE_DIR}/cmake/radaptConfig.cmake.in" "${PROJECT_BINARY_DIR}/radaptConfig.cmake"
  INSTALL_DESTINATION "${radapt_package_dir}" NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/radaptConfigVersion.cmake"
                                 COMPATIBILITY SameMajorVersion ARCH_INDEPENDENT)
install(FILES "${PROJECT_BINARY_DIR}/radaptConfig.cmake" "${PROJECT_BINARY_DIR}/radaptConfigVersion.cmake"
              "${PROJECT_SOURCE_DIR}/cmake/radapt-component-onednn.cmake"
              "${PROJECT_SOURCE_DIR}/cmake/radapt-component-io.cmake"
              "${PROJECT_SOURCE_DIR}/cmake/radapt-component-cuda.cmake"
              "${PROJECT_SOURCE_DIR}/cmake/Findutf8proc.cmake"
        DESTINATION "${radapt_package_dir}")

# The .pc file finds its own place, so that an installed tree can be moved.
file(RELATIVE_PATH radapt_pc_to_include "/prefix/${CMAKE_INSTALL_DATADIR}/pkgconfig" "/prefix/${CMAKE_INSTALL_INCLUDEDIR}")
configure_file("${PROJECT_SOURCE_DIR}/cmake/radapt.pc.in" "${PROJECT_BINARY_DIR}/radapt.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/radapt.pc" DESTINATION "${CMAKE_INSTALL_DATADIR}/pkgconfig")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
