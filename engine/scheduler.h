// Which tokens are computed next: admission, pages, one forward pass for all sequences, sampling.
// One thread's business (the engine's); nothing here locks.
//
//   (1) A step takes every running sequence's one missing token, and of the prompts not yet read at
//       most `chunk` tokens: higher priority first, then the shortest rest; a prompt left out of
//       kPatience steps in a row goes first.
//   (2) A page is written by one sequence: what is shared is copied before its next slot is
//       written. Full pages go into the prefix tree as soon as they are computed.
//   (3) A request whose prompt another one is reading waits for it and takes its pages; the very
//       same prompt takes the logits too (a fork).
//   (4) Where pages run out, cached ones are given up, then the youngest sequence of the lowest
//       priority is put back into the queue; when there is room it goes on, and computes anew what
//       of its context is in no page any more.
#pragma once
#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "engine/engine.h"
#include "engine/mask_worker.h"
#include "engine/prefix_tree.h"
#include "engine/sampling.h"

namespace seedbed::engine {

using SteadyTime = std::chrono::steady_clock::time_point;

// A request on its way.
struct Sequence {
  Engine::RequestId id = 0;
  Request request;
  Engine::OnDone done;
  Generated result;
  std::optional<Error> error;  // in place of the result

  std::vector<std::int32_t> tokens;  // prompt, then what was sampled
  std::int64_t prompt = 0;           // tokens of it
  std::vector<std::int32_t> pages;   // page i holds positions 64 i ..; each held once
  std::int64_t computed = 0;         // tokens [0, computed) are in the pages
  PrefixTree::Node* node = nullptr;  // of the last page that is in the tree; null: none
  std::int64_t in_tree = 0;          // pages, from the first
  SeenTokens seen;                   // where penalties need it
  // Prediction layer: rows [0, predicted) are in the pages; hidden states from `predicted` to
  // `computed` wait for the token that follows them.
  std::int64_t predicted = 0;
  std::vector<float> waiting;  // [computed - predicted, hidden]
  std::int32_t guess = -1;     // of the token after the last one

  std::vector<std::unique_ptr<Sequence>> followers;  // same prompt, waiting for its logits
  SteadyTime submitted, admitted, first_token, last_token;
  bool began = false;    // counted as begun
  bool resumed = false;  // was put back, or met new weights: what it computes, it computes again
  bool running = false;
  bool whole_pages = false;             // take no part of a page: there was no room for a copy
  int passed_over = 0;                  // steps without rows, or admissions of others
  int rows = 0, first_row = 0;          // of the step at hand
  int sample_row = -1;                  // of the logits of that step; -1: none
  const std::uint32_t* mask = nullptr;  // of the next token; null: to be made, or none
  std::vector<float> last_hidden;       // at computed - 1, where drafts are made

  [[nodiscard]] std::int64_t missing() const {
    return static_cast<std::int64_t>(tokens.size()) - computed;
  }
  [[nodiscard]] bool penalised() const;
};

class Scheduler {
 public:
  // The model is used until set_model; the cache outlives the scheduler, and so does `host`, where
  // what the cache gives up is kept (null: nowhere).
  Scheduler(Model& model,
            PageCache& cache,
            const EngineOptions& options,
            HostPages* host = nullptr);
  ~Scheduler();

  // What sampling will need on the device, at once.
  Step reserve() { return sampler_.reserve(2 * options_.max_batch, model_->config().vocab_size); }

  void submit(std::unique_ptr<Sequence> sequence);
  void abort(Engine::RequestId id);
  void end_session(std::uint64_t session) { tree_.pin(session, nullptr); }
  void drop_prefix_cache() { tree_.evict_all(); }
  void hold_admissions(bool hold) { hold_ = hold; }  // running ones go on
  // Everything in pages belongs to the old weights and goes; running sequences begin anew.
  void set_model(Model& model, std::int32_t policy);

  // One forward pass, or what can be done without; false: there is nothing to do now.
  bool step();
  [[nodiscard]] bool idle() const { return running_.empty(); }
  void cancel_all();
  // Everybody ends with this error; nothing in pages is used again.
  void fail_all(const Error& error);
  void tell();  // calls `done` of what ended since the last call
  [[nodiscard]] EngineStats stats(bool held) const;

 private:
  static constexpr int kPatience = 16;

  [[nodiscard]] bool speculative() const;
  // scheduler_admit.cpp
  void admit();
  bool try_admit(std::unique_ptr<Sequence>& owner, std::int64_t evictable);
  void put_back(Sequence& s);
  void begin(Sequence& s);
  [[nodiscard]] Sequence* worth_waiting_for(const Sequence& s, std::int64_t have) const;
  void take_match(Sequence& s);
  void keep_tail(const Sequence& s);
  void release(Sequence& s);
  bool make_room(Sequence& s, std::int64_t length);
  std::int32_t take_page();
  bool preempt_for(const Sequence& s);
  // scheduler.cpp
  void choose_rows();
  bool give_rows(Sequence& s, int rows);
  void forward();
  void accept(Sequence& s, int rows, int first_row);
  void keep_selections(Sequence& s, int first_row, int rows);
  void into_tree(Sequence& s);
  // scheduler_sample.cpp
  void sample();
  void fork(Sequence& leader, const float* logits);
  void compute_masks(const std::vector<Sequence*>& sampling);
  bool take(Sequence& s, TokenOut token);  // false: it is over, with result.finish set
  TokenOut draw(Sequence& s, const float* logits);
  void draft();
  void refuse(Sequence& s, const OutOfDeviceMemory& why);
  void finish(Sequence& s);  // its pages go to the tree; out of running_ at the end of the step
  void sweep();
  void end(std::unique_ptr<Sequence> s);
  [[nodiscard]] std::int64_t tokens_left(const Sequence& s) const;

  Model* model_;
  PageCache& cache_;
  EngineOptions options_;
  PrefixTree tree_;
  std::int32_t policy_ = 1;
  bool hold_ = false;
  std::list<std::unique_ptr<Sequence>> waiting_;  // in the order of arrival
  std::vector<std::unique_ptr<Sequence>> running_;
  std::vector<std::unique_ptr<Sequence>> over_;  // done, to be told after the step
  std::vector<Sequence*> batch_;                 // of the step at hand
  int first_draft_row_ = 0;                      // of the logits
  EngineStats stats_;
  MaskWorker masks_;
  Outputs out_, draft_out_;
  Sampler sampler_;
  std::vector<std::int32_t> tokens_, positions_, sequence_of_, table_, wanted_;
};

}  // namespace seedbed::engine
