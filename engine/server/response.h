// Bytes of answers: heads, chunks, and the JSON that a refusal carries.
#pragma once
#include <string>
#include <string_view>

#include "engine/server/request_parser.h"
#include "engine/service/exchange.h"

namespace seedbed::engine::server {

inline constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

// To whom an answer goes.
struct Reader {
  bool head_only = false;  // HEAD: what GET would answer, without the body
  bool http_1_0 = false;   // knows no chunks: the end of a stream is the end of the connection
  bool keep_alive = true;
};

// Characters that would break out of their header field become spaces.
std::string whole_answer(const service::HttpReply& reply, const Reader& reader);
std::string stream_head(std::string_view content_type, const Reader& reader);
void add_chunk(std::string& out, std::string_view bytes);  // not empty: that would be the last one
// {"error": {"message", "type", "param", "code"}}, as OpenAI's clients read it.
service::HttpReply refusal(const Fault& fault);

}  // namespace seedbed::engine::server
