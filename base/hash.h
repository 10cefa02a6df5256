// 128-bit content hashes (XXH3), printed as 32 lower-case hex digits: the identity of everything
// stored. Not cryptographic: it tells accidents apart, not forgeries.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace seedbed {

std::string content_hash(std::string_view bytes);
std::uint64_t hash64(std::string_view bytes, std::uint64_t seed = 0);
bool is_content_hash(std::string_view text);

}  // namespace seedbed
