#include "engine/server/answer.h"

#include <utility>

namespace seedbed::engine::server {

Hub::Hub(std::function<void()> wake) : wake_(std::move(wake)) {}

bool Hub::ready(std::shared_ptr<Answer> answer) {
  const std::lock_guard lock(mutex_);
  if (!wake_) return false;
  waiting_.push_back(std::move(answer));
  if (waiting_.size() == 1) wake_();
  return true;
}

std::vector<std::shared_ptr<Answer>> Hub::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(waiting_, {});
}

void Hub::close() {
  std::function<void()> dropped;
  const std::lock_guard lock(mutex_);
  dropped.swap(wake_);
}

Answer::Answer(std::shared_ptr<Hub> hub, std::size_t max_unsent_bytes)
    : hub_(std::move(hub)), max_unsent_(max_unsent_bytes) {}

void Answer::tell(std::unique_lock<std::mutex> lock) {
  if (std::exchange(told_, true)) return;
  lock.unlock();
  hub_->ready(shared_from_this());
}

// What on_gone named may own the exchange and so this answer: it is dropped here, without the lock.
void Answer::complete(std::unique_lock<std::mutex> lock) {
  part_ = Part::complete;
  update_.ended = true;
  const auto dropped = std::exchange(on_gone_, nullptr);
  const auto self = shared_from_this();
  tell(std::move(lock));
}

void Answer::reply(service::HttpReply reply) {
  std::unique_lock lock(mutex_);
  if (gone_ || part_ != Part::unbegun) return;
  update_.reply = std::move(reply);
  complete(std::move(lock));
}

void Answer::begin(std::string content_type) {
  std::unique_lock lock(mutex_);
  if (gone_ || part_ != Part::unbegun) return;
  part_ = Part::streaming;
  update_.begin = std::move(content_type);
  tell(std::move(lock));
}

void Answer::send(std::string_view bytes) {
  std::unique_lock lock(mutex_);
  if (gone_ || part_ != Part::streaming || update_.overrun || bytes.empty()) return;
  if (update_.bytes.size() + bytes.size() > max_unsent_) {
    update_.overrun = true;
    update_.bytes = {};
  } else {
    update_.bytes += bytes;
  }
  tell(std::move(lock));
}

void Answer::end() {
  std::unique_lock lock(mutex_);
  if (gone_ || part_ != Part::streaming) return;
  complete(std::move(lock));
}

void Answer::give_up() {
  std::unique_lock lock(mutex_);
  if (gone_ || part_ == Part::complete) return;
  update_.given_up = true;
  complete(std::move(lock));
}

void Answer::on_gone(std::function<void()> gone) {
  std::unique_lock lock(mutex_);
  if (part_ == Part::complete) return;
  std::swap(on_gone_, gone);  // the one before is dropped after the lock
  if (!gone_) {
    lock.unlock();
    return;
  }
  lock.unlock();
  // The client went before anybody asked: the server's thread says so, or, where it has ended,
  // this.
  if (!hub_->ready(shared_from_this())) client_gone();
}

AnswerUpdate Answer::take() {
  const std::lock_guard lock(mutex_);
  told_ = false;
  auto update = std::exchange(update_, {});
  update_.overrun = update.overrun;
  return update;
}

void Answer::client_gone() {
  std::unique_lock lock(mutex_);
  gone_ = true;
  update_ = {};
  const auto gone = std::exchange(on_gone_, nullptr);
  lock.unlock();
  if (gone) gone();
}

std::shared_ptr<service::Exchange> make_exchange(Request request,
                                                 const std::shared_ptr<Answer>& answer) {
  struct Maker {
    explicit Maker(std::shared_ptr<Answer> a) : answer(std::move(a)) {}
    Maker(const Maker&) = delete;
    Maker& operator=(const Maker&) = delete;
    ~Maker() { answer->give_up(); }
    std::shared_ptr<Answer> answer;
  };
  const auto maker = std::make_shared<Maker>(answer);
  auto x = std::make_shared<service::Exchange>();
  x->method = std::move(request.method);
  x->path = std::move(request.path);
  x->query = std::move(request.query);
  x->body = std::move(request.body);
  x->authorization = std::move(request.authorization);
  x->content_type = std::move(request.content_type);
  x->session = std::move(request.session);
  x->accept = std::move(request.accept);
  x->reply = [maker](service::HttpReply reply) { maker->answer->reply(std::move(reply)); };
  x->begin_stream = [maker](std::string type) { maker->answer->begin(std::move(type)); };
  x->send = [maker](const std::string& bytes) { maker->answer->send(bytes); };
  x->end_stream = [maker] { maker->answer->end(); };
  x->on_gone = [maker](std::function<void()> gone) { maker->answer->on_gone(std::move(gone)); };
  return x;
}

}  // namespace seedbed::engine::server
