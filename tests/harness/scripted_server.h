#ifndef TESTS_HARNESS_SCRIPTED_SERVER_H_
#define TESTS_HARNESS_SCRIPTED_SERVER_H_

// A server that answers byte for byte what a test's script says, however wrong, and keeps all that
// it was sent: a hostile registry, a hostile token server, the host that must never see a secret.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/files/unique_fd.h"

namespace contree::testing_harness {

struct ScriptedRequest {
  std::string method;
  std::string target;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
  std::string text;  // all of it, as it came

  // "" where there is none.
  std::string Header(const std::string& lower_case_name) const;
};

// One connection, after its one request was read. Used by the thread that runs the script.
class ScriptedReply {
 public:
  explicit ScriptedReply(int socket) : socket_(socket) {}

  // False: the other side, or the test, has ended.
  bool Send(absl::string_view bytes);
  // A whole answer; its length and "Connection: close" are added.
  void Answer(int status, const std::vector<std::string>& header_lines, absl::string_view body);
  // False: the other side, or the test, ended meanwhile.
  bool Pause(absl::Duration duration);

 private:
  const int socket_;
};

// Thread-safe. The script runs on a thread for each connection.
class ScriptedServer {
 public:
  using Script = std::function<void(const ScriptedRequest&, ScriptedReply&)>;

  // `address`: one of loopback's, 127.x.y.z; different ones are different hosts.
  explicit ScriptedServer(Script script, const std::string& address = "127.0.0.1");
  ~ScriptedServer();  // breaks connections and waits for the scripts

  int port() const { return port_; }
  std::string host() const;  // "127.0.0.1:PORT"
  std::string url() const;   // "http://127.0.0.1:PORT"

  std::vector<ScriptedRequest> requests() const;
  // Whether anything that it was sent holds the text, or its base64 behind "USER:" as a login.
  bool Saw(const std::string& secret, const std::string& user = "") const;

 private:
  void Accept();
  void Serve(int socket);

  const Script script_;
  const std::string address_;
  UniqueFd listener_;
  int port_ = 0;
  mutable absl::Mutex mutex_;
  std::vector<ScriptedRequest> requests_ ABSL_GUARDED_BY(mutex_);
  std::vector<UniqueFd> sockets_ ABSL_GUARDED_BY(mutex_);  // closed at the end
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
  bool ends_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread acceptor_;
};

}  // namespace contree::testing_harness

#endif  // TESTS_HARNESS_SCRIPTED_SERVER_H_
