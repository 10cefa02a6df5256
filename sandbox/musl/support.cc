// What programs that are linked to musl need of a C++ library, which Debian has for glibc alone:
// memory, and an end for what would throw (nothing here catches).
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <new>

namespace {

[[noreturn]] void end_with(const char* what) {
  for (const char* part : {"seedbed: ", what, "\n"})
    if (::write(2, part, std::strlen(part)) < 0) break;
  std::abort();
}

}  // namespace

void* operator new(std::size_t size) {
  void* memory = std::malloc(size != 0 ? size : 1);
  if (memory == nullptr) end_with("out of memory");
  return memory;
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t /*size*/) noexcept {
  std::free(memory);
}

// What the headers of GCC's library call; the names are theirs.
namespace std {  // NOLINT(cert-dcl58-cpp)
void __throw_length_error(const char* what) {
  end_with(what);
}
void __throw_logic_error(const char* what) {
  end_with(what);
}
void __throw_out_of_range_fmt(const char* what, ...) {  // NOLINT(cert-dcl50-cpp)
  end_with(what);
}
void __throw_bad_alloc() {
  end_with("out of memory");
}
void __throw_bad_array_new_length() {
  end_with("out of memory");
}
}  // namespace std
