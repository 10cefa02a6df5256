#include "engine/server/request_head.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include "base/text.h"

namespace seedbed::engine::server {
namespace {

namespace http = boost::beast::http;
using BeastText = boost::beast::string_view;

std::string_view text_of(BeastText text) {
  return {text.data(), text.size()};
}

// The characters of a method or of a field's name.
bool is_token(char c) {
  const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  return letter ||
         (c != 0 && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
}

// What of a head is kept. A field that must be there once is a fault where it comes twice.
struct Fields {
  std::string method, target;
  int version = 11;
  int hosts = 0;
  std::optional<std::string> authorization, content_type, session;
  std::string accept, expect, transfer_encoding;
  std::optional<Fault> fault;

  void once(std::optional<std::string>& field, std::string_view name, std::string_view value) {
    if (field && *field != value)
      fault = Fault{400, "the header field " + std::string(name) + " comes twice and differs"};
    else if (!is_valid_utf8(value))
      fault = Fault{400, "the header field " + std::string(name) + " is no UTF-8"};
    else
      field = std::string(value);
  }
  static void listed(std::string& field, std::string_view value) {
    if (!field.empty()) field += ", ";
    field += value;
  }
  void set(std::string_view name, std::string_view value) {
    if (name == "host") {
      ++hosts;
    } else if (name == "authorization") {
      once(authorization, "Authorization", value);
    } else if (name == "content-type") {
      once(content_type, "Content-Type", value);
    } else if (name == "x-session-id") {
      once(session, "X-Session-ID", value);
    } else if (name == "expect") {
      listed(expect, value);
    } else if (name == "transfer-encoding") {
      listed(transfer_encoding, value);
    } else if (name == "accept") {
      if (!is_valid_utf8(value)) fault = Fault{400, "the header field Accept is no UTF-8"};
      listed(accept, value);
    }
  }
};

// Beast's grammar of a head; bodies are read elsewhere, so that it ends with the empty line.
class Grammar : public http::basic_parser<true> {
 public:
  explicit Grammar(Fields& fields) : fields_(fields) {
    skip(true);
    header_limit(0x7fff'ffff);  // counted by RequestHead, over the request line too
  }

 private:
  using Code = boost::beast::error_code;
  void on_request_impl(
      http::verb /*verb*/, BeastText method, BeastText target, int version, Code& /*ec*/) override {
    fields_.method = text_of(method);
    fields_.target = text_of(target);
    fields_.version = version;
  }
  void on_field_impl(http::field /*field*/,
                     BeastText name,
                     BeastText value,
                     Code& /*ec*/) override {
    fields_.set(lower_ascii(text_of(name)), text_of(value));
  }
  void on_response_impl(int /*code*/, BeastText /*why*/, int /*version*/, Code& /*ec*/) override {}
  void on_header_impl(Code& /*ec*/) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>& /*n*/, Code& /*ec*/) override {}
  std::size_t on_body_impl(BeastText body, Code& /*ec*/) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t /*n*/, BeastText /*more*/, Code& /*ec*/) override {}
  std::size_t on_chunk_body_impl(std::uint64_t /*left*/, BeastText body, Code& /*ec*/) override {
    return body.size();
  }
  void on_finish_impl(Code& /*ec*/) override {}

  Fields& fields_;
};

// A request line whose only fault is another version of HTTP.
bool names_other_version(std::string_view line) {
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
  if (line.size() < 9) return false;
  const auto v = line.substr(line.size() - 9);
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return v.substr(0, 6) == " HTTP/" && digit(v[6]) && v[7] == '.' && digit(v[8]) &&
         !(v[6] == '1' && (v[8] == '0' || v[8] == '1'));
}

Fault fault_of(const boost::beast::error_code& code, std::string_view line) {
  if (code == http::error::bad_version && names_other_version(line))
    return {505, "HTTP/1.1 and HTTP/1.0 are spoken here"};
  return {400, "the head of the request is broken: " + code.message()};
}

// "http://host:1/path" -> "/path".
std::string_view without_origin(std::string_view target) {
  const auto scheme = lower_ascii(target.substr(0, 8));
  const std::size_t skip = scheme == "https://" ? 8 : scheme.starts_with("http://") ? 7 : 0;
  if (skip == 0) return target;
  const auto path = target.find_first_of("/?", skip);
  return path == std::string_view::npos ? "/" : target.substr(path);
}

std::optional<Fault> read_target(const Fields& fields, Request& request) {
  auto target = without_origin(fields.target);
  const bool all = target == "*" && fields.method == "OPTIONS";
  const auto mark = std::min(target.find('?'), target.size());
  if (!all && (target.empty() || (target[0] != '/' && target[0] != '?')))
    return Fault{400, "the request's target must begin with a slash"};
  if (!is_valid_utf8(target)) return Fault{400, "the request's target is no UTF-8"};
  auto path = percent_decoded(target.substr(0, mark));
  if (!path) return Fault{400, "the request's path has a broken escape, controls or no UTF-8"};
  request.path = path->empty() ? "/" : std::move(*path);
  request.query = std::string(target.substr(std::min(mark + 1, target.size())));
  return std::nullopt;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) return std::nullopt;
    out += c;
  }
  if (!is_valid_utf8(out)) return std::nullopt;
  return out;
}

struct RequestHead::Impl {
  explicit Impl(std::size_t max) : max_bytes(max), grammar(fields) {}

  std::size_t read(std::string_view bytes) {
    std::size_t at = 0;
    if (!begun) {  // an empty line before a request is an old client's mistake
      while (bytes.substr(at, 2) == "\r\n") at += 2;
      if (at == bytes.size() || bytes.substr(at) == "\r") return at;
      begun = true;
      if (!is_token(bytes[at])) {
        fault = Fault{400, "this is no request of HTTP"};
        return at;
      }
    }
    while (!done && !fault) {
      const auto taken = read_line(bytes.substr(at));
      if (taken == 0) break;
      at += taken;
    }
    return at;
  }

  // Beast gets one line and the byte after it, by which it sees that the line is not folded. Lines
  // come one by one because it would otherwise wait for the whole head before it finds a fault.
  std::size_t read_line(std::string_view bytes) {
    const auto room = max_bytes - taken_bytes;
    const auto feed_at = bytes.substr(0, room).find('\n');
    if (feed_at == std::string_view::npos) {
      if (bytes.size() >= room)
        fault = in_fields ? Fault{431, "the header fields are too long"}
                          : Fault{414, "the request line is too long"};
      return 0;
    }
    const auto length = feed_at + 1;
    const bool last = in_fields && bytes.substr(0, length) == "\r\n";
    if (!last && bytes.size() == length) return 0;
    if (!last && (bytes[length] == ' ' || bytes[length] == '\t')) {
      fault = Fault{400, "a header field is folded over several lines"};
      return 0;
    }
    boost::beast::error_code code;
    const auto taken =
        grammar.put(boost::asio::const_buffer(bytes.data(), length + (last ? 0 : 1)), code);
    if (code && code != http::error::need_more) {
      fault = fault_of(code, bytes.substr(0, length));
    } else if (fields.fault) {
      fault = fields.fault;
    } else if (taken != length) {
      fault = Fault{400, "the head of the request is broken"};
    } else {
      taken_bytes += taken;
      in_fields = true;
      if (grammar.is_done()) finish();
      return taken;
    }
    return 0;
  }

  void finish() {
    done = true;
    request.method = fields.method;
    request.http_1_0 = fields.version == 10;
    request.keep_alive = grammar.keep_alive();
    fault = read_target(fields, request);
    if (!fault && fields.hosts != 1 && (fields.hosts > 1 || !request.http_1_0))
      fault = Fault{400, "a request names its host in one header field Host"};
    if (fault) return;
    if (!fields.transfer_encoding.empty()) {
      if (lower_ascii(trim(fields.transfer_encoding)) != "chunked")
        fault = Fault{501, "the one transfer coding that is known is chunked"};
      else if (request.http_1_0)
        fault = Fault{400, "HTTP/1.0 has no transfer codings"};
    }
    if (!fault && !fields.expect.empty()) {
      plan.expects_continue = !request.http_1_0;
      if (lower_ascii(trim(fields.expect)) != "100-continue")
        fault = Fault{417, "the one expectation that is known is 100-continue"};
    }
    plan.chunked = grammar.chunked();
    plan.length = grammar.content_length().value_or(0);
    request.authorization = fields.authorization.value_or("");
    request.content_type = fields.content_type.value_or("");
    request.session = fields.session.value_or("");
    request.accept = fields.accept;
  }

  std::size_t max_bytes, taken_bytes = 0;
  bool begun = false, in_fields = false, done = false;
  std::optional<Fault> fault;
  Fields fields;
  Grammar grammar;
  Request request;
  BodyPlan plan;
};

RequestHead::RequestHead(std::size_t max_bytes) : impl_(std::make_unique<Impl>(max_bytes)) {}
RequestHead::~RequestHead() = default;
std::size_t RequestHead::read(std::string_view bytes) {
  return impl_->read(bytes);
}
const std::optional<Fault>& RequestHead::fault() const {
  return impl_->fault;
}
bool RequestHead::begun() const {
  return impl_->begun;
}
bool RequestHead::done() const {
  return impl_->done;
}
BodyPlan RequestHead::plan() const {
  return impl_->plan;
}
Request RequestHead::take() {
  return std::move(impl_->request);
}

}  // namespace seedbed::engine::server
