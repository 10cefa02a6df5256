#include "agent/curl_loop.h"

#include <curl/curl.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <mutex>
#include <utility>

namespace seedbed::agent {
namespace {

namespace asio = boost::asio;

struct Socket {
  explicit Socket(asio::io_context& io, curl_socket_t fd) : descriptor(io), number(fd) {
    descriptor.assign(fd, failed);
  }
  asio::posix::stream_descriptor descriptor;
  curl_socket_t number;
  boost::system::error_code failed;
  int wanted = 0;  // CURL_POLL_IN, _OUT or both
  bool waiting_in = false, waiting_out = false, dropped = false;
};

struct Transfer {
  HttpRequest request;
  HttpResponse response;
  std::function<void(HttpResponse)> done;
  CURL* easy = nullptr;
  curl_slist* headers = nullptr;
  char error[CURL_ERROR_SIZE] = {};
  Transfer() = default;
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;
  ~Transfer() {
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
  }
};

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::size_t bytes = size * count;
  if (transfer.response.body.size() + bytes >
      static_cast<std::size_t>(transfer.request.max_response_bytes)) {
    transfer.response.fault = HttpResponse::Fault::too_big;
    return 0;
  }
  transfer.response.body.append(data, bytes);
  return bytes;
}

}  // namespace

struct CurlLoop::State : std::enable_shared_from_this<CurlLoop::State> {
  explicit State(asio::io_context& loop) : io(loop), timer(loop) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { close(); }

  asio::io_context& io;
  asio::steady_timer timer;
  CURLM* multi = nullptr;
  std::map<curl_socket_t, std::shared_ptr<Socket>> sockets;
  std::map<CURL*, std::unique_ptr<Transfer>> transfers;

  void close() {
    if (multi == nullptr) return;
    for (auto& [easy, ignored] : transfers) curl_multi_remove_handle(multi, easy);
    transfers.clear();
    curl_multi_cleanup(std::exchange(multi, nullptr));
    for (auto& [ignored, socket] : sockets) drop(*socket);
    sockets.clear();
  }

  static void drop(Socket& socket) {
    socket.dropped = true;
    if (socket.descriptor.is_open()) socket.descriptor.release();
  }

  // ---- what curl asks for ----
  static int on_socket(CURL*, curl_socket_t fd, int what, void* user, void*) {
    auto& self = *static_cast<State*>(user);
    auto found = self.sockets.find(fd);
    if (what == CURL_POLL_REMOVE) {
      if (found == self.sockets.end()) return 0;
      drop(*found->second);
      self.sockets.erase(found);
      return 0;
    }
    if (found == self.sockets.end())
      found = self.sockets.emplace(fd, std::make_shared<Socket>(self.io, fd)).first;
    found->second->wanted = what;
    self.arm(found->second);
    return 0;
  }

  static int on_timer(CURLM*, long wait_ms, void* user) {
    auto& self = *static_cast<State*>(user);
    if (wait_ms < 0) {
      self.timer.cancel();
      return 0;
    }
    self.timer.expires_after(std::chrono::milliseconds(wait_ms));
    self.timer.async_wait([weak = self.weak_from_this()](boost::system::error_code failed) {
      const auto state = weak.lock();
      if (!failed && state && state->multi != nullptr) state->act(CURL_SOCKET_TIMEOUT, 0);
    });
    return 0;
  }

  // ---- what the loop tells curl ----
  void arm(const std::shared_ptr<Socket>& socket) {
    using Wait = asio::posix::descriptor_base;
    if ((socket->wanted & CURL_POLL_IN) != 0)
      wait(socket, Wait::wait_read, CURL_CSELECT_IN, &Socket::waiting_in);
    if ((socket->wanted & CURL_POLL_OUT) != 0)
      wait(socket, Wait::wait_write, CURL_CSELECT_OUT, &Socket::waiting_out);
  }

  void wait(const std::shared_ptr<Socket>& socket,
            asio::posix::descriptor_base::wait_type type,
            int event,
            bool Socket::*waiting) {
    if ((*socket).*waiting || socket->dropped || socket->failed) return;
    (*socket).*waiting = true;
    socket->descriptor.async_wait(
        type, [weak = weak_from_this(), socket, event, waiting](boost::system::error_code failed) {
          (*socket).*waiting = false;
          const auto self = weak.lock();
          if (failed || !self || self->multi == nullptr || socket->dropped) return;
          const bool wanted =
              (socket->wanted & (event == CURL_CSELECT_IN ? CURL_POLL_IN : CURL_POLL_OUT)) != 0;
          if (wanted) self->act(socket->number, event);
          if (!socket->dropped) self->arm(socket);
        });
  }

  void act(curl_socket_t fd, int event) {
    int running = 0;
    curl_multi_socket_action(multi, fd, event, &running);
    int left = 0;
    while (CURLMsg* message = curl_multi_info_read(multi, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const CURLcode code = message->data.result;
      finish(message->easy_handle, code);
    }
  }

  void finish(CURL* easy, CURLcode code) {
    auto found = transfers.find(easy);
    if (found == transfers.end()) return;
    std::unique_ptr<Transfer> transfer = std::move(found->second);
    transfers.erase(found);
    HttpResponse& response = transfer->response;
    curl_off_t retry_after_s = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &response.status);
    curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    response.retry_after_ms = std::clamp<std::int64_t>(retry_after_s, 0, 86'400) * 1000;
    if (code == CURLE_FILESIZE_EXCEEDED) response.fault = HttpResponse::Fault::too_big;
    if (code != CURLE_OK && response.fault == HttpResponse::Fault::none) {
      response.fault = code == CURLE_OPERATION_TIMEDOUT ? HttpResponse::Fault::timed_out
                                                        : HttpResponse::Fault::connection;
      response.why = transfer->error[0] != 0 ? transfer->error : curl_easy_strerror(code);
    }
    curl_multi_remove_handle(multi, easy);
    asio::post(io, [done = std::move(transfer->done), answer = std::move(response)]() mutable {
      done(std::move(answer));
    });
  }
};

Result<std::unique_ptr<CurlLoop>> CurlLoop::open(asio::io_context& io) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  auto state = std::make_shared<State>(io);
  state->multi = curl_multi_init();
  if (state->multi == nullptr)
    return make_error(Where::model, "libcurl", "curl_multi_init", "found no handle, wanted one",
                      "free some memory");
  curl_multi_setopt(state->multi, CURLMOPT_SOCKETFUNCTION, &State::on_socket);
  curl_multi_setopt(state->multi, CURLMOPT_SOCKETDATA, state.get());
  curl_multi_setopt(state->multi, CURLMOPT_TIMERFUNCTION, &State::on_timer);
  curl_multi_setopt(state->multi, CURLMOPT_TIMERDATA, state.get());
  return std::unique_ptr<CurlLoop>(new CurlLoop(std::move(state)));
}

CurlLoop::CurlLoop(std::shared_ptr<State> state) : state_(std::move(state)) {}
CurlLoop::~CurlLoop() {
  state_->close();
}

void CurlLoop::post(HttpRequest request, std::function<void(HttpResponse)> done) {
  auto transfer = std::make_unique<Transfer>();
  transfer->request = std::move(request);
  transfer->done = std::move(done);
  CURL* easy = transfer->easy = curl_easy_init();
  const HttpRequest& r = transfer->request;
  for (const auto& header : r.headers)
    transfer->headers = curl_slist_append(transfer->headers, header.c_str());
  curl_easy_setopt(easy, CURLOPT_URL, r.url.c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR,
                   "http,https");  // and no redirects: a key goes to the named host only
  curl_easy_setopt(easy, CURLOPT_POST, 1L);
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, r.body.data());
  curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(r.body.size()));
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer.get());
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(r.connect_timeout_ms));
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(r.timeout_ms));
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "seedbed");
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
  curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(r.max_response_bytes));
  state_->transfers.emplace(easy, std::move(transfer));
  curl_multi_add_handle(state_->multi, easy);  // sets the timer to 0: the loop starts it
}

}  // namespace seedbed::agent
