#include "engine/server/response.h"

#include <array>
#include <cstdio>
#include <ctime>

namespace seedbed::engine::server {
namespace {

struct Status {
  int number;
  const char* phrase;
  const char* code;  // in a refusal of ours
};
constexpr Status kStatuses[] = {
    {200, "OK", ""},
    {201, "Created", ""},
    {202, "Accepted", ""},
    {204, "No Content", ""},
    {400, "Bad Request", "bad_request"},
    {401, "Unauthorized", ""},
    {403, "Forbidden", ""},
    {404, "Not Found", ""},
    {405, "Method Not Allowed", ""},
    {408, "Request Timeout", "request_timeout"},
    {409, "Conflict", ""},
    {410, "Gone", ""},
    {413, "Content Too Large", "body_too_large"},
    {414, "URI Too Long", "target_too_long"},
    {415, "Unsupported Media Type", ""},
    {417, "Expectation Failed", "expectation_failed"},
    {422, "Unprocessable Content", ""},
    {429, "Too Many Requests", ""},
    {431, "Request Header Fields Too Large", "header_too_large"},
    {500, "Internal Server Error", "internal_error"},
    {501, "Not Implemented", "not_implemented"},
    {503, "Service Unavailable", "overloaded"},
    {505, "HTTP Version Not Supported", "http_version_not_supported"},
};

Status status_of(int number) {
  for (const auto& status : kStatuses)
    if (status.number == number) return status;
  return {number, "Status", "error"};
}

void add_field(std::string& out, std::string_view name, std::string_view value) {
  const auto add = [&out](std::string_view text) {
    for (const char c : text) out += (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) ? ' ' : c;
  };
  add(name);
  out += ": ";
  add(value);
  out += "\r\n";
}

std::string date() {
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t now = std::time(nullptr);
  std::tm t{};
  gmtime_r(&now, &t);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                kDays[t.tm_wday % 7], t.tm_mday, kMonths[t.tm_mon % 12], t.tm_year + 1900,
                t.tm_hour, t.tm_min, t.tm_sec);
  return text.data();
}

std::string head(int status, std::string_view content_type, const Reader& reader) {
  std::string out = "HTTP/1.1 " + std::to_string(status) + " " + status_of(status).phrase + "\r\n";
  add_field(out, "Date", date());
  if (!content_type.empty()) add_field(out, "Content-Type", content_type);
  if (!reader.keep_alive)
    add_field(out, "Connection", "close");
  else if (reader.http_1_0)
    add_field(out, "Connection", "keep-alive");
  return out;
}

}  // namespace

std::string whole_answer(const service::HttpReply& reply, const Reader& reader) {
  auto out = head(reply.status, reply.content_type, reader);
  for (const auto& [name, value] : reply.headers) add_field(out, name, value);
  if (reply.status != 204) add_field(out, "Content-Length", std::to_string(reply.body.size()));
  out += "\r\n";
  if (!reader.head_only && reply.status != 204) out += reply.body;
  return out;
}

std::string stream_head(std::string_view content_type, const Reader& reader) {
  auto out = head(200, content_type, reader);
  add_field(out, "Cache-Control", "no-cache");
  add_field(out, "X-Accel-Buffering", "no");
  if (!reader.http_1_0) add_field(out, "Transfer-Encoding", "chunked");
  return out + "\r\n";
}

void add_chunk(std::string& out, std::string_view bytes) {
  std::array<char, 24> size{};
  std::snprintf(size.data(), size.size(), "%zx\r\n", bytes.size());
  out += size.data();
  out += bytes;
  out += "\r\n";
}

service::HttpReply refusal(const Fault& fault) {
  std::string message;
  for (const char c : fault.message) {
    if (c == '"' || c == '\\') message += '\\';
    message += c;
  }
  service::HttpReply reply;
  reply.status = fault.status;
  reply.body = R"({"error":{"message":")" + message + R"(","type":")" +
               (fault.status < 500 ? "invalid_request_error" : "server_error") +
               R"(","param":null,"code":")" + status_of(fault.status).code + R"("}})";
  if (fault.status == 503) reply.headers.emplace_back("Retry-After", "1");
  return reply;
}

}  // namespace seedbed::engine::server
