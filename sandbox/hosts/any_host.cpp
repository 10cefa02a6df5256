#include "sandbox/hosts/any_host.h"

namespace seedbed::sandbox {
namespace {

using schemas::ToolCall;
using schemas::ToolResult;

class AnyHost final : public ToolHost {
 public:
  AnyHost(Broker& broker, const JailLimits& limits, std::shared_ptr<ServerPlace> servers)
      : broker_(broker), limits_(limits), servers_(std::move(servers)) {}

  Step load(const schemas::Environment& env, const std::string& image) override {
    const bool server = env.server.has_value();
    if (host_ == nullptr || server != is_server_) {
      host_.reset();
      is_server_ = server;
      if (server) {
        host_ = std::make_unique<ServerHost>(servers_);
      } else {
        auto opened = open_sql_host(broker_, limits_);
        if (!opened.ok()) return opened.error();
        host_ = *std::move(opened);
      }
    }
    return host_->load(env, image);
  }
  Step reset() override { return host_ == nullptr ? nothing() : host_->reset(); }
  Result<ToolResult> call(const ToolCall& call, int wall_ms) override {
    return host_ == nullptr ? Result<ToolResult>(nothing()) : host_->call(call, wall_ms);
  }
  Result<std::vector<schemas::RowChange>> changes() override {
    return host_ == nullptr ? Result<std::vector<schemas::RowChange>>(nothing()) : host_->changes();
  }
  Result<std::vector<Played>> play(const std::vector<std::vector<ToolCall>>& plans,
                                   int wall_ms) override {
    return host_ == nullptr ? Result<std::vector<Played>>(nothing()) : host_->play(plans, wall_ms);
  }
  Result<std::string> digest() override {
    return host_ == nullptr ? Result<std::string>(nothing()) : host_->digest();
  }
  Step send(const ToolCall& call, int wall_ms) override {
    return host_ == nullptr ? nothing() : host_->send(call, wall_ms);
  }
  Result<ToolResult> receive(int wall_ms) override {
    return host_ == nullptr ? Result<ToolResult>(nothing()) : host_->receive(wall_ms);
  }
  [[nodiscard]] int start_ms() const override { return host_ == nullptr ? 0 : host_->start_ms(); }
  [[nodiscard]] int descriptor() const override {
    return host_ == nullptr ? -1 : host_->descriptor();
  }

 private:
  static Error nothing() {
    return make_error(Where::sandbox, "host", "environment", "found none loaded, wanted one",
                      "load one first");
  }

  Broker& broker_;
  JailLimits limits_;
  std::shared_ptr<ServerPlace> servers_;
  std::unique_ptr<ToolHost> host_;
  bool is_server_ = false;
};

}  // namespace

std::unique_ptr<ToolHost> open_any_host(Broker& broker,
                                        const JailLimits& limits,
                                        std::shared_ptr<ServerPlace> servers) {
  return std::make_unique<AnyHost>(broker, limits, std::move(servers));
}

}  // namespace seedbed::sandbox
