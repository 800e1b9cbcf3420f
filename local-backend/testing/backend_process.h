#ifndef LOCAL_BACKEND_TESTING_BACKEND_PROCESS_H_
#define LOCAL_BACKEND_TESTING_BACKEND_PROCESS_H_

// The real program as a child of a test, and requests to it. Used by one thread.

#include <sys/types.h>

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace contree {

struct Answer {
  int status = 0;
  std::string body;
  std::string location;
  std::map<std::string, std::string> headers = {};  // names as the server wrote them
  nlohmann::json json() const { return nlohmann::json::parse(body, nullptr, false); }
};

struct ServerEvent {
  int id = -1;
  std::string type;
  nlohmann::json event;
};

class BackendProcess {
 public:
  // Starts the program on the state directory and waits until it says "ready" or "error: …".
  // `before_exec` runs in the child.
  BackendProcess(const std::string& state_directory, const std::vector<std::string>& flags,
                 const std::function<void()>& before_exec = nullptr);
  ~BackendProcess();  // SIGTERM, and waits

  const std::string& readiness() const { return readiness_; }  // "ready\n" or the error
  const std::string& url() const { return url_; }
  pid_t pid() const { return pid_; }
  int Wait();  // for its end; the exit code, or minus the signal
  void Kill(int signal);

  Answer Request(const std::string& method, const std::string& target,
                 const nlohmann::json& body = nullptr, const std::string& token = "any",
                 const std::vector<std::pair<std::string, std::string>>& headers = {});
  // What /healthz of --admin-listen says.
  std::string Health();
  // POST /instances on tag:busybox:latest through the shell, disposable unless `fields` says
  // otherwise; the id.
  std::string Start(nlohmann::json fields);
  // All events until the completion.
  std::vector<ServerEvent> Follow(const std::string& operation,
                                  const std::string& query = "follow=1");
  // Start, Follow, and the operation as GET shows it.
  nlohmann::json Run(const nlohmann::json& fields);

 private:
  pid_t pid_ = -1;
  int log_ = -1;
  std::string readiness_;
  std::string url_;
  std::string admin_url_;
};

std::vector<ServerEvent> ParseEvents(const std::string& stream);

}  // namespace contree

#endif  // LOCAL_BACKEND_TESTING_BACKEND_PROCESS_H_
