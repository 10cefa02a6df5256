#include "engine/server/request_parser.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/text.h"
#include "engine/server/request_head.h"

namespace seedbed::engine::server {
namespace {

constexpr std::size_t kMaxChunkLine = 1'024;  // a chunk's size with its extensions

// "1a;name=value" -> 26.
std::optional<std::uint64_t> chunk_size(std::string_view line) {
  std::uint64_t size = 0;
  std::size_t digits = 0;
  for (; digits < line.size(); ++digits) {
    const char c = line[digits];
    int value = -1;
    if (c >= '0' && c <= '9') value = c - '0';
    if (c >= 'a' && c <= 'f') value = c - 'a' + 10;
    if (c >= 'A' && c <= 'F') value = c - 'A' + 10;
    if (value < 0) break;
    if (digits == 16) return std::nullopt;
    size = size * 16 + static_cast<std::uint64_t>(value);
  }
  if (digits == 0) return std::nullopt;
  const auto more = trim(line.substr(digits));
  if (!more.empty() && more[0] != ';') return std::nullopt;
  const bool controls = std::any_of(more.begin(), more.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t') || byte == 0x7f;
  });
  if (controls) return std::nullopt;
  return size;
}

}  // namespace

struct RequestParser::Impl {
  enum class Part : std::uint8_t { head, fixed, chunk_line, chunk_data, chunk_end, trailer, whole };

  Impl(std::size_t header, std::size_t body) : max_header(header), max_body(body) {
    head = std::make_unique<RequestHead>(max_header);
  }

  [[nodiscard]] std::string_view unread() const { return std::string_view(buffer).substr(at); }

  // One step forward; false where more bytes are needed, or all is said.
  bool step() {
    switch (part) {
      case Part::head:
        return read_head();
      case Part::fixed:
        return read_data(Part::whole);
      case Part::chunk_line:
        return read_chunk_line();
      case Part::chunk_data:
        return read_data(Part::chunk_end);
      case Part::chunk_end:
        return read_chunk_end();
      case Part::trailer:
        return read_trailer();
      case Part::whole:
        return false;
    }
    return false;
  }

  bool read_head() {
    at += head->read(unread());
    if (head->fault()) return fail(*head->fault());
    if (!head->done()) return false;
    const auto plan = head->plan();
    if (plan.length > max_body) return too_large();
    left = plan.length;
    part = plan.chunked ? Part::chunk_line : left > 0 ? Part::fixed : Part::whole;
    continues = plan.expects_continue && part != Part::whole && unread().empty();
    request = head->take();
    return true;
  }

  bool read_data(Part next) {
    const auto piece = unread().substr(0, static_cast<std::size_t>(left));
    request.body += piece;
    at += piece.size();
    left -= piece.size();
    if (left > 0) return false;
    part = next;
    return true;
  }

  // A line without its CRLF. Nothing where it has not come whole, or is a fault.
  std::optional<std::string_view> line(std::size_t max) {
    const auto bytes = unread();
    const auto end = bytes.substr(0, max).find('\n');
    if (end == std::string_view::npos) {
      if (bytes.size() >= max) fail({400, "a line of the chunked body is too long"});
      return std::nullopt;
    }
    if (end == 0 || bytes[end - 1] != '\r') {
      fail({400, "a line of the chunked body does not end with CRLF"});
      return std::nullopt;
    }
    at += end + 1;
    return bytes.substr(0, end - 1);
  }

  bool read_chunk_line() {
    const auto text = line(kMaxChunkLine);
    if (!text) return false;
    const auto size = chunk_size(*text);
    if (!size) return fail({400, "the size of a chunk of the body is broken"});
    if (*size > max_body - request.body.size()) return too_large();
    left = *size;
    part = left > 0 ? Part::chunk_data : Part::trailer;
    return true;
  }

  bool read_chunk_end() {
    if (unread().size() < 2) return false;
    if (unread().substr(0, 2) != "\r\n")
      return fail({400, "a chunk of the body is longer than its size says"});
    at += 2;
    part = Part::chunk_line;
    return true;
  }

  bool read_trailer() {  // counted and dropped: a field there must not change what the head said
    const auto room = max_header - trailer_bytes;
    const auto text = line(room);
    if (!text) return false;
    trailer_bytes += text->size() + 2;
    if (text->empty()) part = Part::whole;
    if (!text->empty() &&
        (text->find(':') == std::string_view::npos || text->find('\0') != std::string_view::npos))
      return fail({400, "a trailer of the chunked body is broken"});
    return true;
  }

  bool too_large() {
    return fail({413, "the body is longer than " + std::to_string(max_body) + " bytes"});
  }
  bool fail(Fault why) {
    fault = std::move(why);
    buffer.clear();
    at = 0;
    return false;
  }

  void begin_next() {
    head = std::make_unique<RequestHead>(max_header);
    part = Part::head;
    left = 0;
    trailer_bytes = 0;
    continues = false;
    request = {};
  }

  std::size_t max_header, max_body;
  std::string buffer;  // bytes before `at` are read
  std::size_t at = 0;
  Part part = Part::head;
  std::unique_ptr<RequestHead> head;
  std::uint64_t left = 0;  // of a body or a chunk
  std::size_t trailer_bytes = 0;
  bool continues = false;
  std::optional<Fault> fault;
  Request request;
};

RequestParser::RequestParser(std::size_t max_header_bytes, std::size_t max_body_bytes)
    : impl_(std::make_unique<Impl>(max_header_bytes, max_body_bytes)) {}
RequestParser::~RequestParser() = default;

void RequestParser::feed(std::string_view bytes) {
  if (!impl_->fault) impl_->buffer += bytes;
}

RequestParser::State RequestParser::parse() {
  auto& p = *impl_;
  while (!p.fault && p.step()) {
  }
  if (p.at > 0) p.buffer.erase(0, p.at);
  p.at = 0;
  if (p.fault) return State::broken;
  if (p.part == Impl::Part::whole) return State::ready;
  return p.part == Impl::Part::head && !p.head->begun() ? State::idle : State::partial;
}

Request RequestParser::take() {
  SEEDBED_CHECK(impl_->part == Impl::Part::whole);
  auto request = std::move(impl_->request);
  impl_->begin_next();
  return request;
}

const Fault& RequestParser::fault() const {
  SEEDBED_CHECK(impl_->fault.has_value());
  return *impl_->fault;
}

bool RequestParser::wants_continue() {
  return std::exchange(impl_->continues, false);
}

std::size_t RequestParser::buffered() const {
  return impl_->buffer.size() - impl_->at;
}

}  // namespace seedbed::engine::server
