# Misuse must not compile, and must say why: every tests/diagnostics/NAME.cpp begins with `// expect-error: REGEX`, in CMake's
# regex syntax, and has a twin NAME.ok.cpp, the same code used rightly, that compiles.

# The flags of a test, in a file that g++ and clang++ read as @FILE; also handy to try one file by hand.
add_library(radapt_diagnostic_flags OBJECT EXCLUDE_FROM_ALL main.cpp)
radapt_own_target(radapt_diagnostic_flags)
set(flags_file "${CMAKE_CURRENT_BINARY_DIR}/diagnostics.flags")
set(own_include "${PROJECT_SOURCE_DIR}/include")
string(REGEX REPLACE "([][+.*()^$?|\\\\])" "\\\\\\1" own_include_regex "${own_include}")
set(include_dirs "$<REMOVE_DUPLICATES:$<TARGET_PROPERTY:radapt_diagnostic_flags,INCLUDE_DIRECTORIES>>")
set(system_dirs "$<FILTER:${include_dirs},EXCLUDE,^(${own_include_regex}|/usr/include)?$>")
file(GENERATE OUTPUT "${flags_file}"
     CONTENT "-std=c++20\n-fsyntax-only\n-Wall\n\"-I${own_include}\"\n$<$<BOOL:${system_dirs}>:-isystem\"$<JOIN:${system_dirs},\"\n-isystem\">\"\n>")

# radapt_diagnostic_test(NAME SOURCE)
function(radapt_diagnostic_test name source)
  add_test(NAME diagnostics.${name}
           COMMAND "${CMAKE_COMMAND}" -D "COMPILER=${CMAKE_CXX_COMPILER}" -D "FLAGS=${flags_file}" -D "SOURCE=${source}"
                   -P "${PROJECT_SOURCE_DIR}/cmake/ExpectDiagnostic.cmake")
  set_tests_properties(diagnostics.${name} PROPERTIES TIMEOUT 120 LABELS diagnostics)
endfunction()

file(GLOB diagnostics CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/diagnostics/*.cpp")
radapt_keep_available(diagnostics)
foreach(source IN LISTS diagnostics)
  get_filename_component(name "${source}" NAME)
  radapt_diagnostic_test(${name} "${source}")
endforeach()

# The harness itself: code that compiles, code that fails otherwise, a missing first line and a missing twin are reported.
set(planted "${CMAKE_CURRENT_BINARY_DIR}/planted_diagnostics")
foreach(name IN ITEMS compiles fails_otherwise no_expectation)
  file(WRITE "${planted}/${name}.ok.cpp" "int main() {}\n")
endforeach()
file(WRITE "${planted}/compiles.cpp" "// expect-error: anything\nint main() {}\n")
file(WRITE "${planted}/fails_otherwise.cpp" "// expect-error: width of the moon\nint main() { return nothing; }\n")
file(WRITE "${planted}/no_expectation.cpp" "int main() { return nothing; }\n")
file(WRITE "${planted}/no_twin.cpp" "// expect-error: nothing\nint main() { return nothing; }\n")
file(WRITE "${planted}/twin_fails.ok.cpp" "int main() { return nothing; }\n")
foreach(row IN ITEMS "compiles.cpp=compiles, but must fail" "fails_otherwise.cpp=fails, but not with" "no_expectation.cpp=must begin with"
                     "no_twin.cpp=has no twin" "twin_fails.ok.cpp=must compile, but")
  string(REGEX MATCH "(.+)=(.+)" row "${row}")
  set(name ${CMAKE_MATCH_1})
  set(report "${CMAKE_MATCH_2}")
  radapt_diagnostic_test(harness.${name} "${planted}/${name}")
  string(REPLACE " " "[ \n]+" report "${report}") # CMake wraps long messages
  set_tests_properties(diagnostics.harness.${name} PROPERTIES PASS_REGULAR_EXPRESSION "${report}")
endforeach()
