# -DSEEDBED_SANITIZE=address or thread. The jail's launcher and tool host are always built without (their address space and
# system calls are bounded), see sandbox/CMakeLists.txt.
set(SEEDBED_SANITIZE "" CACHE STRING "address | thread | empty")
if(SEEDBED_SANITIZE STREQUAL "address")
  target_compile_options(seedbed_flags INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  target_link_options(seedbed_flags INTERFACE -fsanitize=address,undefined)
elseif(SEEDBED_SANITIZE STREQUAL "thread")
  target_compile_options(seedbed_flags INTERFACE -fsanitize=thread -fno-omit-frame-pointer)
  target_link_options(seedbed_flags INTERFACE -fsanitize=thread)
endif()
if(SEEDBED_SANITIZE)
  # Reports name functions and lines; all of -g would make these builds several times as large.
  target_compile_options(seedbed_flags INTERFACE -g1)
endif()
