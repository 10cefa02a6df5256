#include "sandbox/hosts/resident.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

#include "sandbox/broker/errno_name.h"
#include "sandbox/without_sigpipe.h"

namespace seedbed::sandbox {
namespace {

constexpr Milliseconds kEndTime{2'000};

Error no_descriptors() {
  return make_error(Where::sandbox, "tool host", "",
                    "found no descriptors left: " + errno_name(errno) + ", wanted six",
                    "raise the limit of open files");
}

bool stay(Fd& fd) {
  return ::fcntl(fd.get(), F_SETFL, O_NONBLOCK) == 0;
}
bool pair_of(Fd& reader, Fd& writer) {
  std::array<int, 2> made{};
  if (::pipe2(made.data(), O_CLOEXEC) != 0) return false;
  reader.reset(made[0]);
  writer.reset(made[1]);
  return true;
}

int left_until(Resident::Clock::time_point deadline) {
  const auto left =
      std::chrono::duration_cast<Milliseconds>(deadline - Resident::Clock::now()).count();
  return left < 0 ? 0 : static_cast<int>(std::min<std::int64_t>(left + 1, 60'000));
}

}  // namespace

Result<std::unique_ptr<Resident>> Resident::start(LiveBox& box,
                                                  const Command& command,
                                                  Talk talk,
                                                  char end) {
  std::unique_ptr<Resident> self(new Resident(box, end));
  std::array<Fd, 3> theirs;
  if (talk == Talk::socket) {
    std::array<int, 2> pair{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0)
      return no_descriptors();
    self->in_.reset(pair[0]);
    theirs[0].reset(pair[1]);
    self->messages_.reset(::fcntl(self->in_.get(), F_DUPFD_CLOEXEC, 3));
    if (!self->messages_ || !pair_of(self->out_, theirs[1]) || !pair_of(self->err_, theirs[2]))
      return no_descriptors();
  } else {
    Fd& out = talk == Talk::output_stream ? self->messages_ : self->out_;
    Fd& err = talk == Talk::output_stream ? self->err_ : self->messages_;
    if (!pair_of(theirs[0], self->in_) || !pair_of(out, theirs[1]) || !pair_of(err, theirs[2]))
      return no_descriptors();
  }
  for (Fd* fd : {&self->in_, &self->messages_, &self->out_, &self->err_})
    if (*fd && !stay(*fd)) return no_descriptors();
  SEEDBED_TRY(self->job_, box.spawn(command, {theirs[0].get(), theirs[1].get(), theirs[2].get()}));
  return self;
}

Resident::~Resident() {
  if (alive_) interrupt(SIGKILL);
}

void Resident::interrupt(int signal) {
  box_.signal(job_, signal);
}
void Resident::kill_rest(const std::vector<int>& spared) {
  box_.kill_rest(job_, spared);
  const auto deadline = Clock::now() + kEndTime;
  while (alive_ && !box_.ended() && Clock::now() < deadline) {
    const auto told = box_.next(Milliseconds(left_until(deadline)));
    if (!told) continue;
    if (told->job == job_ && told->what == box::Tell::killed) return;
    heed(*told, ended_);
  }
}

bool Resident::say(std::string_view bytes, Clock::time_point deadline) {
  while (alive_ && in_ && !bytes.empty()) {
    // A socket and a pipe alike, without SIGPIPE.
    ssize_t n = ::send(in_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == ENOTSOCK) {
      const WithoutSigpipe quiet;
      n = ::write(in_.get(), bytes.data(), bytes.size());
    }
    if (n > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return false;
    const int left = left_until(deadline);
    pollfd polled{in_.get(), POLLOUT, 0};
    if (left == 0 || (::poll(&polled, 1, left) < 0 && errno != EINTR)) return false;
  }
  return bytes.empty();
}

void Resident::read_streams(box::BoundedText* out, box::BoundedText* err) {
  std::array<char, 65536> piece{};
  for (const auto& [fd, text] : {std::pair{&out_, out}, std::pair{&err_, err}})
    for (int round = 0; *fd && round < 16; ++round) {
      const ssize_t n = ::read(fd->get(), piece.data(), piece.size());
      if (n > 0 && text != nullptr) text->add({piece.data(), static_cast<std::size_t>(n)});
      if (n > 0) continue;
      if (n == 0 || (errno != EAGAIN && errno != EINTR)) fd->reset();
      break;
    }
}

// False where nobody will ever say more.
bool Resident::read_messages() {
  std::array<char, 65536> piece{};
  while (messages_ && kept_.size() - taken_ <= kMaxMessage) {
    const ssize_t n = ::read(messages_.get(), piece.data(), piece.size());
    if (n > 0) {
      kept_.append(piece.data(), static_cast<std::size_t>(n));
      if (static_cast<std::size_t>(n) < piece.size()) return true;
      continue;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    messages_.reset();
  }
  return static_cast<bool>(messages_);
}

bool Resident::take(Heard& heard) {
  const auto at = kept_.find(end_, searched_);
  if (at == std::string::npos) {
    kept_.erase(0, std::exchange(taken_, 0));
    searched_ = kept_.size();
    if (kept_.size() <= kMaxMessage) return false;
    heard.what = Heard::What::overlong;
    kept_.clear();
    searched_ = 0;
    return true;
  }
  heard.what = Heard::What::message;
  heard.message = kept_.substr(taken_, at - taken_);
  searched_ = taken_ = at + 1;
  // Seldom enough that a flood of short messages costs no more than its bytes.
  if (taken_ > kept_.size() / 2) {
    kept_.erase(0, taken_);
    searched_ = taken_ = 0;
  }
  return true;
}

void Resident::heed(const box::Told& told, Heard& heard) {
  if (told.job != job_ || told.what == box::Tell::ready || told.what == box::Tell::killed) return;
  alive_ = false;
  heard.what = Heard::What::program_ended;
  if (told.what == box::Tell::failed) {
    heard.message = std::string(told.stage.data()) + ": " + errno_name(told.error);
    heard.code = 127;
  } else if (told.code == CLD_EXITED) {
    heard.code = told.status;
  } else {
    heard.signal = told.status;
  }
}

void Resident::hear_box(Heard& heard) {
  while (const auto told = box_.next(Milliseconds(0))) heed(*told, heard);
  if (box_.ended() && alive_) {
    alive_ = false;
    heard.what = Heard::What::box_ended;
  }
}

bool Resident::alive() {
  if (alive_) hear_box(ended_);
  return alive_;
}

Heard Resident::hear(Clock::time_point deadline, box::BoundedText* out, box::BoundedText* err) {
  for (;;) {
    Heard heard;
    read_messages();
    read_streams(out, err);
    if (Clock::now() < deadline && take(heard)) {
      read_streams(out, err);  // what was said before the message
      return heard;
    }
    if (!alive_) return ended_;
    // Its channel is closed: it has ended, and pid 1 says so at once, unless another reader of the
    // box took that word.
    if (!messages_ && !closing_) {
      closing_ = true;
      deadline = std::min(deadline, Clock::now() + kEndTime);
    }
    const int left = left_until(deadline);
    if (left == 0 && !messages_) {
      interrupt(SIGKILL);  // should it live on without its channel
      alive_ = false;
      ended_.what = Heard::What::program_ended;
      ended_.code = -1;
      return ended_;
    }
    if (left == 0) {
      heard.what = Heard::What::deadline;
      return heard;
    }
    std::array<pollfd, 4> polled = {{{box_.control(), POLLIN, 0},
                                     {messages_ ? messages_.get() : -1, POLLIN, 0},
                                     {out_ ? out_.get() : -1, POLLIN, 0},
                                     {err_ ? err_.get() : -1, POLLIN, 0}}};
    if (::poll(polled.data(), polled.size(), left) < 0 && errno != EINTR) {
      heard.what = Heard::What::box_ended;
      return heard;
    }
    if (polled[0].revents == 0) continue;
    hear_box(heard);
    if (!alive_) ended_ = heard;  // after what it still said
  }
}

}  // namespace seedbed::sandbox
