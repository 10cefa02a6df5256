// One code point as UTF-8.
#pragma once
#include <cstdint>
#include <string>

namespace seedbed {

// c: at most 0x10ffff.
void append_utf8(std::string& out, std::uint32_t c);

}  // namespace seedbed
