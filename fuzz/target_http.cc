// What a socket brings: requests, cut anywhere, and what their answers say back.
#include <algorithm>
#include <array>

#include "base/text.h"
#include "engine/server/answer.h"
#include "engine/server/request_parser.h"
#include "engine/server/response.h"
#include "fuzz/targets.h"

namespace seedbed::fuzz {
namespace {

using namespace engine::server;
using State = RequestParser::State;
namespace service = engine::service;

struct Limits {
  std::size_t header, body;
};

bool is_plain(std::string_view text) {
  return is_valid_utf8(text) && text.find('\0') == std::string_view::npos;
}

// Why no service should ever see it; "" where it may.
std::string wrong_with(const service::Exchange& x, const Limits& limits) {
  if (x.body.size() > limits.body) return "a body over its limit";
  const auto head = x.path.size() + x.query.size() + x.method.size() + x.authorization.size() +
                    x.content_type.size() + x.session.size() + x.accept.size();
  if (head > limits.header) return "a head over its limit";
  for (const auto* text :
       {&x.method, &x.path, &x.query, &x.authorization, &x.content_type, &x.session, &x.accept})
    if (!is_plain(*text)) return "text that is no UTF-8, or has a NUL";
  const auto is_control = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) == 0x7f;
  };
  if (std::any_of(x.path.begin(), x.path.end(), is_control)) return "a path with controls";
  if (x.path.empty() || (x.path[0] != '/' && x.path != "*")) return "a path without its slash";
  return "";
}

// An answer that repeats what it was asked has the lines that were meant, and no more.
std::string wrong_with_answer(const service::Exchange& x) {
  service::HttpReply reply;
  reply.body = x.body;
  reply.content_type = x.content_type;
  for (const auto* value : {&x.session, &x.accept, &x.path})
    reply.headers.emplace_back("X-Back", *value);
  const auto text = whole_answer(reply, {.keep_alive = false});
  const auto head = text.find("\r\n\r\n");
  const auto lines = split(text.substr(0, head), '\n').size();
  // Status, date, connection, length, three of ours, and a type where there is one.
  if (lines != 7U + (x.content_type.empty() ? 0U : 1U)) return "an answer's head has other lines";
  if (text.substr(head + 4) != x.body) return "an answer's body is another";
  return "";
}

struct Outcome {
  std::vector<std::string> seen;  // requests, then the fault if there was one
  State state = State::idle;
  std::string broken;
};

// The way from bytes to an exchange and back to an update, as a connection goes it.
std::string take_one(RequestParser& parser, const Limits& limits, Outcome& out) {
  const auto hub = std::make_shared<Hub>([] {});
  const auto answer = std::make_shared<Answer>(hub, limits.body);
  auto request = parser.take();
  out.seen.push_back((request.keep_alive ? "k" : "c") + std::string(request.http_1_0 ? "0" : "1"));
  const auto x = make_exchange(std::move(request), answer);
  for (const auto* text : {&x->method, &x->path, &x->query, &x->body, &x->authorization,
                           &x->content_type, &x->session, &x->accept})
    out.seen.push_back(*text);
  if (auto why = wrong_with(*x, limits); !why.empty()) return why;
  if (auto why = wrong_with_answer(*x); !why.empty()) return why;
  x->begin_stream("text/event-stream");
  x->send(x->body);
  x->end_stream();
  const auto update = answer->take();
  if (update.bytes != x->body || !update.begin || !update.ended || update.overrun)
    return "an answer lost what was sent";
  return hub->take().size() == 1 ? "" : "the server's thread was told more than once";
}

Outcome read(std::string_view bytes, std::size_t piece, const Limits& limits) {
  RequestParser parser(limits.header, limits.body);
  Outcome out;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    parser.feed(bytes.substr(at, piece));
    while ((out.state = parser.parse()) == State::ready) {
      out.broken = take_one(parser, limits, out);
      if (!out.broken.empty()) return out;
    }
    // A line of a chunk may be as long as 1,024 bytes, whatever the limits.
    if (parser.buffered() > std::max<std::size_t>(limits.header, 1'024))
      out.broken = "more is held than a head may be long";
    if (out.state == State::broken) {
      out.seen.push_back(std::to_string(parser.fault().status));
      out.seen.push_back(parser.fault().message);
      return out;
    }
  }
  return out;
}

// The first byte chooses limits and how the bytes are cut.
std::string http_request(std::string_view input) {
  if (input.empty()) return "";
  static constexpr std::array<Limits, 4> kLimits = {
      {{16U << 10, 1U << 20}, {256, 64}, {1'024, 1'024}, {64, 0}}};
  static constexpr std::array<std::size_t, 6> kPieces = {1, 2, 3, 7, 31, 257};
  const auto choice = static_cast<unsigned char>(input[0]);
  const auto& limits = kLimits[choice % kLimits.size()];
  const auto piece = kPieces[(choice / kLimits.size()) % kPieces.size()];
  input.remove_prefix(1);
  const auto whole = read(input, std::max<std::size_t>(input.size(), 1), limits);
  if (!whole.broken.empty()) return whole.broken;
  const auto cut = read(input, piece, limits);
  if (!cut.broken.empty()) return cut.broken;
  return cut.seen == whole.seen && cut.state == whole.state ? ""
                                                            : "where it is cut makes a difference";
}

}  // namespace

std::vector<Target> http_targets() {
  return {
      {"http_request",
       http_request,
       {std::string(1, '\0') +
            "POST /v1/chat/completions?x=%20 HTTP/1.1\r\nHost: localhost:8000\r\n"
            "Authorization: Bearer key\r\nContent-Type: application/json\r\n"
            "Accept: text/event-stream\r\nX-Session-ID: s-1\r\nContent-Length: 17\r\n\r\n"
            "{\"messages\":null}GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "\x05POST /%e6%bc%a2 HTTP/1.1\r\nhost: x\r\nTransfer-Encoding: chunked\r\n"
        "Expect: 100-continue\r\n\r\n3;a=\"b\"\r\nabc\r\n0a\r\n0123456789\r\n0\r\nT: 1\r\n\r\n",
        "\x0aGET http://x:1/a?b HTTP/1.0\r\nConnection: keep-alive\r\n\r\n\r\nOPTIONS * HTTP/1.1"
        "\r\nHost: x\r\nAccept: a\r\nAccept: b\r\n\r\n",
        "\x02PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\x06POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\nTransfer-Encoding: gzip\r\n"
        "a: b\r\n c\r\n\r\nx"}}};
}

}  // namespace seedbed::fuzz
