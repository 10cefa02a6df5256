#include "engine/service/job.h"

namespace seedbed::engine::service {

std::string event_bytes(const schemas::Value& value) {
  std::string out = "data: ";
  dump_to(value, out);
  return out + "\n\n";
}

void Job::start(std::vector<Request> requests) {
  const auto self = shared_from_this();
  service_.add(this, weak_from_this());
  if (exchange_->on_gone)
    exchange_->on_gone([job = weak_from_this()] {
      if (const auto here = job.lock(); here && !here->gone_.exchange(true)) {
        ++here->service_.gone;
        here->abort();
      }
    });
  {
    const std::lock_guard lock(mutex_);
    left_ = requests.size();
    if (stream_) answer_->begin(first_);
  }
  const std::size_t count = requests.size();
  for (std::size_t i = 0; i < count; ++i) {
    requests[i].params.on_token = [self, i](const TokenOut& token) {
      return self->on_token(i, token);
    };
    auto id = service_.engine.submit(std::move(requests[i]), [self, i](Result<Generated> result) {
      self->on_done(i, std::move(result));
    });
    if (!id.ok()) {
      fail(id.error().where == Where::usage || id.error().where == Where::model
               ? bad("", id.error())
               : server_fault(id.error()));
      bool over = false;
      {
        const std::lock_guard lock(mutex_);
        left_ -= count - i;
        over = left_ == 0;
      }
      if (over) service_.answers.post([self] { self->finish(); });
      return;
    }
    {
      const std::lock_guard lock(ids_mutex_);
      ids_.push_back(*id);
    }
    if (gone_ || service_.closing) service_.engine.abort(*id);
  }
  const std::lock_guard lock(mutex_);
  if (stream_ && !failed_) send({});
}

void Job::abort() {
  std::vector<Engine::RequestId> ids;
  {
    const std::lock_guard lock(ids_mutex_);
    ids = ids_;
  }
  for (const auto id : ids) service_.engine.abort(id);
}

bool Job::on_token(std::size_t sequence, const TokenOut& token) {
  if (gone_) return false;
  const std::lock_guard lock(mutex_);
  if (failed_) return false;
  Events events;
  const bool more = answer_->on_token(sequence, token, events);
  if (!events.empty()) send(events);
  return more;
}

void Job::on_done(std::size_t sequence, Result<Generated> generated) {
  const auto kept = std::make_shared<Result<Generated>>(std::move(generated));
  service_.answers.post(
      [self = shared_from_this(), sequence, kept] { self->end(sequence, *kept); });
}

void Job::end(std::size_t sequence, const Result<Generated>& generated) {
  if (!generated.ok()) fail(server_fault(generated.error()));
  bool over = false;
  {
    const std::lock_guard lock(mutex_);
    if (generated.ok() && !failed_) {
      Events events;
      answer_->on_end(sequence, *generated, events);
      if (generated->finish == Finish::no_token && !gone_) {
        failed_ = server_fault(make_error(Where::model, "model", service_.options.model_name,
                                          "found no number to sample from, wanted finite logits",
                                          "check the weights with 'seedbed engine inspect'"));
      } else if (!events.empty()) {
        send(events);
      }
    }
    over = --left_ == 0;
  }
  if (over) finish();
}

void Job::fail(Fault fault) {
  {
    const std::lock_guard lock(mutex_);
    if (!failed_) failed_ = std::move(fault);
  }
  abort();
}

void Job::send(const Events& events) {
  if (gone_) return;
  std::string bytes;
  if (!begun_) {
    begun_ = true;
    exchange_->begin_stream("text/event-stream");
    for (const auto& event : first_) bytes += event_bytes(event);
    first_.clear();
  }
  for (const auto& event : events) bytes += event_bytes(event);
  if (!bytes.empty()) exchange_->send(std::move(bytes));
}

void Job::finish() {
  service_.remove(this);
  {
    const std::lock_guard lock(mutex_);
    if (gone_) {
      if (begun_) exchange_->end_stream();
    } else if (failed_ && !begun_) {
      exchange_->reply(reply_of(*failed_));
    } else if (stream_) {
      Events events;
      if (failed_)
        events.push_back(error_value(*failed_));
      else
        answer_->finish(events);
      send(events);
      exchange_->send("data: [DONE]\n\n");
      exchange_->end_stream();
    } else {
      HttpReply reply;
      reply.body = dump(answer_->body());
      exchange_->reply(std::move(reply));
    }
  }
  flight_.reset();  // last: the service may be gone afterwards
}

}  // namespace seedbed::engine::service
