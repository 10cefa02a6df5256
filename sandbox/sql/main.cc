// seedbed-sql-host: serves one environment's tools over the socket at descriptor 3
// (sandbox/sql_wire.h). One thread, one request at a time. Ends when the socket does; ends with 2
// where the stream makes no sense, with 4 where the state is lost.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "sandbox/sql/engine.h"
#include "sandbox/sql/json_out.h"
#include "sandbox/sql/session.h"
#include "sandbox/sql_wire.h"
#include "schemas/reflect.h"

namespace seedbed::sandbox::sql {
namespace {

using schemas::End;
using schemas::Value;

constexpr int kExitStream = 2;
constexpr int kExitState = 4;
constexpr std::int64_t kMaxWallMs = 600'000;

class Input {
 public:
  enum class Got : std::uint8_t { frame, closed, nonsense };
  // The payload stays valid until the next call.
  Got frame(std::string_view& payload) {
    buffer_.erase(0, used_);
    used_ = 0;
    while (buffer_.size() < 4)
      if (!more(4)) return buffer_.empty() ? Got::closed : Got::nonsense;
    const std::size_t size = wire::get_u32(buffer_, 0);
    if (size > wire::kFrameMax) return Got::nonsense;
    while (buffer_.size() < 4 + size)
      if (!more(4 + size)) return Got::nonsense;
    payload = std::string_view(buffer_).substr(4, size);
    used_ = 4 + size;
    return Got::frame;
  }

 private:
  bool more(std::size_t wanted) {
    const std::size_t had = buffer_.size();
    const std::size_t room =
        std::min<std::size_t>(std::max<std::size_t>(wanted - had, 16U << 10), 1U << 20);
    buffer_.resize(had + room);
    ssize_t got = 0;
    do got = read(wire::kHostDescriptor, buffer_.data() + had, room);
    while (got < 0 && errno == EINTR);
    buffer_.resize(had + static_cast<std::size_t>(got > 0 ? got : 0));
    return got > 0;
  }
  std::string buffer_;
  std::size_t used_ = 0;
};

bool write_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = write(wire::kHostDescriptor, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  return true;
}

struct LoadRequest {
  std::vector<schemas::Tool> tools;
  std::int64_t now_minutes = 0;
  std::string image_hash;
};
template <class V>
void fields(V&& at, LoadRequest& x) {
  at("tools", x.tools, "tools of the environment");
  at("now_minutes", x.now_minutes, "the environment's fixed now");
  at("image_hash", x.image_hash, "hash that the image must have, or empty");
}

Error bad_request(std::string_view at, std::string_view found) {
  return make_error(Where::sandbox, "request", at, found, "see sandbox/sql_wire.h");
}

Value* member(Value& object, std::string_view name) {
  if (!object.is_object()) return nullptr;
  for (auto& [key, value] : object.members())
    if (key == name) return &value;
  return nullptr;
}

class Host {
 public:
  int serve() {
    std::string_view payload;
    for (;;) {
      switch (input_.frame(payload)) {
        case Input::Got::closed:
          return 0;
        case Input::Got::nonsense:
          return kExitStream;
        case Input::Got::frame:
          break;
      }
      if (!answer(payload)) return kExitStream;
      wire::finish_frame(reply_);
      if (!write_all(reply_)) return 0;
      if (reply_.capacity() > (4U << 20)) reply_ = std::string();
      if (session_ != nullptr && session_->broken()) return kExitState;
    }
  }

 private:
  void begin(wire::Status status, End end) { wire::begin_reply(reply_, id_, status, end); }
  void refuse(const Error& error) {
    begin(wire::Status::refused, End::ok);
    reply_ += error.message;
  }

  // False where the stream makes no sense any more.
  bool answer(std::string_view payload) {
    id_ = 0;
    auto parsed = schemas::parse_json(payload, {wire::kFrameMax, wire::kMaxDepth});
    if (!parsed.ok() || !parsed->is_object()) {
      refuse(bad_request("", parsed.ok() ? "no object" : parsed.error().message));
      return true;
    }
    Value request = *std::move(parsed);
    id_ = static_cast<std::uint32_t>(request.integer("id"));
    const std::string op = request.text("op");
    if (op == "load") return load(request);
    if (op == "ping") {
      begin(wire::Status::done, End::ok);
      reply_ += stats();
    } else if (session_ == nullptr) {
      refuse(bad_request(op, "nothing is loaded"));
    } else if (op == "call") {
      call(request);
    } else if (op == "play") {
      play(request);
    } else if (op == "reset") {
      if (session_->reset())
        begin(wire::Status::done, End::ok);
      else
        refuse(bad_request(op, "the state could not be brought back"));
    } else if (op == "changes") {
      begin(wire::Status::done, End::ok);
      reply_ += schemas::encode_changes(session_->changes());
      if (reply_.size() > wire::kFrameMax) refuse(bad_request(op, "more than 64 MiB of changes"));
    } else if (op == "digest") {
      begin(wire::Status::done, End::ok);
      reply_ += session_->digest();
    } else {
      refuse(bad_request(op, "an unknown op"));
    }
    return true;
  }

  bool load(Value& request) {
    std::string_view image;
    std::erase_if(request.members(),
                  [](const auto& m) { return m.first == "id" || m.first == "op"; });
    auto wanted = schemas::read_record<LoadRequest>(request, "load");
    if (input_.frame(image) != Input::Got::frame) return false;
    session_.reset();
    if (!wanted.ok()) {
      refuse(wanted.error());
      return true;
    }
    auto made = Session::load(wanted->tools, wanted->now_minutes, wanted->image_hash, image);
    if (!made.ok()) {
      refuse(made.error());
      return true;
    }
    session_ = *std::move(made);
    begin(wire::Status::done, End::ok);
    return true;
  }

  static std::int64_t deadline(const Value& request) {
    return monotonic_us() +
           std::clamp<std::int64_t>(request.integer("wall_ms", 2000), 1, kMaxWallMs) * 1000;
  }

  void call(Value& request) {
    Value* found = member(request, "args");
    Value args = found == nullptr ? Value::object() : std::move(*found);
    const Outcome outcome =
        session_->call(request.text("tool"), std::move(args), deadline(request));
    begin(wire::Status::done, outcome.end);
    reply_ += outcome.out;
  }

  void play(Value& request) {
    std::vector<std::vector<PlannedCall>> plans;
    Value* all = member(request, "plans");
    if (all == nullptr || !all->is_array() || all->items().size() > wire::kMaxPlans)
      return refuse(bad_request("plans", "no array, or over 20000"));
    for (auto& plan : all->items()) {
      plans.emplace_back();
      if (!plan.is_array() || plan.items().size() > wire::kMaxPlanCalls)
        return refuse(bad_request("plans", "a plan that is no array, or over 1000 calls"));
      for (auto& call : plan.items()) {
        Value* args = member(call, "args");
        plans.back().push_back(
            {call.text("tool"), args == nullptr ? Value::object() : std::move(*args)});
      }
    }
    auto body = session_->play(plans, deadline(request));
    if (!body.ok()) return refuse(body.error());
    begin(wire::Status::done, End::ok);
    reply_ += *body;
  }

  [[nodiscard]] std::string stats() const {
    const Counts c = session_ == nullptr ? Counts{} : session_->counts();
    std::string out;
    const auto put = [&](std::string_view name, std::int64_t x) {
      out += out.empty() ? '{' : ',';
      append_string(name, out);
      out += ':';
      append_int(x, out);
    };
    put("calls", c.calls);
    put("resets", c.resets);
    put("rebuilt", c.rebuilt);
    put("reprepared", c.reprepared);
    put("statements", c.statements);
    put("heap_bytes", c.heap_bytes);
    put("reset_ns", c.reset_ns);
    return out += '}';
  }

  Input input_;
  std::string reply_;
  std::uint32_t id_ = 0;
  std::unique_ptr<Session> session_;
};

}  // namespace
}  // namespace seedbed::sandbox::sql

int main() {
  using namespace seedbed::sandbox::sql;  // NOLINT(google-build-using-namespace): main names two
                                          // things of it
  if (!start_engine()) return kExitState;
  try {
    return Host().serve();
  } catch (
      const std::exception&) {  // out of memory outside SQLite: the parent sees the socket close
    return kExitState;
  }
}
