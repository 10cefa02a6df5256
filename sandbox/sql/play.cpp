// A play: many plans, each from a reset state, run as a trie. Calls of a shared prefix run once;
// where the trie branches, a savepoint is opened before each child but the last, whose undoing the
// savepoint above (or the reset) covers.
#include <unordered_map>
#include <utility>

#include "base/clock.h"
#include "sandbox/sql/session.h"
#include "sandbox/sql_wire.h"

namespace seedbed::sandbox::sql {

class Play {
 public:
  Play(Session& session, std::int64_t deadline_us) : session_(session), deadline_us_(deadline_us) {}

  Result<std::string> run(const std::vector<std::vector<PlannedCall>>& plans) {
    nodes_.resize(1);
    for (const auto& plan : plans) add(plan);
    // Nodes are written in the order in which they ran; the number of a node is known then.
    wire::put_u32(body_, static_cast<std::uint32_t>(nodes_.size() - 1));
    if (!session_.reset()) return broken();
    if (auto e = children(0, 0)) return *std::move(e);
    if (!session_.reset() || session_.broken()) return broken();
    wire::put_u32(body_, static_cast<std::uint32_t>(paths_.size()));
    for (auto& path : paths_) {
      for (auto& node : path) node = nodes_[node].ran;
      wire::put_play_plan(body_, path);
      if (body_.size() > kMaxBody) return too_long();
    }
    return std::move(body_);
  }

 private:
  static constexpr std::size_t kMaxBody = wire::kFrameMax - 64;
  struct Node {
    const PlannedCall* call = nullptr;
    std::vector<std::uint32_t> children;
    std::uint32_t ran = 0;
  };

  void add(const std::vector<PlannedCall>& plan) {
    paths_.emplace_back();
    std::uint32_t at = 0;
    std::string key;
    for (const auto& call : plan) {
      key = std::to_string(at) + ' ' + call.tool + '\0';
      schemas::dump_to(call.args, key);
      at = child(at, key, call);
      paths_.back().push_back(at);
    }
  }
  std::uint32_t child(std::uint32_t at, const std::string& key, const PlannedCall& call) {
    const auto made = static_cast<std::uint32_t>(nodes_.size());
    const auto [same, is_new] = known_.try_emplace(key, made);
    if (!is_new) return same->second;
    nodes_[at].children.push_back(made);
    nodes_.push_back({&call, {}, 0});
    return made;
  }

  Step children(std::uint32_t at, std::int32_t depth) {
    const auto& all = nodes_[at].children;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const bool branches = i + 1 < all.size();
      if (branches) session_.open_branch();
      if (auto e = node(all[i], depth)) return e;
      if (branches) session_.drop_branch();
      if (session_.broken()) return broken();
    }
    return std::nullopt;
  }

  Step node(std::uint32_t at, std::int32_t depth) {
    const PlannedCall& call = *nodes_[at].call;
    session_.changes_.clear();
    session_.call_ = depth;
    // The call outlives the play: borrowed, not copied.
    const std::shared_ptr<const schemas::Value> args(std::shared_ptr<void>(), &call.args);
    const Outcome outcome = session_.run(call.tool, args, deadline_us_);
    // A call that ends by the clock and not by its own allowance would be another result on another
    // machine.
    if (monotonic_us() > deadline_us_)
      return make_error(Where::sandbox, "play", "", "the time for all plans ran out",
                        "send fewer plans or give it more time");
    nodes_[at].ran = ran_++;
    const std::string changes =
        session_.changes_.empty() ? std::string() : schemas::encode_changes(session_.changes_);
    wire::put_play_node(body_, outcome.end, outcome.out, changes);
    if (body_.size() > kMaxBody) return too_long();
    return children(at, depth + 1);
  }

  static Error too_long() {
    return make_error(Where::sandbox, "play", "", "results of more than 64 MiB",
                      "send fewer plans");
  }
  static Error broken() {
    return make_error(Where::sandbox, "play", "", "the state could not be brought back",
                      "replace the host");
  }

  Session& session_;
  std::int64_t deadline_us_;
  std::vector<Node> nodes_;
  std::unordered_map<std::string, std::uint32_t> known_;  // parent, tool and arguments → node
  std::vector<std::vector<std::uint32_t>> paths_;
  std::uint32_t ran_ = 0;
  std::string body_;
};

Result<std::string> Session::play(const std::vector<std::vector<PlannedCall>>& plans,
                                  std::int64_t deadline_us) {
  auto body = Play(*this, deadline_us).run(plans);
  if (!body.ok() &&
      !broken_) {  // a play that stopped half-way has branches open: back to the image all the same
    if (!reset()) broken_ = true;
  }
  return body;
}

}  // namespace seedbed::sandbox::sql
