// A model behind an OpenAI-compatible endpoint. The key comes from the environment, goes into one
// header, and nowhere else: it is cut out of every body that the server sends back.
#pragma once
#include <memory>
#include <string>

#include "agent/client.h"
#include "agent/http_options.h"

namespace boost::asio {
class io_context;
}

namespace seedbed::agent {

// One endpoint, shared by the clients of one loop; it outlives them.
class HttpEndpoint {
 public:
  // Error{usage}: a URL that is no http(s) URL, no model. Error{config}: the named environment
  // variable is not set or unfit.
  static Result<std::unique_ptr<HttpEndpoint>> open(boost::asio::io_context& io,
                                                    HttpOptions options);
  ~HttpEndpoint();
  HttpEndpoint(const HttpEndpoint&) = delete;
  HttpEndpoint& operator=(const HttpEndpoint&) = delete;

  // One conversation at a time each. ask() answers on the loop; reply() turns the loop until the
  // answer is there. Error{model}: the endpoint could not be used, after all tries.
  std::unique_ptr<ModelClient> client();
  struct State;

 private:
  explicit HttpEndpoint(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace seedbed::agent
