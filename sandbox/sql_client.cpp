#include "sandbox/sql_client.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/clock.h"
#include "base/hash.h"
#include "schemas/reflect.h"

namespace seedbed::sandbox {
namespace {

constexpr int kControlMs = 5'000;  // reset, changes, digest, ping
constexpr int kLoadMs = 20'000;
constexpr std::size_t kSmallBody = 64U << 10;
constexpr std::size_t kReadStep = 64U << 10;

std::int64_t deadline_in(int wall_ms) {
  return monotonic_us() + static_cast<std::int64_t>(wall_ms) * 1000;
}

// Waits for `events`; false at the deadline.
bool wait_for(int socket, short events, std::int64_t deadline_us) {
  for (;;) {
    const std::int64_t left = deadline_us - monotonic_us();
    if (left < 0) return false;
    pollfd p{socket, events, 0};
    const timespec t{left / 1'000'000, (left % 1'000'000) * 1000};
    const int rc = ppoll(&p, 1, &t, nullptr);
    if (rc > 0) return true;
    if (rc < 0 && errno != EINTR) return true;  // the read or write that follows says why
  }
}

Error in_flight() {
  return make_error(Where::sandbox, "tool host", "", "a call is in flight",
                    "receive its result first");
}

}  // namespace

Error SqlHostClient::give_up(std::string_view found) {
  process_.kill();
  broken_ = found;
  if (const std::string cause = process_.cause(); !cause.empty()) broken_ += " (" + cause + ")";
  in_flight_ = false;
  return make_error(Where::sandbox, "tool host", "", broken_, "replace the host");
}

Step SqlHostClient::ready() const {
  if (!broken_.empty())
    return make_error(Where::sandbox, "tool host", "", broken_, "replace the host");
  if (in_flight_) return in_flight();
  return std::nullopt;
}

void SqlHostClient::begin(std::string_view op) {
  request_.assign(4, '\0');
  request_ += "{\"id\":";
  request_ += std::to_string(++id_);
  request_ += ",\"op\":\"";
  request_ += op;
  request_ += '"';
}

Step SqlHostClient::send_bytes(std::string_view bytes, std::int64_t deadline_us) {
  while (!bytes.empty()) {
    const ssize_t put =
        ::send(process_.socket, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(put));
    } else if (put < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      if (!wait_for(process_.socket, POLLOUT, deadline_us))
        return give_up("it took no request before the deadline");
    } else if (put == 0 || errno != EINTR) {
      return give_up("it closed its socket");
    }
  }
  return std::nullopt;
}

Step SqlHostClient::send_request(std::int64_t deadline_us) {
  request_ += '}';
  if (request_.size() - 4 > wire::kFrameMax)
    return make_error(Where::sandbox, "request to the tool host", "", "over 64 MiB",
                      "send less at once");
  wire::set_u32(request_, 0, static_cast<std::uint32_t>(request_.size() - 4));
  Step sent = send_bytes(request_, deadline_us);
  if (request_.capacity() > (4U << 20)) request_ = std::string();
  return sent;
}

Result<SqlHostClient::Reply> SqlHostClient::receive_reply(std::int64_t deadline_us,
                                                          std::size_t body_max) {
  std::size_t have = 0;
  std::size_t want = 4 + wire::kReplyHead;
  if (reply_.size() < kReadStep || reply_.size() > (4U << 20))
    reply_ = std::string(kReadStep, '\0');
  bool sized = false;
  while (have < want) {
    if (reply_.size() < want) reply_.resize(std::min(want, reply_.size() * 2));
    const ssize_t got =
        recv(process_.socket, reply_.data() + have, reply_.size() - have, MSG_DONTWAIT);
    if (got > 0) {
      have += static_cast<std::size_t>(got);
    } else if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      if (!wait_for(process_.socket, POLLIN, deadline_us))
        return give_up("it gave no reply before the deadline");
    } else if (got == 0 || errno != EINTR) {
      return give_up("it ended before its reply was whole");
    }
    if (!sized && have >= 4) {
      const std::size_t size = wire::get_u32(reply_, 0);
      if (size < wire::kReplyHead || size > wire::kReplyHead + body_max)
        return give_up("a reply of " + std::to_string(size) + " bytes, allowed are " +
                       std::to_string(wire::kReplyHead + body_max));
      want = 4 + size;
      sized = true;
    }
  }
  if (have != want) return give_up("bytes after its reply");
  const std::string_view payload = std::string_view(reply_).substr(4, want - 4);
  auto head = wire::read_reply_head(payload);
  if (!head.ok()) return give_up(head.error().message);
  if (head->id != id_)
    return give_up("a reply to request " + std::to_string(head->id) + ", expected " +
                   std::to_string(id_));
  return Reply{*head, payload.substr(wire::kReplyHead)};
}

Result<SqlHostClient::Reply> SqlHostClient::exchange(int wall_ms, std::size_t body_max) {
  const std::int64_t deadline_us = deadline_in(wall_ms);
  if (auto e = send_request(deadline_us)) return *std::move(e);
  return receive_reply(deadline_us, std::max(body_max, kSmallBody));
}

Step SqlHostClient::load(const schemas::Environment& env, const std::string& image) {
  if (auto e = ready()) return e;
  if (image.size() > wire::kFrameMax)
    return make_error(Where::tool, "state image", "", "over 64 MiB", "make the state smaller");
  begin("load");
  request_ += ",\"tools\":";
  schemas::dump_to(schemas::to_value(env.tools), request_);
  request_ += ",\"now_minutes\":" + std::to_string(env.now_minutes) + ",\"image_hash\":";
  schemas::dump_to(schemas::Value(env.image_hash), request_);
  calls_ = 0;
  const std::int64_t deadline_us = deadline_in(kLoadMs);
  if (auto e = send_request(deadline_us)) return e;
  std::string size;
  wire::put_u32(size, static_cast<std::uint32_t>(image.size()));
  if (auto e = send_bytes(size, deadline_us)) return e;
  if (auto e = send_bytes(image, deadline_us)) return e;
  auto reply = receive_reply(deadline_us, kSmallBody);
  if (!reply.ok()) return reply.error();
  if (reply->head.status == wire::Status::done) return std::nullopt;
  if (!is_valid_utf8(reply->body)) return give_up("a refusal that is no UTF-8");
  return Error{Where::tool, std::string(reply->body)};
}

Step SqlHostClient::reset() {
  if (auto e = ready()) return e;
  begin("reset");
  calls_ = 0;
  auto reply = exchange(kControlMs, 0);
  if (!reply.ok()) return reply.error();
  if (reply->head.status != wire::Status::done)
    return give_up("reset refused: " + std::string(reply->body));
  return std::nullopt;
}

void SqlHostClient::write_call(const schemas::ToolCall& call, int wall_ms) {
  begin("call");
  request_ += ",\"wall_ms\":" + std::to_string(wall_ms) + ",\"tool\":";
  schemas::dump_to(schemas::Value(call.tool), request_);
  request_ += ",\"args\":";
  schemas::dump_to(call.args, request_);
}

Result<schemas::ToolResult> SqlHostClient::read_result(const Reply& reply) {
  if (reply.head.status != wire::Status::done)
    return give_up("call refused: " + std::string(reply.body.substr(0, 500)));
  if (!wire::is_json(reply.body)) return give_up("a result that is no JSON text");
  ++calls_;
  return schemas::ToolResult{reply.head.end, std::string(reply.body)};
}

Result<schemas::ToolResult> SqlHostClient::call(const schemas::ToolCall& call, int wall_ms) {
  if (auto e = ready()) return *std::move(e);
  write_call(call, wall_ms);
  SEEDBED_TRY(const Reply reply, exchange(wall_ms + kGraceMs, wire::kOutMax + wire::kOutSlack));
  return read_result(reply);
}

Step SqlHostClient::send(const schemas::ToolCall& call, int wall_ms) {
  if (auto e = ready()) return e;
  write_call(call, wall_ms);
  if (auto e = send_request(deadline_in(kControlMs))) return e;
  in_flight_ = true;
  return std::nullopt;
}

Result<schemas::ToolResult> SqlHostClient::receive(int wall_ms) {
  if (!broken_.empty())
    return make_error(Where::sandbox, "tool host", "", broken_, "replace the host");
  if (!in_flight_)
    return make_error(Where::sandbox, "tool host", "", "no call is in flight", "send one first");
  SEEDBED_TRY(const Reply reply,
              receive_reply(deadline_in(wall_ms), wire::kOutMax + wire::kOutSlack));
  in_flight_ = false;
  return read_result(reply);
}

Result<std::vector<schemas::RowChange>> SqlHostClient::changes() {
  if (auto e = ready()) return *std::move(e);
  begin("changes");
  SEEDBED_TRY(const Reply reply, exchange(kControlMs, wire::kFrameMax));
  if (reply.head.status != wire::Status::done)
    return give_up("changes refused: " + std::string(reply.body.substr(0, 500)));
  auto changes = schemas::decode_changes(reply.body);
  if (!changes.ok()) return give_up(changes.error().message);
  std::int32_t last = 0;
  for (const auto& change : *changes) {
    if (change.call < last || change.call >= calls_)
      return give_up("a change of a call that was not made");
    last = change.call;
  }
  return changes;
}

Result<std::vector<Played>> SqlHostClient::play(
    const std::vector<std::vector<schemas::ToolCall>>& plans, int wall_ms) {
  if (auto e = ready()) return *std::move(e);
  begin("play");
  request_ += ",\"wall_ms\":" + std::to_string(wall_ms) + ",\"plans\":[";
  for (std::size_t i = 0; i < plans.size(); ++i) {
    request_ += i == 0 ? "[" : ",[";
    for (std::size_t k = 0; k < plans[i].size(); ++k) {
      request_ += k == 0 ? "{\"tool\":" : ",{\"tool\":";
      schemas::dump_to(schemas::Value(plans[i][k].tool), request_);
      request_ += ",\"args\":";
      schemas::dump_to(plans[i][k].args, request_);
      request_ += '}';
    }
    request_ += ']';
  }
  request_ += ']';
  calls_ = 0;
  SEEDBED_TRY(const Reply reply, exchange(wall_ms + kGraceMs, wire::kFrameMax));
  if (reply.head.status != wire::Status::done)
    return make_error(Where::sandbox, "tool host", "play", reply.body.substr(0, 500), "");
  auto body = wire::read_play_body(reply.body);
  if (!body.ok()) return give_up(body.error().message);
  if (body->plans.size() != plans.size()) return give_up("a play of another number of plans");
  std::vector<Played> out(plans.size());
  for (std::size_t i = 0; i < plans.size(); ++i) {
    if (body->plans[i].size() != plans[i].size())
      return give_up("a play of another number of calls");
    for (std::size_t k = 0; k < plans[i].size(); ++k) {
      const auto& node = body->nodes[body->plans[i][k]];
      out[i].results.push_back({node.end, node.out});
      for (const auto& change : node.changes) {
        if (change.call != static_cast<std::int32_t>(k))
          return give_up("a change of a call that was not made");
        out[i].changes.push_back(change);
      }
    }
  }
  return out;
}

Result<std::string> SqlHostClient::digest() {
  if (auto e = ready()) return *std::move(e);
  begin("digest");
  SEEDBED_TRY(const Reply reply, exchange(kControlMs, 0));
  if (reply.head.status != wire::Status::done || !is_content_hash(reply.body))
    return give_up("a digest that is no hash");
  return std::string(reply.body);
}

Result<std::string> SqlHostClient::stats() {
  if (auto e = ready()) return *std::move(e);
  begin("ping");
  SEEDBED_TRY(const Reply reply, exchange(kControlMs, 0));
  if (reply.head.status != wire::Status::done || !wire::is_json(reply.body))
    return give_up("counts that are no JSON");
  return std::string(reply.body);
}

}  // namespace seedbed::sandbox
