#include "sandbox/hosts/shell_host.h"

#include <algorithm>
#include <charconv>
#include <csignal>

#include "base/text.h"

namespace seedbed::sandbox {
namespace {

using Clock = Resident::Clock;
constexpr Milliseconds kStartTime{10'000}, kHeedTime{500}, kKillTime{2'000};
constexpr std::size_t kMostCommandBytes = 1 << 20;

// What comes first: messages on 251, bash's own words nowhere, background jobs as process groups.
constexpr std::string_view kBoot =
    "exec 251>&2 2>/dev/null; set +H +o history -m; unset HISTFILE; PS1= PS2=; "
    "printf '0\\n%s\\n\\0' \"$PWD\" >&251\n";
// Number of the command, status, directory, process groups of jobs.
std::string tell(std::int64_t id) {
  return "\nprintf '" + std::to_string(id) +
         "\\n%d\\n%s\\n%s\\0' \"$?\" \"$PWD\" \"$(jobs -p)\" >&251\n";
}

// As one word that the shell reads as these bytes.
std::string quoted(std::string_view text) {
  std::string out = "$'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20) {
      constexpr std::string_view kHex = "0123456789abcdef";
      out += "\\x";
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[static_cast<unsigned char>(c) & 15];
    } else {
      out += c;
    }
  }
  return out + "'";
}

int number(std::string_view text, int otherwise) {
  int out = otherwise;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

}  // namespace

Result<std::unique_ptr<ShellHost>> ShellHost::open(std::unique_ptr<LiveBox> box, Options options) {
  std::unique_ptr<ShellHost> self(new ShellHost(std::move(box), std::move(options)));
  if (auto failed = self->start()) return *std::move(failed);
  return self;
}

Step ShellHost::start() {
  Command command;
  command.argv = {"bash", "--noprofile", "--norc", "--noediting", "-i"};
  command.env = options_.env;
  command.directory = options_.directory;
  SEEDBED_TRY(shell_, Resident::start(*box_, command, Talk::error_stream, '\0'));
  const auto deadline = Clock::now() + kStartTime;
  background_.clear();
  if (!shell_->say(kBoot, deadline))
    return make_error(Where::sandbox, "shell", "bash", "found it not listening, wanted a prompt",
                      "look at the box");
  const Heard heard = shell_->hear(deadline);
  if (heard.what != Heard::What::message)
    return make_error(Where::sandbox, "shell", "bash",
                      "found it ended" + (heard.message.empty() ? "" : " (" + heard.message + ")") +
                          ", wanted a prompt",
                      "give the box a /usr with bash and some memory");
  directory_ = options_.directory;
  return std::nullopt;
}

Result<ShellReply> ShellHost::run(std::string_view command, Milliseconds wall) {
  if (command.size() > kMostCommandBytes || command.find('\0') != std::string_view::npos)
    return make_error(
        Where::usage, "shell", "command",
        "found " + std::to_string(command.size()) + " bytes, wanted at most 1 MiB without NUL",
        "write a file and run that");
  if (shell_ == nullptr || !shell_->alive()) {
    if (auto failed = start()) return *std::move(failed);
  }
  const auto begin = Clock::now();
  const auto deadline = begin + wall;
  box::BoundedText text(options_.output_bytes);
  ShellReply reply;
  const std::int64_t id = next_++;
  const bool said =
      shell_->say("eval " + quoted(command) + " </dev/null 2>&1 251>&-" + tell(id), deadline);
  Heard heard = hear(id, said ? deadline : Clock::now(), text);
  if (heard.what == Heard::What::deadline) {
    reply.end = ShellReply::End::deadline;
    for (const auto patience : {kHeedTime, kKillTime}) {
      // A loop of the shell's own heeds an interrupt; programs that it waits for may not.
      shell_->interrupt(SIGINT);
      shell_->kill_rest(background_);
      // Once more: an interrupt takes the rest of what the shell has read along.
      shell_->say(tell(id), Clock::now() + patience);
      heard = hear(id, Clock::now() + patience, text);
      if (heard.what != Heard::What::deadline) break;
    }
    if (heard.what == Heard::What::deadline) {
      shell_.reset();  // it heeds nothing
      box_->kill_all();
      heard.what = Heard::What::program_ended;
      heard.code = -1;
    }
  }
  reply = end_of(heard, std::move(reply));
  reply.output = text.text();
  reply.output_bytes = text.total();
  reply.wall_us =
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin).count();
  return reply;
}

// What command `id` tells; what an earlier one told twice is dropped.
Heard ShellHost::hear(std::int64_t id, Clock::time_point deadline, box::BoundedText& text) {
  const std::string mark = std::to_string(id) + "\n";
  for (;;) {
    Heard heard = shell_->hear(deadline, &text);
    if (heard.what != Heard::What::message) return heard;
    if (!heard.message.starts_with(mark)) continue;
    heard.message.erase(0, mark.size());
    return heard;
  }
}

ShellReply ShellHost::end_of(const Heard& heard, ShellReply reply) {
  reply.directory = directory_;
  switch (heard.what) {
    case Heard::What::message: {
      const auto lines = split(heard.message, '\n');
      reply.exit_code = number(lines[0], -1);
      if (lines.size() > 1) reply.directory = directory_ = lines[1];
      background_.clear();
      for (std::size_t i = 2; i < lines.size(); ++i)
        if (const int group = number(lines[i], 0); group > 1) background_.push_back(group);
      return reply;
    }
    case Heard::What::program_ended:
      reply.end = ShellReply::End::shell_ended;
      reply.exit_code = heard.signal != 0 ? -1 : heard.code;
      break;
    case Heard::What::overlong:
      shell_.reset();
      reply.end = ShellReply::End::shell_ended;
      reply.exit_code = -1;
      break;
    default:
      reply.end = ShellReply::End::box_ended;
  }
  shell_.reset();
  directory_ = options_.directory;
  background_.clear();
  return reply;
}

FileReply ShellHost::read_file(const std::string& path) {
  return WorkFiles(box_->work(), options_.file_bytes).read(path);
}
FileReply ShellHost::write_file(const std::string& path, std::string_view text) {
  return WorkFiles(box_->work(), options_.file_bytes).write(path, text);
}
FileReply ShellHost::list(const std::string& path) {
  return WorkFiles(box_->work(), options_.file_bytes).list(path);
}

FileReply ShellHost::replace(const std::string& path, std::string_view from, std::string_view to) {
  return WorkFiles(box_->work(), options_.file_bytes).replace(path, from, to);
}

std::unique_ptr<LiveBox> ShellHost::take_box() {
  shell_.reset();
  return std::move(box_);
}

}  // namespace seedbed::sandbox
