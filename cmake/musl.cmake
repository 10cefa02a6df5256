# The target seedbed_static: how programs that start with every box are linked. To musl where it is there (Debian: musl-dev) and goes with
# the compiler's C++ headers, else to glibc. glibc's start asks the processor many things (CPUID), which virtual machines answer
# slowly, and brings five times as many pages.
include_guard()

add_library(seedbed_static INTERFACE)
target_compile_options(seedbed_static INTERFACE -fno-exceptions -fno-rtti -fno-asynchronous-unwind-tables)

find_path(MUSL_LIBRARIES crt1.o PATHS /usr/lib/${CMAKE_SYSTEM_PROCESSOR}-linux-musl NO_DEFAULT_PATH)
find_path(MUSL_HEADERS features.h PATHS /usr/include/${CMAKE_SYSTEM_PROCESSOR}-linux-musl NO_DEFAULT_PATH)
set(SEEDBED_MUSL OFF)
if(MUSL_LIBRARIES AND MUSL_HEADERS)
  # The compiler's own folders, musl's for glibc's, and of the kernel's headers no more than those.
  set(musl_compile -nostdinc -U_FORTIFY_SOURCE -fno-pie -ffunction-sections -fdata-sections "SHELL:-include ${CMAKE_SOURCE_DIR}/sandbox/musl/libstdcxx.h")
  foreach(folder ${CMAKE_CXX_IMPLICIT_INCLUDE_DIRECTORIES})
    if(folder MATCHES "/c[+][+]|/gcc/|/clang/")
      list(APPEND musl_compile "SHELL:-isystem ${folder}")
    endif()
  endforeach()
  set(kernel_headers ${CMAKE_BINARY_DIR}/kernel-headers)
  file(MAKE_DIRECTORY ${kernel_headers})
  foreach(name linux asm asm-generic)
    find_path(KERNEL_HEADERS_${name} ${name} PATHS /usr/include/${CMAKE_LIBRARY_ARCHITECTURE} /usr/include NO_DEFAULT_PATH)
    file(CREATE_LINK ${KERNEL_HEADERS_${name}}/${name} ${kernel_headers}/${name} SYMBOLIC)
  endforeach()
  list(APPEND musl_compile "SHELL:-isystem ${MUSL_HEADERS}" "SHELL:-isystem ${kernel_headers}")
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-libgcc-file-name OUTPUT_VARIABLE libgcc OUTPUT_STRIP_TRAILING_WHITESPACE)
  set(musl_link -static -no-pie -nostdlib -nostartfiles -Wl,--gc-sections,-z,noseparate-code ${MUSL_LIBRARIES}/crt1.o ${MUSL_LIBRARIES}/crti.o)
  # Of the C++ library: what needs no C library (std::map's trees); sandbox/musl/support.cc has the rest.
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=libstdc++.a OUTPUT_VARIABLE libstdcxx OUTPUT_STRIP_TRAILING_WHITESPACE)
  set(musl_last ${libstdcxx} ${MUSL_LIBRARIES}/libc.a ${libgcc} ${MUSL_LIBRARIES}/crtn.o)
  set(musl_words ${musl_compile})
  list(TRANSFORM musl_words REPLACE "SHELL:" "")
  string(REPLACE ";" " " musl_words "${musl_words}")
  separate_arguments(musl_words)
  try_compile(
    MUSL_FITS ${CMAKE_BINARY_DIR}/musl SOURCES ${CMAKE_SOURCE_DIR}/sandbox/musl/try.cc ${CMAKE_SOURCE_DIR}/sandbox/musl/support.cc
    COMPILE_DEFINITIONS ${musl_words} -O2 -fno-exceptions -fno-rtti
    LINK_OPTIONS ${musl_link}
    LINK_LIBRARIES ${musl_last}
    CXX_STANDARD 20)
  set(SEEDBED_MUSL ${MUSL_FITS})
endif()
if(SEEDBED_MUSL)
  target_compile_options(seedbed_static INTERFACE ${musl_compile})
  target_link_options(seedbed_static INTERFACE ${musl_link})
  target_link_libraries(seedbed_static INTERFACE ${musl_last})
else()
  message(STATUS "no musl that fits (Debian: musl-dev): programs of boxes are linked to glibc and start more slowly")
  target_link_options(seedbed_static INTERFACE -static)
endif()
