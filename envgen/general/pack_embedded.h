// The built-in packs, as text in the binary (cmake/embed_packs.cmake).
#pragma once
#include <cstddef>

namespace seedbed::envgen {

struct EmbeddedPack {
  const char* path;  // mechanisms/NAME.json, lexicons/NAME.json or names.json
  const char* text;
};
extern const EmbeddedPack kEmbeddedPacks[];
extern const std::size_t kEmbeddedPackCount;

}  // namespace seedbed::envgen
