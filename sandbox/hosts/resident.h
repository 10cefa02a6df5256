// A program that stays in a box and answers: what tool hosts are made of. It is spoken to through
// its standard input, answers in messages that a byte ends, and says what it likes on streams that
// are kept bounded.
#pragma once
#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "sandbox/box/output.h"
#include "sandbox/boxes.h"

namespace seedbed::sandbox {

// Where messages come from, and what is left for its own words.
enum class Talk : std::uint8_t {
  error_stream,  // messages on standard error; standard output is the program's own
  socket,        // standard input is a socket, both ways; output and error are the program's own
  output_stream  // messages on standard output; standard error is the program's own
};

struct Heard {
  enum class What : std::uint8_t { message, deadline, overlong, program_ended, box_ended };
  What what = What::message;
  std::string message;       // without the byte that ends it
  int code = 0, signal = 0;  // program_ended
};

class Resident {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kMaxMessage = 4 << 20;

  // `box` outlives it. Error{sandbox}: the program cannot start, or the machine gives no
  // descriptors.
  static Result<std::unique_ptr<Resident>> start(LiveBox& box,
                                                 const Command& command,
                                                 Talk talk,
                                                 char end);
  ~Resident();  // ends the program; what it started stays until the box ends
  Resident(const Resident&) = delete;
  Resident& operator=(const Resident&) = delete;

  // All of it, or until the time; false where the program does not read or is gone.
  bool say(std::string_view bytes, Clock::time_point deadline);
  // The next message; none once the time is up, however many there are: whoever floods its channel
  // does not hold up the host. What the program says on its streams meanwhile goes to `out` and
  // `err`, where these are given, else nowhere.
  Heard hear(Clock::time_point deadline,
             box::BoundedText* out = nullptr,
             box::BoundedText* err = nullptr);
  void interrupt(int signal);  // its process group
  // All in the box but it and these process groups; waits until that is done.
  void kill_rest(const std::vector<int>& spared);
  bool alive();  // as far as is known now

 private:
  Resident(LiveBox& box, char end) : box_(box), end_(end) {}
  void read_streams(box::BoundedText* out, box::BoundedText* err);
  bool read_messages();
  bool take(Heard& heard);
  void hear_box(Heard& heard);
  void heed(const box::Told& told, Heard& heard);

  LiveBox& box_;
  char end_;
  std::uint32_t job_ = 0;
  Fd in_, messages_, out_, err_;
  std::string kept_;  // of messages
  std::size_t taken_ = 0, searched_ = 0;
  bool alive_ = true, closing_ = false;
  Heard ended_;
};

}  // namespace seedbed::sandbox
