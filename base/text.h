// Small text helpers without locale.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace seedbed {

std::vector<std::string> split(std::string_view text, char separator);
std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::string_view trim(std::string_view text);
std::string lower_ascii(std::string_view text);
std::string replace_all(std::string text, std::string_view from, std::string_view to);
bool is_valid_utf8(std::string_view text);
// Bytes of the well-formed character that `text` begins with; 0 where it begins with none.
std::size_t utf8_length(std::string_view text);
// Each byte that belongs to no well-formed character becomes U+FFFD.
std::string replace_invalid_utf8(std::string_view text);
std::size_t edit_distance(std::string_view a, std::string_view b);
// The nearest of `known`, or "" where nothing is near: for "unknown key 'x'; did you mean 'y'?".
std::string nearest(std::string_view word, const std::vector<std::string>& known);

}  // namespace seedbed
