#include "engine/scheduler.h"

#include <algorithm>
#include <tuple>

#include "base/check.h"

namespace seedbed::engine {

namespace {
constexpr std::int64_t kPage = kernels::kPageTokens;
}

bool Sequence::penalised() const {
  const SamplingParams& p = request.params.sampling;
  return p.repetition_penalty != 1.0 || p.presence_penalty != 0.0 || p.frequency_penalty != 0.0;
}

Scheduler::Scheduler(Model& model, PageCache& cache, const EngineOptions& options, HostPages* host)
    : model_(&model),
      cache_(cache),
      options_(options),
      tree_(cache, speculative(), host),
      sampler_(model.device()) {
  options_.chunk = std::max(1, options_.chunk);
  options_.max_batch = std::max(1, options_.max_batch);
}

Scheduler::~Scheduler() {
  for (const auto& s : running_) release(*s);
}

bool Scheduler::speculative() const {
  return options_.speculative && model_->config().num_nextn_predict_layers > 0;
}

void Scheduler::submit(std::unique_ptr<Sequence> sequence) {
  Sequence& s = *sequence;
  s.tokens = s.request.prompt;
  s.prompt = static_cast<std::int64_t>(s.tokens.size());
  if (s.penalised())
    for (std::size_t i = 0; i < s.tokens.size(); ++i)
      s.seen.add(s.tokens[i], i < s.request.sampled.size() && s.request.sampled[i] != 0);
  waiting_.push_back(std::move(sequence));
}

void Scheduler::abort(Engine::RequestId id) {
  for (const auto& s : running_) {
    if (s->id == id) {
      s->result.finish = Finish::cancelled;
      finish(*s);
      break;
    }
    const auto at = std::find_if(s->followers.begin(), s->followers.end(),
                                 [&](const auto& follower) { return follower->id == id; });
    if (at == s->followers.end()) continue;
    (*at)->result.finish = Finish::cancelled;
    end(std::move(*at));
    s->followers.erase(at);
    break;
  }
  const auto at =
      std::find_if(waiting_.begin(), waiting_.end(), [&](const auto& s) { return s->id == id; });
  if (at != waiting_.end()) {
    (*at)->result.finish = Finish::cancelled;
    end(std::move(*at));
    waiting_.erase(at);
  }
  sweep();
}

void Scheduler::cancel_all() {
  for (const auto& s : running_) {
    s->result.finish = Finish::cancelled;
    finish(*s);
  }
  sweep();
  for (auto& s : waiting_) {
    s->result.finish = Finish::cancelled;
    end(std::move(s));
  }
  waiting_.clear();
}

void Scheduler::fail_all(const Error& error) {
  for (const auto& s : running_) {
    for (auto& follower : s->followers) waiting_.push_front(std::move(follower));
    s->followers.clear();
    release(*s);
    s->error = error;
    s->running = false;
  }
  sweep();
  for (auto& s : waiting_) {
    s->error = error;
    end(std::move(s));
  }
  waiting_.clear();
  tree_.clear();
}

// What it asked for does not fit on the device; the others go on.
void Scheduler::refuse(Sequence& s, const OutOfDeviceMemory& why) {
  s.error = make_error(Where::model, "device memory", model_->device()->describe(),
                       std::string("no room for ") + why.what(),
                       "shorten the prompt, or give the cache or the batch less room");
  finish(s);
}

void Scheduler::set_model(Model& model, std::int32_t policy) {
  for (const auto& s : running_) {
    release(*s);
    s->resumed = true;
  }
  tree_.clear();
  model_ = &model;
  policy_ = policy;
  ++stats_.reloads;
}

// False: the sequence has no room now and left the step.
bool Scheduler::give_rows(Sequence& s, int rows) {
  if (make_room(s, s.computed + rows)) {
    s.rows = rows;
    return true;
  }
  const bool alone = std::all_of(running_.begin(), running_.end(), [&](const auto& other) {
    return other.get() == &s || other->pages.empty();
  });
  // A page that it shares with the tree may stand in its own way.
  const bool shared = s.computed % kPage != 0 && !s.whole_pages;
  if (alone && shared) {
    s.whole_pages = true;
    put_back(s);
  } else if (alone) {
    s.result.finish = Finish::cache_full;
    finish(s);
  } else {
    put_back(s);
  }
  return false;
}

void Scheduler::choose_rows() {
  batch_.clear();
  std::vector<Sequence*> all, reading;
  for (const auto& s : running_) {
    s->rows = 0;
    s->sample_row = -1;
    all.push_back(s.get());
  }
  for (Sequence* s : all) {
    if (!s->running) continue;
    if (s->missing() > 1) {
      reading.push_back(s);
      continue;
    }
    if (!give_rows(*s, 1)) continue;
    const std::int64_t next = s->computed + 1;
    if (s->guess >= 0 &&
        next<model_->config().max_position_embeddings&& static_cast<std::int64_t>(s->pages.size()) *
             kPage> next)
      s->rows = 2;
  }
  std::stable_sort(reading.begin(), reading.end(), [](const Sequence* a, const Sequence* b) {
    const bool late_a = a->passed_over >= kPatience, late_b = b->passed_over >= kPatience;
    return std::tuple(late_b, b->request.priority, a->missing()) <
           std::tuple(late_a, a->request.priority, b->missing());
  });
  std::int64_t budget = options_.chunk;
  for (Sequence* s : reading) {
    if (!s->running) continue;
    if (budget == 0) {
      ++s->passed_over;
      continue;
    }
    const auto rows = static_cast<int>(std::min(s->missing(), budget));
    if (!give_rows(*s, rows)) continue;
    s->passed_over = 0;
    budget -= rows;
  }
  for (const auto& s : running_)
    if (s->rows > 0 && s->running) batch_.push_back(s.get());
}

void Scheduler::forward() {
  tokens_.clear();
  positions_.clear();
  sequence_of_.clear();
  wanted_.clear();
  std::size_t stride = 0;
  bool selection = false;
  for (const Sequence* s : batch_) {
    stride = std::max(stride, s->pages.size());
    selection |= s->request.params.want_selection;
  }
  table_.assign(stride * batch_.size(), -1);
  std::vector<std::int32_t> draft_rows;
  for (std::size_t k = 0; k < batch_.size(); ++k) {
    Sequence& s = *batch_[k];
    s.first_row = static_cast<int>(tokens_.size());
    const bool drafted = s.missing() == 1 && s.rows == 2;
    for (int i = 0; i < s.rows; ++i) {
      const auto position = static_cast<std::size_t>(s.computed + i);
      tokens_.push_back(position < s.tokens.size() ? s.tokens[position] : s.guess);
      positions_.push_back(static_cast<std::int32_t>(position));
      sequence_of_.push_back(static_cast<std::int32_t>(k));
    }
    if (drafted || s.rows == s.missing()) {
      s.sample_row = static_cast<int>(wanted_.size());
      wanted_.push_back(s.first_row + (drafted ? 0 : s.rows - 1));
    }
    if (drafted) draft_rows.push_back(s.first_row + 1);
    std::copy(s.pages.begin(), s.pages.end(),
              table_.begin() + static_cast<std::ptrdiff_t>(k * stride));
  }
  first_draft_row_ = static_cast<int>(wanted_.size());
  wanted_.insert(wanted_.end(), draft_rows.begin(), draft_rows.end());

  // The masks of what is sampled next depend on tokens that are known: made meanwhile.
  std::vector<MaskWorker::Job> jobs;
  for (Sequence* s : batch_)
    if (s->sample_row >= 0 && s->request.params.matcher && s->mask == nullptr)
      jobs.push_back({s->request.params.matcher.get(), tokens_left(*s), &s->mask});
  masks_.begin(std::move(jobs));

  Batch batch;
  batch.tokens = tokens_;
  batch.positions = positions_;
  batch.sequence = sequence_of_;
  batch.page_table = table_;
  batch.table_stride = static_cast<std::int64_t>(stride);
  batch.logit_rows = wanted_;
  batch.host_logits = false;
  batch.want_hidden = speculative();
  batch.want_routing = cache_.routed() > 0;
  batch.want_selection = selection;
  try {
    model_->forward(batch, cache_, out_);
  } catch (...) {
    masks_.wait();  // they write into sequences
    throw;
  }
  for (const auto& job : masks_.wait()) stats_.mask_seconds.add(job.seconds);
  ++stats_.steps;
  stats_.step_tokens.add(static_cast<double>(tokens_.size()));
}

// Rows [first_row, first_row + rows) of the last forward pass are part of the sequence now.
void Scheduler::accept(Sequence& s, int rows, int first_row) {
  const std::int64_t routed = cache_.routed();
  for (int i = 0; i < rows && routed > 0; ++i) {
    const std::int64_t position = s.computed + i;
    std::copy_n(out_.routing.begin() + (first_row + i) * routed, routed,
                cache_.routing(s.pages[static_cast<std::size_t>(position / kPage)],
                               static_cast<int>(position % kPage)));
  }
  if (s.request.params.want_selection) keep_selections(s, first_row, rows);
  const std::int64_t begin = s.computed;
  s.computed += rows;
  if (speculative()) {
    const std::int64_t dim = model_->config().hidden_size;
    const auto row = [&](int i) { return out_.hidden.begin() + (first_row + i) * dim; };
    s.waiting.insert(s.waiting.end(), row(0), row(rows));
    s.last_hidden.assign(row(rows - 1), row(rows));
    if (!options_.prefix_cache) return;
    // A page's last hidden state goes with it.
    while ((s.in_tree + 1) * kPage <= s.computed) {
      const auto end = static_cast<int>((s.in_tree + 1) * kPage - 1 - begin);
      into_tree(s);
      if (end >= 0) s.node->hidden.assign(row(end), row(end + 1));
    }
    return;
  }
  while (options_.prefix_cache && (s.in_tree + 1) * kPage <= s.computed) into_tree(s);
}

// The first page that is not in the tree and is full.
void Scheduler::into_tree(Sequence& s) {
  std::int32_t& page = s.pages[static_cast<std::size_t>(s.in_tree)];
  s.node = tree_.insert(
      s.node == nullptr ? tree_.root() : s.node,
      std::span(s.tokens).subspan(static_cast<std::size_t>(s.in_tree * kPage), kPage), page);
  if (s.node->page != page) {  // another sequence computed the same: its bytes are the same
    cache_.share(s.node->page);
    cache_.give(page);
    page = s.node->page;
  }
  ++s.in_tree;
}

// The first of the rows is at s.computed.
void Scheduler::keep_selections(Sequence& s, int first_row, int rows) {
  const std::int64_t k = model_->config().index_topk;
  for (const Selection& run : out_.selections)
    for (int r = 0; r < run.rows; ++r) {
      const int row = run.first_row + r - first_row;
      if (row < 0 || row >= rows) continue;
      const auto begin = run.positions.begin() + r * k;
      s.result.selections.push_back(
          {s.computed + row, run.layer, {begin, std::find(begin, begin + k, -1)}});
    }
}

bool Scheduler::step() {
  admit();
  if (running_.empty()) return false;
  choose_rows();
  if (!batch_.empty()) {
    try {
      forward();
    } catch (const OutOfDeviceMemory& why) {
      // The longest stretch asked for the most; of equal ones the youngest.
      refuse(**std::max_element(batch_.begin(), batch_.end(),
                                [](const Sequence* a, const Sequence* b) {
                                  return std::tuple(a->rows, a->admitted) <
                                         std::tuple(b->rows, b->admitted);
                                }),
             why);
      sweep();
      return true;
    }
    for (Sequence* s : batch_) {
      const bool decoding = s->missing() == 1;
      if (!decoding) stats_.prefill_tokens += s->rows;
      if (s->resumed && !decoding) stats_.recomputed_tokens += s->rows;
      accept(*s, decoding ? 1 : s->rows, s->first_row);
      if (s->missing() <= 1) s->resumed = false;
    }
    sample();
    if (speculative()) draft();
  }
  sweep();
  return true;
}

EngineStats Scheduler::stats(bool held) const {
  EngineStats out = stats_;
  out.running = static_cast<std::int64_t>(running_.size());
  out.waiting = static_cast<std::int64_t>(waiting_.size());
  for (const auto& s : running_) out.waiting += static_cast<std::int64_t>(s->followers.size());
  out.pages = cache_.pages();
  out.pages_free = cache_.free_pages();
  out.sessions = tree_.sessions();
  out.evicted_pages = tree_.evicted();
  out.spilled_pages = tree_.spilled();
  out.restored_pages = tree_.restored();
  out.host_pages = tree_.host_pages();
  out.host_pages_used = tree_.host_pages_used();
  out.policy = policy_;
  if (held) {
    const auto alone = tree_.held();
    out.pages_cached = alone.alone;
    out.pages_pinned = alone.pinned;
  }
  return out;
}

}  // namespace seedbed::engine
