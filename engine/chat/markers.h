// The spellings that frame DeepSeek-V3.2's conversations. The bars are U+FF5C, the blocks U+2581.
// Token ids belong to the vocabulary: nothing here knows them.
#pragma once
#include <array>
#include <string_view>

namespace seedbed::engine::chat {

inline constexpr std::string_view kBos = "<｜begin▁of▁sentence｜>";
inline constexpr std::string_view kEos = "<｜end▁of▁sentence｜>";
inline constexpr std::string_view kUser = "<｜User｜>";
inline constexpr std::string_view kAssistant = "<｜Assistant｜>";
inline constexpr std::string_view kThink = "<think>";
inline constexpr std::string_view kEndThink = "</think>";
inline constexpr std::string_view kDsml = "｜DSML｜";  // inside a tag: <｜DSML｜invoke ...>

// All that a vocabulary may hold as one token.
inline constexpr std::array<std::string_view, 7> kSpecials = {kBos,   kEos,      kUser, kAssistant,
                                                              kThink, kEndThink, kDsml};

inline constexpr std::string_view kOpenTag = "<｜DSML｜";
inline constexpr std::string_view kCloseTag = "</｜DSML｜";
inline constexpr std::string_view kOpenCalls = "<｜DSML｜function_calls>";
inline constexpr std::string_view kCloseCalls = "</｜DSML｜function_calls>";
inline constexpr std::string_view kOpenInvoke = "<｜DSML｜invoke";
inline constexpr std::string_view kCloseInvoke = "</｜DSML｜invoke>";
inline constexpr std::string_view kOpenParameter = "<｜DSML｜parameter";
inline constexpr std::string_view kCloseParameter = "</｜DSML｜parameter>";

}  // namespace seedbed::engine::chat
