# Targets that compile the sources of bench/compile/ and print what they cost against their budgets. No test asserts a time.
#   compile_budget       seconds and megabytes at -O0, -O1 and -O2
#   compile_budget_top   and what the compiler says its time goes to
find_package(Python3 COMPONENTS Interpreter QUIET)
if(NOT Python3_FOUND OR NOT RADAPT_WITH_ONEDNN)
  message(STATUS "There is no target compile_budget: it needs Python 3 and RADAPT_WITH_ONEDNN")
  return()
endif()

# The flags of a program that uses radapt and sets none of its own, in a file with one flag a line.
add_library(radapt_compile_budget OBJECT EXCLUDE_FROM_ALL "${PROJECT_SOURCE_DIR}/bench/compile/umbrella.cpp")
target_link_libraries(radapt_compile_budget PRIVATE radapt::radapt radapt::onednn)
set(flags "${CMAKE_CURRENT_BINARY_DIR}/compile_budget.flags")
set(include_dirs "$<REMOVE_DUPLICATES:$<TARGET_PROPERTY:radapt_compile_budget,INCLUDE_DIRECTORIES>>")
file(GENERATE OUTPUT "${flags}"
     CONTENT "-std=c++20\n$<$<BOOL:${include_dirs}>:-I$<JOIN:$<FILTER:${include_dirs},EXCLUDE,^/usr/include$>,\n-I>>\n")

foreach(target IN ITEMS compile_budget compile_budget_top)
  add_custom_target(
    ${target}
    COMMAND Python3::Interpreter "${PROJECT_SOURCE_DIR}/bench/compile/budget.py" "${CMAKE_CXX_COMPILER}" --flags "${flags}"
            $<$<STREQUAL:${target},compile_budget_top>:--top>
    COMMAND_EXPAND_LISTS USES_TERMINAL VERBATIM)
endforeach()
