// Text from a model's tokens, which may be any bytes, as text that every format takes.
#pragma once
#include <string>

#include "schemas/value.h"

namespace seedbed::agent {

// Each byte that belongs to no well-formed UTF-8 sequence becomes U+FFFD.
std::string printable(std::string text);
// The same in every string and key.
schemas::Value printable(const schemas::Value& value);

}  // namespace seedbed::agent
