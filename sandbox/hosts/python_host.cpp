#include "sandbox/hosts/python_host.h"

#include <sys/wait.h>

#include <csignal>

#include "base/text.h"

namespace seedbed {
extern const char kPythonSession[];  // session.py
}  // namespace seedbed

namespace seedbed::sandbox {
namespace {

using Clock = Resident::Clock;
using schemas::Value;
constexpr Milliseconds kStartTime{10'000}, kHeedTime{500}, kKillTime{2'000};
constexpr std::size_t kMostCodeBytes = 1 << 20;

Error of_server(const Heard& heard, const std::string& wanted) {
  return make_error(
      Where::sandbox, "python", "session.py",
      "found " + std::string(heard.what == Heard::What::deadline ? "no answer" : "it ended") +
          (heard.message.empty() ? "" : " (" + heard.message + ")") + ", wanted " + wanted,
      "give the box a /usr with python3 and some memory");
}

bool is_number(const Value* value, std::int64_t number) {
  return value != nullptr && value->is_int() && value->as_int() == number;
}

}  // namespace

Result<std::unique_ptr<PythonHost>> PythonHost::open(std::unique_ptr<LiveBox> box,
                                                     Options options) {
  std::unique_ptr<PythonHost> self(new PythonHost(std::move(box), std::move(options)));
  if (auto failed = self->start()) return *std::move(failed);
  return self;
}

Step PythonHost::start() {
  Command command;
  command.argv = {options_.program, "-I", "-c", kPythonSession};
  command.env = options_.env;
  if (!options_.warm.empty()) command.env.push_back("SEEDBED_WARM=" + join(options_.warm, ","));
  command.directory = options_.directory;
  SEEDBED_TRY(server_, Resident::start(*box_, command, Talk::socket, '\n'));
  session_ = false;
  out_.emplace(options_.output_bytes);
  err_.emplace(options_.output_bytes);
  Heard heard;
  const auto ready = hear(Clock::now() + kStartTime, heard);
  if (!ready || ready->find("serving") == nullptr) {
    if (heard.message.empty()) heard.message = std::string(trim(err_->text()));
    return of_server(heard, "a server that is ready");
  }
  return std::nullopt;
}

bool PythonHost::say(const Value& message) {
  return server_->say(dump(message) + "\n", Clock::now() + kStartTime);
}

// The next message that is a JSON object; what is none was written by the code itself.
std::optional<Value> PythonHost::hear(Clock::time_point deadline, Heard& heard) {
  for (;;) {
    heard = server_->hear(deadline, &*out_, &*err_);
    if (heard.what != Heard::What::message) return std::nullopt;
    auto value = schemas::parse_json(heard.message);
    if (value.ok() && value->is_object()) return *std::move(value);
  }
}

// Code can write what it likes to the channel, so that host and server are at odds about whether
// there is a session: then all of it begins anew.
Step PythonHost::begin_session() {
  for (int tries = 0; !session_; ++tries) {
    Heard heard;
    started_ = next_++;
    const bool said = say(Value::object().set("start", "session").set("id", started_));
    const auto deadline = Clock::now() + (tries == 0 ? kKillTime : kStartTime);
    while (said && !session_) {
      const auto message = hear(deadline, heard);
      if (!message) break;
      session_ = is_number(message->find("ready"), started_);
    }
    if (session_) break;
    if (tries > 0) return of_server(heard, "a session");
    server_.reset();
    box_->kill_all();
    if (auto failed = start()) return failed;
  }
  return std::nullopt;
}

Result<PythonReply> PythonHost::run(std::string_view code, Milliseconds wall) {
  return ask(code, wall, false);
}
Result<PythonReply> PythonHost::call(std::string_view code, Milliseconds wall) {
  if (session_)
    return make_error(Where::usage, "python", "call", "found a session, wanted none",
                      "restart() first");
  return ask(code, wall, true);
}

Result<PythonReply> PythonHost::ask(std::string_view code, Milliseconds wall, bool once) {
  if (code.size() > kMostCodeBytes || !is_valid_utf8(code))
    return make_error(
        Where::usage, "python", "code",
        "found " + std::to_string(code.size()) + " bytes, wanted UTF-8 of at most 1 MiB",
        "write a file and import that");
  if (server_ == nullptr || !server_->alive()) {
    if (auto failed = start()) return *std::move(failed);
  }
  out_.emplace(options_.output_bytes);
  err_.emplace(options_.output_bytes);
  const auto begin = Clock::now();
  const auto deadline = begin + wall;
  if (!once) {
    if (auto failed = begin_session()) return *std::move(failed);
  }
  const std::int64_t id = next_++;
  Value request = Value::object().set("id", id).set("code", std::string(code));
  if (once) {
    request.set("start", "call");
    started_ = id;
  }
  PythonReply reply;
  say(request);
  bool ended = false;
  int interrupts = 0;
  auto until = deadline;
  while (!ended) {
    Heard heard;
    const auto message = hear(until, heard);
    if (message) {
      const Value* said_id = message->find("id");
      const Value* status = message->find("ended");
      if (status == nullptr && is_number(said_id, id)) {
        fill(*message, reply);
        // One that was killed meanwhile has an end to be waited for, answer or not.
        const bool ends = interrupts > 1 || reply.error.starts_with("SystemExit");
        if (once || !ends) break;
      } else if (status != nullptr && status->is_int() && is_number(said_id, started_)) {
        const int how = static_cast<int>(status->as_int());
        session_ = false;
        ended = true;
        reply.end = PythonReply::End::session_ended;
        if (WIFSIGNALED(how)) reply.signal = WTERMSIG(how);
      }
      continue;
    }
    if (heard.what != Heard::What::deadline) {
      reply.end = heard.what == Heard::What::box_ended ? PythonReply::End::box_ended
                                                       : PythonReply::End::session_ended;
      reply.signal = heard.signal;
      server_.reset();
      session_ = false;
      break;
    }
    if (reply.end != PythonReply::End::session_ended) reply.end = PythonReply::End::deadline;
    if (interrupts++ == 0) {
      server_->interrupt(SIGINT);
      until = Clock::now() + kHeedTime;
    } else {
      kill_session(reply);
      until = Clock::now() + kKillTime;
      if (interrupts > 2) {  // nor does the server
        server_.reset();
        session_ = false;
        break;
      }
    }
  }
  reply.output = out_->text();
  reply.errors = err_->text();
  reply.output_bytes = out_->total();
  reply.error_bytes = err_->total();
  reply.wall_us =
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin).count();
  return reply;
}

void PythonHost::kill_session(PythonReply& reply) {
  reply.end = PythonReply::End::session_ended;
  server_->kill_rest({});  // the server says how its child ended
}

void PythonHost::fill(const Value& answer, PythonReply& reply) {
  const auto text = [&](const char* name) {
    const Value* value = answer.find(name);
    return value != nullptr && value->is_string() ? value->as_string() : std::string();
  };
  reply.value = text("value");
  reply.error = text("error");
}

Step PythonHost::restart() {
  if (server_ == nullptr || !server_->alive()) return start();
  if (!session_) return std::nullopt;
  server_->kill_rest({});
  Heard heard;
  const auto deadline = Clock::now() + kKillTime;
  while (const auto message = hear(deadline, heard)) {
    if (message->find("ended") == nullptr || !is_number(message->find("id"), started_)) continue;
    session_ = false;
    return std::nullopt;
  }
  server_.reset();
  return start();
}

std::unique_ptr<LiveBox> PythonHost::take_box() {
  server_.reset();
  session_ = false;
  return std::move(box_);
}

}  // namespace seedbed::sandbox
