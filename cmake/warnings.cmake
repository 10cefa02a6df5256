add_library(seedbed_flags INTERFACE)
target_compile_options(seedbed_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion)
target_include_directories(seedbed_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_definitions(seedbed_flags INTERFACE SEEDBED_VERSION="${PROJECT_VERSION}")
