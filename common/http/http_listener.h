#ifndef COMMON_HTTP_HTTP_LISTENER_H_
#define COMMON_HTTP_HTTP_LISTENER_H_

// Accepts connections and gives each a thread of a pool that grows to a bound; idle threads end
// after a while. Connections beyond the bound go to `refuse` on the accepting thread, which must be
// quick. Thread-safe.

#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "common/files/unique_fd.h"

namespace contree {

class HttpListener {
 public:
  using Serve = std::function<void(UniqueFd socket)>;

  // Listens; accepts nothing before Run. InvalidArgument: the host does not resolve. Unavailable:
  // the address cannot be bound.
  static absl::StatusOr<std::unique_ptr<HttpListener>> Bind(const std::string& host, int port);
  ~HttpListener();  // stops

  int port() const { return port_; }
  int socket() const { return socket_.get(); }

  // Starts accepting: `serve` runs on a thread of the pool, at most max_threads at once.
  void Run(int max_threads, Serve serve, Serve refuse);
  // Accepts what has connected by now, and refuses what comes after. Idempotent.
  void StopAccepting();
  // StopAccepting; then `interrupt` is called to make running serves end, and their threads are
  // waited for. Idempotent.
  void Stop(const std::function<void()>& interrupt);

 private:
  HttpListener(UniqueFd socket, UniqueFd wake, int port);
  void AcceptLoop(int max_threads);
  void Work(std::list<std::thread>::iterator self);
  void JoinEnded(std::unique_lock<std::mutex>& lock);

  const UniqueFd socket_;
  const UniqueFd wake_;  // an eventfd that ends AcceptLoop
  const int port_;
  Serve serve_;
  Serve refuse_;
  std::mutex acceptor_mutex_;
  std::thread acceptor_;  // joined under acceptor_mutex_

  // std::mutex: absl::Mutex has no timed wait that gives the thread back on a monotonic clock.
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;  // guarded by mutex_, like all below
  int idle_ = 0;
  std::deque<UniqueFd> waiting_;  // accepted, and promised to an idle or new thread
  std::list<std::thread> threads_;
  std::list<std::thread> ended_;  // to be joined
};

}  // namespace contree

#endif  // COMMON_HTTP_HTTP_LISTENER_H_
