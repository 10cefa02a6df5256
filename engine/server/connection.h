// One client: reads requests, hands them on one at a time, sends what the answers say.
//
//   reading ──request──► answering ──all said──► flushing ──all sent──► reading
//      │ fault                │ client gone, too slow     │ last answer
//      └────────► flushing    └──────────► closed         └──► lingering ──EOF, time──► closed
//
//   (1) Only the server's thread comes here.  (2) The socket is watched in every state, so that an
//   end of the client's is seen at once; a client that ends its side before it has the answer is
//   gone.  (3) Requests sent ahead wait, at most kMaxAhead bytes of them; then reading pauses, and
//   every sweep asks the kernel whether the client is still there.  (4) A last answer is followed
//   by the end of our side and a short time in which what still comes is dropped: closing at once
//   would reset the connection and could cost the client its answer.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/server/answer.h"
#include "engine/server/loop.h"
#include "engine/server/request_parser.h"
#include "engine/server/response.h"
#include "engine/server/server.h"
#include "engine/service/exchange.h"

namespace seedbed::engine::server {

struct Counters {
  std::atomic<std::int64_t> connections{0}, accepted{0}, requests{0}, refused{0}, gone{0}, slow{0};
};

// What all connections of a server share.
struct Shared {
  ServerOptions options;
  service::Handler handler;
  Counters counters;
  Loop loop;
  std::shared_ptr<Hub> hub;
  std::vector<char> scratch;  // where every read lands first
  bool draining = false;      // each answer is its connection's last
  std::function<void(Connection&)> closed;
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Shared& shared, int fd, std::int64_t now_ms);  // owns fd
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start();
  void refuse(const Fault& fault);  // instead of start()
  void news(const std::shared_ptr<Answer>& answer);
  void sweep(std::int64_t now_ms);  // what time has run out for
  void drain();                     // no further request; closes where none is begun
  void close();

 private:
  enum class Part : std::uint8_t { reading, answering, flushing, lingering, closed };
  void watch();
  void readable();
  void take_in(std::string_view bytes);
  void ended();  // EOF
  void lost();   // reset, or a write that failed
  void go_on();
  bool step();
  bool read_request();
  bool make_answer();
  bool flush();
  void write_out();
  void finish_answer();
  void fail(const Fault& fault);
  void begin_exchange(Request request);
  void give_up(std::atomic<std::int64_t>& counter);  // the client goes without its answer
  void linger();
  [[nodiscard]] std::size_t unsent() const { return out_.size() - out_at_; }

  Shared& shared_;
  Watched socket_;
  RequestParser parser_;
  Part part_ = Part::reading;
  std::shared_ptr<Answer> answer_;
  Reader reader_;
  std::string out_;  // bytes before out_at_ are sent
  std::size_t out_at_ = 0;
  int held_ = 0;  // bytes in the socket that the client had not taken at the last sweep
  std::size_t lingered_ = 0;
  bool begun_ = false;        // bytes of a request came
  bool stream_ = false;       // the head of a stream is out
  bool last_ = false;         // nothing is read after this answer
  bool inside_ = false;       // go_on() is running
  bool watching_ = false;     // a read is waited for
  bool waiting_out_ = false;  // a write is waited for
  std::int64_t since_ms_;     // idle, request begun, or bytes last taken by the client
};

}  // namespace seedbed::engine::server
