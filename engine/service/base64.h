// Arrays in JSON: base64 with padding.
#pragma once
#include <cstddef>
#include <span>
#include <string>

namespace seedbed::engine::service {

std::string base64(std::span<const std::byte> bytes);

}  // namespace seedbed::engine::service
