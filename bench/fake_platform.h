#ifndef BENCH_FAKE_PLATFORM_H_
#define BENCH_FAKE_PLATFORM_H_

// The ConTree API as a benchmark of contree-service needs it: operations that end when they are
// told to, event streams, files of any size; every answer after a latency that is set.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/http/http_server.h"

namespace contree::bench {

// Thread-safe.
class FakePlatform {
 public:
  static absl::StatusOr<std::unique_ptr<FakePlatform>> Start();
  ~FakePlatform();

  std::string url() const { return server_->url(); }

  // Before each answer, and before the end of an operation is told.
  void set_latency(absl::Duration latency) { latency_ = latency; }
  // Ends an operation: its events say so, and its record is final.
  void Complete(const std::string& id);
  // One line of output of every operation that runs.
  void SendLineToAll();
  // Event streams that are open.
  int open_streams() const { return open_streams_; }

  // GET /v1/inspect/ANY/download?path=/BYTES: a file of so many bytes.
  static std::string PathOfFile(int64_t bytes);

 private:
  struct Operation {
    std::mutex mutex;
    std::condition_variable changed;
    bool is_final = false;  // guarded by mutex, as is lines
    int lines = 0;
  };

  FakePlatform() = default;
  void Handle(HttpExchange& exchange);
  void Start(HttpExchange& exchange);
  void ShowRecord(HttpExchange& exchange, const std::string& id);
  void ShowEvents(HttpExchange& exchange, const std::string& id);
  std::shared_ptr<Operation> Find(const std::string& id);

  std::atomic<absl::Duration> latency_ = absl::ZeroDuration();
  std::atomic<int> open_streams_ = 0;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Operation>> operations_;  // guarded by mutex_
  std::unique_ptr<HttpServer> server_;  // last: its threads use all of the above
};

}  // namespace contree::bench

#endif  // BENCH_FAKE_PLATFORM_H_
