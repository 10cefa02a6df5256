// From logits to tokens: draws, forks, drafts, and the end of a request.
#include <algorithm>

#include "base/check.h"
#include "engine/scheduler.h"

namespace seedbed::engine {

namespace {
constexpr std::int64_t kPage = kernels::kPageTokens;

double seconds(SteadyTime from, SteadyTime to) {
  return std::chrono::duration<double>(to - from).count();
}
bool holds(const std::vector<std::int32_t>& ids, std::int32_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}
}  // namespace

// The next one and the end included.
std::int64_t Scheduler::tokens_left(const Sequence& s) const {
  const auto length = static_cast<std::int64_t>(s.tokens.size());
  return std::min({s.request.params.max_tokens - static_cast<std::int64_t>(s.result.tokens.size()),
                   model_->config().max_position_embeddings - length,
                   std::int64_t{cache_.pages()} * kPage + 1 - length});
}

TokenOut Scheduler::draw(Sequence& s, const float* logits) {
  if (s.request.params.matcher && s.mask == nullptr) {
    MaskWorker::Job job{s.request.params.matcher.get(), tokens_left(s), &s.mask};
    compute_mask(job);
    stats_.mask_seconds.add(job.seconds);
  }
  const Draw one{&s.request.params.sampling, s.request.key,
                 static_cast<std::int64_t>(s.tokens.size()), &s.seen, s.mask};
  std::vector<TokenOut> out;
  sampler_.draw(&model_->pool(), logits, model_->config().vocab_size, std::span(&one, 1), out);
  return std::move(out[0]);
}

// The token is the sequence's; false: it was its last, and result.finish says why.
bool Scheduler::take(Sequence& s, TokenOut token) {
  const GenerateParams& params = s.request.params;
  const auto now = std::chrono::steady_clock::now();
  s.mask = nullptr;
  s.guess = -1;
  if (token.id < 0 || (params.matcher && !params.matcher->accept(token.id))) {
    s.result.finish = Finish::no_token;  // every id was ruled out, or the logits are no numbers
    return false;
  }
  token.policy = policy_;
  const std::int32_t id = token.id;
  s.tokens.push_back(id);
  if (s.penalised()) s.seen.add(id, true);
  if (s.result.tokens.empty()) {
    s.first_token = now;
    s.result.prefill_seconds = seconds(s.admitted, now);
    stats_.time_to_first_token.add(seconds(s.submitted, now));
    stats_.prefill.add(s.result.prefill_seconds);
  } else {
    stats_.inter_token.add(seconds(s.last_token, now));
  }
  s.last_token = now;
  ++stats_.generated_tokens;
  const bool go_on = !params.on_token || params.on_token(token);
  s.result.tokens.push_back(std::move(token));
  if (holds(params.stop_ids, id) ||
      (!params.ignore_eos && holds(model_->config().eos_token_ids, id)))
    s.result.finish = Finish::stop;
  else if (!go_on)
    s.result.finish = Finish::cancelled;
  else if (static_cast<int>(s.result.tokens.size()) >= params.max_tokens ||
           static_cast<std::int64_t>(s.tokens.size()) >= model_->config().max_position_embeddings)
    s.result.finish = Finish::length;
  else
    return true;
  return false;
}

// The leader has read a prompt: those who wait with the same one take its pages and its logits.
void Scheduler::fork(Sequence& leader, const float* logits) {
  auto followers = std::move(leader.followers);
  leader.followers.clear();
  for (auto& owner : followers) {
    Sequence& s = *owner;
    for (const std::int32_t page : leader.pages) cache_.share(page);
    s.pages = leader.pages;
    s.computed = leader.computed;
    s.node = leader.node;
    s.in_tree = leader.in_tree;
    s.predicted = leader.predicted;
    s.waiting = leader.waiting;
    s.last_hidden = leader.last_hidden;
    begin(s);
    ++stats_.forks;
    running_.push_back(std::move(owner));
    if (!take(s, draw(s, logits))) finish(s);
  }
}

void Scheduler::sample() {
  const int vocab = model_->config().vocab_size;
  std::vector<Sequence*> sampling;
  for (Sequence* s : batch_)
    if (s->sample_row >= 0) sampling.push_back(s);
  if (sampling.empty()) return;
  std::vector<Draw> draws;
  for (const Sequence* s : sampling)
    draws.push_back({&s->request.params.sampling, s->request.key,
                     static_cast<std::int64_t>(s->tokens.size()), &s->seen, s->mask});
  std::vector<TokenOut> tokens;
  try {
    sampler_.draw(&model_->pool(), out_.device_logits, vocab, draws, tokens);
  } catch (const OutOfDeviceMemory& why) {
    for (Sequence* s : sampling) refuse(*s, why);
    return;
  }
  const auto logits_of = [&](int row) {
    return out_.device_logits + static_cast<std::int64_t>(row) * vocab;
  };
  int draft_row = first_draft_row_;
  for (std::size_t i = 0; i < sampling.size(); ++i) {
    Sequence& s = *sampling[i];
    const bool drafted = s.rows == 2 && s.guess >= 0 && s.missing() == 0;
    const std::int32_t guess = s.guess;
    if (!s.followers.empty()) fork(s, logits_of(s.sample_row));
    bool more = take(s, std::move(tokens[i]));
    if (drafted) {
      ++s.result.drafted;
      ++stats_.drafted;
      if (s.result.finish != Finish::no_token && s.tokens.back() == guess) {
        ++s.result.accepted;
        ++stats_.accepted;
        if (more) {
          // The second row is the sequence's own next token: it is computed already.
          accept(s, 1, s.first_row + 1);
          more = take(s, draw(s, logits_of(draft_row)));
        }
      }
      ++draft_row;
    }
    if (!more) finish(s);
  }
}

// Brings the prediction layer up to the last token of every sequence of the step, and guesses the
// one after. Its entry at a position depends on the token that follows, so at the last position of
// a shared page the last writer's stays: drafts may be worse for it, results never.
void Scheduler::draft() {
  const std::int64_t dim = model_->config().hidden_size;
  struct Part {
    Sequence* s;
    std::int64_t rows;
    int logits;  // row, or -1
  };
  std::vector<Part> parts;
  std::vector<float> hidden;
  tokens_.clear();
  positions_.clear();
  sequence_of_.clear();
  wanted_.clear();
  std::size_t stride = 0;
  std::vector<Sequence*> drafting;
  for (const auto& owner : running_)
    if (owner->running && !owner->pages.empty() && owner->computed > owner->predicted)
      drafting.push_back(owner.get());
  for (Sequence* s : drafting) {
    const auto length = static_cast<std::int64_t>(s->tokens.size());
    const std::int64_t known = std::min(s->computed, length - 1), rows = known - s->predicted;
    if (rows <= 0) continue;
    for (std::int64_t i = 0; i < rows; ++i) {
      tokens_.push_back(s->tokens[static_cast<std::size_t>(s->predicted + 1 + i)]);
      positions_.push_back(static_cast<std::int32_t>(s->predicted + i));
      sequence_of_.push_back(static_cast<std::int32_t>(parts.size()));
    }
    // A guess is of use only for the token after the last one.
    const bool guess = known == length - 1 && s->computed == known;
    if (guess) wanted_.push_back(static_cast<std::int32_t>(tokens_.size()) - 1);
    parts.push_back({s, rows, guess ? static_cast<int>(wanted_.size()) - 1 : -1});
    hidden.insert(hidden.end(), s->waiting.begin(), s->waiting.begin() + rows * dim);
    stride = std::max(stride, s->pages.size());
  }
  if (parts.empty()) return;
  table_.assign(stride * parts.size(), -1);
  for (std::size_t k = 0; k < parts.size(); ++k)
    std::copy(parts[k].s->pages.begin(), parts[k].s->pages.end(),
              table_.begin() + static_cast<std::ptrdiff_t>(k * stride));
  Batch batch;
  batch.tokens = tokens_;
  batch.positions = positions_;
  batch.sequence = sequence_of_;
  batch.page_table = table_;
  batch.table_stride = static_cast<std::int64_t>(stride);
  batch.logit_rows = wanted_;
  batch.host_logits = false;
  try {
    model_->forward_mtp(0, hidden, batch, cache_, draft_out_);
  } catch (const OutOfDeviceMemory&) {
    return;  // no guess this time: results do not change
  }
  for (const Part& part : parts) {
    Sequence& s = *part.s;
    s.waiting.erase(s.waiting.begin(), s.waiting.begin() + part.rows * dim);
    s.predicted += part.rows;
    // With the key of the position that it guesses, so that a likely guess is the very token that
    // will be sampled.
    if (part.logits >= 0)
      s.guess = draw(s, draft_out_.device_logits +
                            std::int64_t{part.logits} * model_->config().vocab_size)
                    .id;
  }
}

void Scheduler::finish(Sequence& s) {
  if (!s.running) return;
  s.running = false;
  for (auto& follower : s.followers) waiting_.push_front(std::move(follower));
  s.followers.clear();
  Generated& r = s.result;
  if (!r.tokens.empty()) r.decode_seconds = seconds(s.first_token, s.last_token);
  if (s.request.params.want_routing) {
    r.routing.layers = model_->moe_layers();
    r.routing.experts = model_->config().num_experts_per_tok;
    const std::int64_t routed = cache_.routed();
    r.routing.ids.reserve(static_cast<std::size_t>(s.computed * routed));
    for (std::int64_t at = 0; at < s.computed; at += kPage) {
      const auto* from = cache_.routing(s.pages[static_cast<std::size_t>(at / kPage)], 0);
      r.routing.ids.insert(r.routing.ids.end(), from,
                           from + std::min(kPage, s.computed - at) * routed);
    }
  }
  if (options_.prefix_cache) {
    PrefixTree::Node* end = s.node;
    const std::int64_t tail = s.computed - s.in_tree * kPage;
    if (tail > 0 && (!speculative() || !s.last_hidden.empty())) {
      end = tree_.insert(s.node == nullptr ? tree_.root() : s.node,
                         std::span(s.tokens).subspan(static_cast<std::size_t>(s.in_tree * kPage),
                                                     static_cast<std::size_t>(tail)),
                         s.pages[static_cast<std::size_t>(s.in_tree)]);
      if (end->hidden.empty()) end->hidden = s.last_hidden;
    } else if (end != nullptr) {
      tree_.touch(end);
    }
    if (s.request.session != 0) tree_.pin(s.request.session, end);
  }
  for (const std::int32_t page : s.pages) cache_.give(page);
  s.pages.clear();
  s.node = nullptr;
}

void Scheduler::sweep() {
  for (auto& s : running_)
    if (!s->running) end(std::move(s));
  std::erase(running_, nullptr);
}

void Scheduler::end(std::unique_ptr<Sequence> s) {
  ++stats_.finished[static_cast<std::size_t>(s->result.finish)];
  stats_.end_to_end.add(seconds(s->submitted, std::chrono::steady_clock::now()));
  stats_.decode.add(s->result.decode_seconds);
  stats_.generation_length.add(static_cast<double>(s->result.tokens.size()));
  over_.push_back(std::move(s));
}

void Scheduler::tell() {
  auto over = std::move(over_);
  over_.clear();
  for (auto& s : over) {
    if (s->error)
      s->done(*std::move(s->error));
    else
      s->done(std::move(s->result));
  }
}

}  // namespace seedbed::engine
