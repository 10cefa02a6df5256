#include "sandbox/sql_wire.h"

#include <cstring>

#include "base/text.h"

namespace seedbed::sandbox::wire {
namespace {

Error bad(std::string_view what, std::string_view found) {
  return make_error(Where::sandbox, "reply of the tool host", what, found, "replace the host");
}

// Reads numbers and byte runs; every step is checked against what is left.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  bool u8(std::uint8_t& x) {
    if (bytes_.empty()) return false;
    x = static_cast<std::uint8_t>(bytes_.front());
    bytes_.remove_prefix(1);
    return true;
  }
  bool u32(std::uint32_t& x) {
    if (bytes_.size() < 4) return false;
    x = get_u32(bytes_, 0);
    bytes_.remove_prefix(4);
    return true;
  }
  bool run(std::string_view& x) {
    std::uint32_t size = 0;
    if (!u32(size) || size > bytes_.size()) return false;
    x = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return true;
  }
  [[nodiscard]] std::size_t left() const { return bytes_.size(); }

 private:
  std::string_view bytes_;
};

// A JSON text's syntax and nothing else.
class Syntax {
 public:
  explicit Syntax(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}
  bool whole() {
    if (!value(0)) return false;
    space();
    return at_ == end_;
  }

 private:
  void space() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\t' || *at_ == '\r')) ++at_;
  }
  bool take(char c) {
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }
  bool word(std::string_view w) {
    if (static_cast<std::size_t>(end_ - at_) < w.size() || std::string_view(at_, w.size()) != w)
      return false;
    at_ += w.size();
    return true;
  }
  static bool is_digit(char c) { return c >= '0' && c <= '9'; }
  bool digits() {
    if (at_ == end_ || !is_digit(*at_)) return false;
    while (at_ != end_ && is_digit(*at_)) ++at_;
    return true;
  }
  bool number() {
    if (at_ != end_ && *at_ == '-') ++at_;
    if (at_ != end_ && *at_ == '0')
      ++at_;
    else if (!digits())
      return false;
    if (at_ != end_ && *at_ == '.') {
      ++at_;
      if (!digits()) return false;
    }
    if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
      ++at_;
      if (at_ != end_ && (*at_ == '+' || *at_ == '-')) ++at_;
      if (!digits()) return false;
    }
    return true;
  }
  bool escape() {
    if (at_ == end_) return false;
    const char c = *at_++;
    if (std::strchr("\"\\/bfnrt", c) != nullptr && c != '\0') return true;
    if (c != 'u' || end_ - at_ < 4) return false;
    for (int i = 0; i < 4; ++i, ++at_)
      if (!is_digit(*at_) && !(*at_ >= 'a' && *at_ <= 'f') && !(*at_ >= 'A' && *at_ <= 'F'))
        return false;
    return true;
  }
  bool string() {
    if (!take('"')) return false;
    while (at_ != end_) {
      const char c = *at_++;
      if (c == '"') return true;
      if (static_cast<unsigned char>(c) < 0x20 || (c == '\\' && !escape())) return false;
    }
    return false;
  }
  bool list(int depth, char close, bool named) {
    ++at_;
    space();
    if (take(close)) return true;
    for (;;) {
      if (named) {
        space();
        if (!string()) return false;
        space();
        if (!take(':')) return false;
      }
      if (!value(depth + 1)) return false;
      space();
      if (take(close)) return true;
      if (!take(',')) return false;
    }
  }
  bool value(int depth) {
    space();
    if (at_ == end_ || depth > kMaxDepth) return false;
    switch (*at_) {
      case '{':
        return list(depth, '}', true);
      case '[':
        return list(depth, ']', false);
      case '"':
        return string();
      case 't':
        return word("true");
      case 'f':
        return word("false");
      case 'n':
        return word("null");
      default:
        return number();
    }
  }

  const char* at_;
  const char* end_;
};

bool known_end(std::uint8_t end) {
  return end < enum_names(schemas::End{}).size();
}

Step read_node(Reader& in, PlayNode& node) {
  std::uint8_t end = 0;
  std::string_view out;
  std::string_view changes;
  if (!in.u8(end) || !in.run(out) || !in.run(changes))
    return bad("play", "a call's record is cut short");
  if (!known_end(end)) return bad("play", "an unknown end of a call");
  if (out.size() > kOutMax + kOutSlack || !is_json(out))
    return bad("play", "a result that is no JSON text within its bound");
  node.end = static_cast<schemas::End>(end);
  node.out = out;
  if (changes.empty()) return std::nullopt;
  auto decoded = schemas::decode_changes(changes);
  if (!decoded.ok()) return bad("play", decoded.error().message);
  node.changes = *std::move(decoded);
  return std::nullopt;
}

}  // namespace

void put_u32(std::string& out, std::uint32_t x) {
  const char bytes[4] = {static_cast<char>(x & 0xff), static_cast<char>((x >> 8) & 0xff),
                         static_cast<char>((x >> 16) & 0xff), static_cast<char>(x >> 24)};
  out.append(bytes, 4);
}

void set_u32(std::string& out, std::size_t at, std::uint32_t x) {
  for (unsigned i = 0; i < 4; ++i) out[at + i] = static_cast<char>((x >> (8 * i)) & 0xff);
}

std::uint32_t get_u32(std::string_view bytes, std::size_t at) {
  std::uint32_t x = 0;
  for (unsigned i = 0; i < 4; ++i)
    x |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[at + i])) << (8 * i);
  return x;
}

void begin_reply(std::string& out, std::uint32_t id, Status status, schemas::End end) {
  out.clear();
  put_u32(out, 0);
  put_u32(out, id);
  out.push_back(static_cast<char>(status));
  out.push_back(static_cast<char>(end));
  out.append(2, '\0');
}

void finish_frame(std::string& out) {
  set_u32(out, 0, static_cast<std::uint32_t>(out.size() - 4));
}

Result<ReplyHead> read_reply_head(std::string_view payload) {
  if (payload.size() < kReplyHead) return bad("head", "shorter than a head");
  const auto status = static_cast<std::uint8_t>(payload[4]);
  const auto end = static_cast<std::uint8_t>(payload[5]);
  if (status > static_cast<std::uint8_t>(Status::refused)) return bad("head", "an unknown status");
  if (!known_end(end)) return bad("head", "an unknown end of a call");
  if (payload[6] != 0 || payload[7] != 0) return bad("head", "padding that is not zero");
  return ReplyHead{get_u32(payload, 0), static_cast<Status>(status),
                   static_cast<schemas::End>(end)};
}

void put_play_node(std::string& out,
                   schemas::End end,
                   std::string_view text,
                   std::string_view changes) {
  out.push_back(static_cast<char>(end));
  put_u32(out, static_cast<std::uint32_t>(text.size()));
  out.append(text);
  put_u32(out, static_cast<std::uint32_t>(changes.size()));
  out.append(changes);
}

void put_play_plan(std::string& out, const std::vector<std::uint32_t>& nodes) {
  put_u32(out, static_cast<std::uint32_t>(nodes.size()));
  for (const auto n : nodes) put_u32(out, n);
}

Result<PlayBody> read_play_body(std::string_view body) {
  Reader in(body);
  PlayBody play;
  std::uint32_t count = 0;
  constexpr std::size_t kNodeMin = 9;  // end and two sizes: bounds what a count may reserve
  if (!in.u32(count) || count > in.left() / kNodeMin) return bad("play", "more calls than bytes");
  play.nodes.resize(count);
  for (auto& node : play.nodes)
    if (auto e = read_node(in, node)) return *std::move(e);
  if (!in.u32(count) || count > in.left() / 4) return bad("play", "more plans than bytes");
  play.plans.resize(count);
  for (auto& plan : play.plans) {
    if (!in.u32(count) || count > in.left() / 4) return bad("play", "a plan is cut short");
    plan.resize(count);
    for (auto& node : plan)
      if (!in.u32(node) || node >= play.nodes.size())
        return bad("play", "a plan names a call that is not there");
  }
  if (in.left() != 0) return bad("play", "bytes after the last plan");
  return play;
}

bool is_json(std::string_view text) {
  return is_valid_utf8(text) && Syntax(text).whole();
}

}  // namespace seedbed::sandbox::wire
