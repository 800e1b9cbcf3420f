#ifndef COMMON_HTTP_HTTP_PUSH_LOOP_H_
#define COMMON_HTTP_HTTP_PUSH_LOOP_H_

// The thread behind HttpPush: it waits for all sockets at once.

#include <memory>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/files/unique_fd.h"
#include "common/http/http_push.h"
#include "common/http/http_server.h"

namespace contree {

// Thread-safe.
class HttpPushLoop {
 public:
  // ResourceExhausted: no descriptors or threads are left.
  static absl::StatusOr<std::unique_ptr<HttpPushLoop>> Start();
  ~HttpPushLoop();  // stops
  HttpPushLoop(const HttpPushLoop&) = delete;
  HttpPushLoop& operator=(const HttpPushLoop&) = delete;

  // Goes on with an answer that was taken off its thread. `closed` may be called before this
  // returns. nullptr: it was stopped, or the socket is broken; nothing is called.
  std::shared_ptr<HttpPush> Add(std::unique_ptr<HttpDetachedStream> stream,
                                HttpPushOptions options);
  // Closes all of them; returns when their `closed` have. Idempotent, not for `closed` to call.
  void Stop();

 private:
  class Push;

  HttpPushLoop(UniqueFd epoll, UniqueFd wake);
  void Run();
  // The moment of the next keep-alive, after those that are due were written.
  absl::Time KeepAlive(absl::Time now);
  void Close(int fd);

  const UniqueFd epoll_;
  const UniqueFd wake_;  // an eventfd
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  absl::flat_hash_map<int, std::shared_ptr<Push>> pushes_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace contree

#endif  // COMMON_HTTP_HTTP_PUSH_LOOP_H_
