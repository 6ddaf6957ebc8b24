# radapt::io: what the headers of radapt/io, the tokenizer and the preprocessing need. Included by radapt's own build and by
# the installed package. Sets radapt_io_FOUND, or radapt_io_MISSING: what is missing and where to get it.
set(radapt_io_FOUND FALSE)
list(PREPEND CMAKE_MODULE_PATH "${CMAKE_CURRENT_LIST_DIR}") # Findutf8proc.cmake lies beside this file
find_package(nlohmann_json 3.11 QUIET)
find_package(JPEG QUIET)
find_package(PNG QUIET)
find_package(LibArchive QUIET)
find_package(ZLIB QUIET)
find_package(utf8proc QUIET)
list(POP_FRONT CMAKE_MODULE_PATH)

set(radapt_io_MISSING "")
foreach(part IN ITEMS "nlohmann_json=nlohmann-json3-dev" "JPEG=libjpeg62-turbo-dev" "PNG=libpng-dev"
                      "LibArchive=libarchive-dev" "ZLIB=zlib1g-dev" "utf8proc=libutf8proc-dev")
  string(REGEX MATCH "(.+)=(.+)" part "${part}")
  set(radapt_part ${CMAKE_MATCH_1})
  if(NOT ${radapt_part}_FOUND)
    string(APPEND radapt_io_MISSING " ${radapt_part} was not found (Debian: apt-get install ${CMAKE_MATCH_2})")
  endif()
endforeach()
if(radapt_io_MISSING)
  string(STRIP "${radapt_io_MISSING}" radapt_io_MISSING)
  return()
endif()

if(NOT TARGET radapt::io)
  add_library(radapt::io INTERFACE IMPORTED ${radapt_target_scope})
  target_link_libraries(radapt::io INTERFACE radapt::radapt nlohmann_json::nlohmann_json JPEG::JPEG PNG::PNG
                                             LibArchive::LibArchive ZLIB::ZLIB utf8proc::utf8proc)
endif()
set(radapt_io_FOUND TRUE)
