// A Python that stays in a box: names are kept from one piece of code to the next, as at a prompt.
//
// The box holds a server that has imported what is wanted and forks sessions (session.py): a
// session starts in the time of a fork, and one that was lost is replaced as fast. At the deadline
// the code is interrupted (KeyboardInterrupt; names are kept); what heeds no interrupt is killed
// with its session, and the reply says so.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/hosts/resident.h"
#include "schemas/value.h"

namespace seedbed::sandbox {

struct PythonReply {
  enum class End : std::uint8_t {
    done,           // it ran, or an error of its own ended it (`error`)
    deadline,       // interrupted; the session is the same
    session_ended,  // `exit()`, a crash, or it heeded no interrupt: the next code has a new session
    box_ended       // all is lost
  };
  End end = End::done;
  std::string output, errors;                       // what was written to standard output and error
  std::uint64_t output_bytes = 0, error_bytes = 0;  // before anything was left out
  std::string value;  // repr of the last expression, "" where there is none or it is None
  std::string error;  // the traceback from the code's own frames on
  int signal = 0;     // session_ended: what killed it
  std::int64_t wall_us = 0;
};
constexpr std::array<std::string_view, 4> enum_names(PythonReply::End) {
  return {"done", "deadline", "session_ended", "box_ended"};
}

class PythonHost {
 public:
  struct Options {
    std::vector<std::string> env = Command{}.env;
    std::string directory = "/work", program = "python3";
    std::vector<std::string> warm;         // modules that the server imports
    std::size_t output_bytes = 256 << 10;  // of each stream
  };
  // Starts the server. Error{sandbox}: the box has no python3.
  static Result<std::unique_ptr<PythonHost>> open(std::unique_ptr<LiveBox> box, Options options);

  // In the session, which the first call starts. Error: the machine's fault alone.
  Result<PythonReply> run(std::string_view code, Milliseconds wall);
  // In a process of its own that ends with it: nothing is kept. There must be no session.
  Result<PythonReply> call(std::string_view code, Milliseconds wall);
  // Ends the session: the next run has a new one. Reset level R1: files stay.
  Step restart();

  [[nodiscard]] LiveBox& box() { return *box_; }
  std::unique_ptr<LiveBox> take_box();

 private:
  PythonHost(std::unique_ptr<LiveBox> box, Options options)
      : box_(std::move(box)), options_(std::move(options)) {}
  Step start();
  Step begin_session();
  bool say(const schemas::Value& message);
  std::optional<schemas::Value> hear(Resident::Clock::time_point deadline, Heard& heard);
  Result<PythonReply> ask(std::string_view code, Milliseconds wall, bool once);
  void kill_session(PythonReply& reply);
  static void fill(const schemas::Value& answer, PythonReply& reply);

  std::unique_ptr<LiveBox> box_;
  Options options_;
  std::unique_ptr<Resident> server_;
  std::optional<box::BoundedText> out_, err_;
  bool session_ = false;
  std::int64_t next_ = 1, started_ = 0;  // numbers of requests; started_: of what runs, or ran last
};

}  // namespace seedbed::sandbox
