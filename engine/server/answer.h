// The answer to one exchange, between the threads that make it and the one that sends it.
//
//   (1) Makers call reply, begin, send, end and on_gone from any thread; they never wait for a
//   socket. What breaks the order that exchange.h asks for is dropped.
//   (2) The server's thread takes what has gathered; many sends become one update.
//   (3) An answer is given up, and the client told, where all copies of an exchange's functions are
//   gone before its end.
#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/server/request_parser.h"
#include "engine/service/exchange.h"

namespace seedbed::engine::server {

class Answer;
class Connection;

// Where answers with news wait for the server's thread. Lives as long as any answer.
class Hub {
 public:
  explicit Hub(std::function<void()> wake);    // called from any thread, once until the next take()
  bool ready(std::shared_ptr<Answer> answer);  // false once closed
  std::vector<std::shared_ptr<Answer>> take();
  void close();  // wake is not called any more

 private:
  std::mutex mutex_;
  std::function<void()> wake_;  // empty once closed
  std::vector<std::shared_ptr<Answer>> waiting_;
};

// What has gathered since the last one.
struct AnswerUpdate {
  std::optional<service::HttpReply> reply;
  std::optional<std::string> begin;  // the content type
  std::string bytes;
  bool ended = false;    // nothing more comes
  bool overrun = false;  // more than max_unsent bytes gathered; they are dropped
  bool given_up = false;
};

class Answer : public std::enable_shared_from_this<Answer> {
 public:
  Answer(std::shared_ptr<Hub> hub, std::size_t max_unsent_bytes);

  // Any thread.
  void reply(service::HttpReply reply);
  void begin(std::string content_type);
  void send(std::string_view bytes);
  void end();
  void give_up();
  void on_gone(std::function<void()> gone);

  // The server's thread.
  AnswerUpdate take();
  void client_gone();  // calls what on_gone named, now or as soon as it is named
  std::weak_ptr<Connection> connection;

 private:
  enum class Part : std::uint8_t { unbegun, streaming, complete };
  void tell(std::unique_lock<std::mutex> lock);  // the hub, once until the next take()
  void complete(std::unique_lock<std::mutex> lock);

  const std::shared_ptr<Hub> hub_;
  const std::size_t max_unsent_;
  std::mutex mutex_;
  Part part_ = Part::unbegun;
  bool told_ = false, gone_ = false;
  AnswerUpdate update_;
  std::function<void()> on_gone_;
};

std::shared_ptr<service::Exchange> make_exchange(Request request,
                                                 const std::shared_ptr<Answer>& answer);

}  // namespace seedbed::engine::server
