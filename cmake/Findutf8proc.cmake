# utf8proc: Unicode categories and normal forms. Distributions ship it without a CMake package.
# Defines utf8proc::utf8proc and utf8proc_FOUND.
find_path(UTF8PROC_INCLUDE_DIR utf8proc.h)
find_library(UTF8PROC_LIBRARY utf8proc)
mark_as_advanced(UTF8PROC_INCLUDE_DIR UTF8PROC_LIBRARY)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(utf8proc REQUIRED_VARS UTF8PROC_LIBRARY UTF8PROC_INCLUDE_DIR)
if(utf8proc_FOUND AND NOT TARGET utf8proc::utf8proc)
  if(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL)
    add_library(utf8proc::utf8proc UNKNOWN IMPORTED GLOBAL)
  else()
    add_library(utf8proc::utf8proc UNKNOWN IMPORTED)
  endif()
  set_target_properties(utf8proc::utf8proc PROPERTIES IMPORTED_LOCATION "${UTF8PROC_LIBRARY}"
                                                      INTERFACE_INCLUDE_DIRECTORIES "${UTF8PROC_INCLUDE_DIR}")
endif()
