#include "local-backend/operations/process_spec.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace contree {
namespace {

std::vector<std::string> CommandLine(const ProcessRequest& request) {
  std::vector<std::string> argv = {request.command};
  if (request.shell) {
    argv = {"/bin/sh", "-c", request.command};
    if (!request.arguments.empty()) argv.emplace_back("sh");  // $0; the arguments are $1 and so on
  }
  argv.insert(argv.end(), request.arguments.begin(), request.arguments.end());
  return argv;
}

std::vector<std::string> EnvironmentOf(std::initializer_list<const Environment*> layers) {
  Environment environment = {
      {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, {"HOME", "/root"}};
  for (const Environment* layer : layers) {
    for (const auto& [name, value] : *layer) environment[name] = value;
  }
  std::vector<std::string> entries;
  entries.reserve(environment.size());
  for (const auto& [name, value] : environment) entries.push_back(absl::StrCat(name, "=", value));
  return entries;
}

}  // namespace

void SetProcess(const ProcessRequest& request,
                std::initializer_list<const Environment*> environments, ProcessSpec& spec) {
  spec.argv = CommandLine(request);
  spec.environment = EnvironmentOf(environments);
  spec.cwd = request.cwd.empty() ? "/" : request.cwd;
  spec.uid = request.uid;
  spec.gid = request.gid;
  spec.stdin_bytes = request.stdin_bytes;
  spec.stdin_stays_open = request.stdin_stays_open;
}

}  // namespace contree
