#include "sandbox/sql/engine.h"

#include <malloc.h>
#include <sqlite3.h>

#include <cstdlib>
#include <cstring>

namespace seedbed::sandbox::sql {
namespace {

// The process has one thread, so plain numbers do. A heap bound of our own because SQLite's needs
// MEMSTATUS.
std::size_t heap_used = 0;

void* heap_malloc(int size) {
  const auto n = static_cast<std::size_t>(size);
  if (heap_used + n > kHeapMax) return nullptr;
  void* p = std::malloc(n);
  if (p != nullptr) heap_used += malloc_usable_size(p);
  return p;
}

void heap_free(void* p) {
  heap_used -= malloc_usable_size(p);
  std::free(p);
}

void* heap_realloc(void* p, int size) {
  const auto n = static_cast<std::size_t>(size);
  const std::size_t before = malloc_usable_size(p);
  if (n > before && heap_used + (n - before) > kHeapMax) return nullptr;
  void* q = std::realloc(p, n);
  if (q != nullptr) heap_used += malloc_usable_size(q) - before;
  return q;
}

int heap_size(void* p) {
  return p == nullptr ? 0 : static_cast<int>(malloc_usable_size(p));
}
int heap_roundup(int n) {
  return (n + 7) & ~7;
}
int heap_init(void* /*unused*/) {
  return SQLITE_OK;
}
void heap_shutdown(void* /*unused*/) {}

// A file system without files: temporary files, journals and attached databases cannot be opened
// whatever SQL says, and nothing in the process asks the kernel for time or randomness.
int no_open(sqlite3_vfs* /*vfs*/,
            const char* /*name*/,
            sqlite3_file* file,
            int /*flags*/,
            int* /*out_flags*/) {
  file->pMethods = nullptr;
  return SQLITE_CANTOPEN;
}
int no_delete(sqlite3_vfs* /*vfs*/, const char* /*name*/, int /*sync*/) {
  return SQLITE_IOERR_DELETE;
}
int no_access(sqlite3_vfs* /*vfs*/, const char* /*name*/, int /*flags*/, int* out) {
  *out = 0;
  return SQLITE_OK;
}
int same_path(sqlite3_vfs* /*vfs*/, const char* name, int size, char* out) {
  sqlite3_snprintf(size, out, "%s", name);
  return SQLITE_OK;
}
int fixed_bytes(sqlite3_vfs* /*vfs*/, int size, char* out) {
  std::memset(out, 0x5e, static_cast<std::size_t>(size));
  return size;
}
int no_sleep(sqlite3_vfs* /*vfs*/, int /*us*/) {
  return 0;
}
int fixed_time(sqlite3_vfs* /*vfs*/, double* out) {
  *out = 2451544.5;
  return SQLITE_OK;
}
int last_error(sqlite3_vfs* /*vfs*/, int /*size*/, char* /*out*/) {
  return 0;
}

sqlite3_vfs no_files = {1,           sizeof(sqlite3_file),
                        512,         nullptr,
                        "nofiles",   nullptr,
                        no_open,     no_delete,
                        no_access,   same_path,
                        nullptr,     nullptr,
                        nullptr,     nullptr,
                        fixed_bytes, no_sleep,
                        fixed_time,  last_error,
                        nullptr,     nullptr,
                        nullptr,     nullptr};

}  // namespace

bool start_engine() {
  mallopt(M_MMAP_THRESHOLD,
          64 << 20);  // serializing a state must not map and unmap pages each time
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
  static const sqlite3_mem_methods heap = {heap_malloc,  heap_free, heap_realloc,  heap_size,
                                           heap_roundup, heap_init, heap_shutdown, nullptr};
  return sqlite3_config(SQLITE_CONFIG_SINGLETHREAD) == SQLITE_OK &&
         sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) == SQLITE_OK &&
         sqlite3_config(SQLITE_CONFIG_MALLOC, &heap) == SQLITE_OK &&
         sqlite3_initialize() == SQLITE_OK && sqlite3_vfs_register(&no_files, 1) == SQLITE_OK;
}

std::size_t engine_heap() {
  return heap_used;
}

}  // namespace seedbed::sandbox::sql
