// Sockets that listen, for each address that a host's name stands for.
#pragma once
#include <string>
#include <vector>

#include "base/result.h"

namespace seedbed::engine::server {

struct Listening {
  std::vector<int> fds;  // non-blocking; the caller's to close
  int port = 0;
};
// Host: an address ("127.0.0.1", "::1", "[::1]", "0.0.0.0", "::" for both families) or a name such
// as "localhost". Port 0: one that is free on all of them. Error{config} where nothing can be had.
Result<Listening> listen_on(const std::string& host, int port);

}  // namespace seedbed::engine::server
