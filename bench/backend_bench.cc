// What the local backend costs: commands on a Debian image over HTTP, next to bare bubblewrap on
// the same files in the same run, because machines differ and are noisy: quote the ratio.
//
//   backend_bench PROGRAM ROOTFS_TAR DESCRIPTION [RUNS]
//
// ROOTFS_TAR is the image's file system, DESCRIPTION says what it is. Needs bwrap, docker-registry
// and skopeo.

#include <fcntl.h>
#include <httplib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <fstream>
#include <functional>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "bench/measurement.h"
#include "common/files/unique_fd.h"
#include "common/status/status_macros.h"
#include "common/testing/temp_directory.h"
#include "tests/harness/oci_image.h"
#include "tests/harness/server_process.h"
#include "tests/harness/test_registry.h"

namespace contree {
namespace {

using bench::Distribution;
using bench::Measure;
using bench::PrintFigure;
using bench::PrintTimes;
using nlohmann::json;
using testing_harness::ServerProcess;
using testing_harness::TestRegistry;

constexpr int kClients = 4;
constexpr absl::Duration kLoadDuration = absl::Seconds(5);
constexpr int kGenerations = 100;
constexpr int64_t kLargeWrite = int64_t{1} << 30;

// When what was seen of one run.
struct RunTimes {
  absl::Duration first_output = absl::InfiniteDuration();
  absl::Duration exit = absl::InfiniteDuration();
  absl::Duration completion;
  std::string image;  // the result
};

// One client of the API with one connection. Used by one thread.
class Client {
 public:
  explicit Client(const std::string& url) : http_(url) {
    http_.set_keep_alive(true);
    http_.set_tcp_nodelay(true);
    http_.set_read_timeout(600);
  }

  absl::StatusOr<std::string> Post(const std::string& target, const json& body) {
    const auto answer =
        http_.Post(target, {{"Authorization", "Bearer any"}}, body.dump(), "application/json");
    if (!answer || answer->status != 201) {
      return absl::InternalError(answer ? answer->body : httplib::to_string(answer.error()));
    }
    return json::parse(answer->body).value("uuid", "");
  }

  absl::StatusOr<std::string> Get(const std::string& target) {
    const auto answer = http_.Get(target, {{"Authorization", "Bearer any"}});
    if (!answer || answer->status != 200) {
      return absl::InternalError(answer ? answer->body : httplib::to_string(answer.error()));
    }
    return answer->body;
  }

  // Follows the events of the operation to its completion.
  absl::StatusOr<RunTimes> Follow(const std::string& id, absl::Time begin) {
    RunTimes times;
    std::string text;
    const auto answer = http_.Get(
        absl::StrCat("/v1/operations/", id, "/events?follow=1"),
        httplib::Headers{{"Authorization", "Bearer any"}}, [&](const char* bytes, size_t size) {
          const absl::Duration now = absl::Now() - begin;
          text.append(bytes, size);
          if (times.first_output == absl::InfiniteDuration() &&
              absl::StrContains(text, "event: stdout\n")) {
            times.first_output = now;
          }
          if (times.exit == absl::InfiniteDuration() && absl::StrContains(text, "event: exit\n")) {
            times.exit = now;
          }
          if (absl::StrContains(text, "event: completion\n")) times.completion = now;
          return true;
        });
    const size_t last = text.rfind("\ndata: ");
    if (!answer || last == std::string::npos) return absl::InternalError("no events of a run");
    const json completion = json::parse(text.substr(last + 7), nullptr, false);
    if (!completion.is_object()) return absl::InternalError(text);
    const json& data = completion.contains("data") ? completion["data"] : completion;
    if (data.value("status", "") != "SUCCESS") return absl::InternalError(text);
    times.image = data.value("result_image_uuid", "");
    return times;
  }

  absl::StatusOr<RunTimes> Run(const json& instance) {
    const absl::Time begin = absl::Now();
    ASSIGN_OR_RETURN(const std::string id, Post("/v1/instances", instance));
    return Follow(id, begin);
  }

 private:
  httplib::Client http_;
};

json Instance(const std::string& image, const std::string& command,
              const std::vector<std::string>& arguments = {}, bool disposable = true) {
  return {{"image", image}, {"command", command}, {"args", arguments}, {"disposable", disposable}};
}

absl::StatusOr<Distribution> TimesOf(int runs, Client& client, const json& instance,
                                     absl::Duration RunTimes::*what) {
  return Measure(runs, [&]() -> absl::StatusOr<absl::Duration> {
    ASSIGN_OR_RETURN(const RunTimes times, client.Run(instance));
    return times.*what;
  });
}

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

absl::StatusOr<std::string> Import(Client& client, TestRegistry& registry, const std::string& tar) {
  testing_harness::TestImage image;
  image.layers.push_back({.bytes = ReadAll(tar), .packing = testing_harness::Packing::kPlain});
  const std::string reference = registry.Push("debian:bench", {image});
  ASSIGN_OR_RETURN(
      const std::string id,
      client.Post("/v1/images/import",
                  {{"registry", {{"url", "docker://" + reference}}}, {"tag", "debian"}}));
  ASSIGN_OR_RETURN(const RunTimes times, client.Follow(id, absl::Now()));
  return times.image;
}

absl::Status BenchLoad(const std::string& url, const std::string& image,
                       const std::vector<std::string>& bare) {
  // The yardstick: as many processes that do nothing but start bubblewrap, one after the other.
  const auto load =
      [](const std::function<absl::Status(std::atomic<int>&)>& loop) -> absl::StatusOr<double> {
    std::atomic<int> done = 0;
    std::vector<absl::Status> results(kClients);
    std::vector<std::thread> threads;
    const absl::Time begin = absl::Now();
    for (int i = 0; i < kClients; ++i) {
      threads.emplace_back([&, i] {
        while (absl::Now() - begin < kLoadDuration && results[i].ok()) results[i] = loop(done);
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const absl::Status& result : results) RETURN_IF_ERROR(result);
    return done / absl::ToDoubleSeconds(absl::Now() - begin);
  };
  ASSIGN_OR_RETURN(const double bare_rate, load([&](std::atomic<int>& done) -> absl::Status {
                     RETURN_IF_ERROR(bench::TimeOfProcess(bare).status());
                     ++done;
                     return absl::OkStatus();
                   }));
  ASSIGN_OR_RETURN(const double rate, load([&](std::atomic<int>& done) -> absl::Status {
                     thread_local std::unique_ptr<Client> client;
                     if (client == nullptr) client = std::make_unique<Client>(url);
                     RETURN_IF_ERROR(client->Run(Instance(image, "/bin/true")).status());
                     ++done;
                     return absl::OkStatus();
                   }));
  PrintFigure(
      absl::StrCat("/bin/true, ", kClients, " clients"), rate, "runs/s",
      absl::StrFormat("%.2f x bare bubblewrap by as many (%.0f/s)", rate / bare_rate, bare_rate),
      "200 runs/s");
  return absl::OkStatus();
}

// The chain's last image.
absl::StatusOr<std::string> MakeChain(Client& client, std::string image) {
  for (int i = 0; i < kGenerations; ++i) {
    ASSIGN_OR_RETURN(const RunTimes times,
                     client.Run(Instance(image, "/bin/sh",
                                         {"-c", absl::StrCat("echo ", i,
                                                             " > /root/generation; "
                                                             "echo > /root/f",
                                                             i)},
                                         false)));
    image = times.image;
  }
  return image;
}

absl::Status BenchListing(Client& client, const std::string& image) {
  ASSIGN_OR_RETURN(
      const RunTimes made,
      client.Run(Instance(image, "/bin/sh",
                          {"-c", "mkdir /many; cd /many; for i in $(seq 300); do echo > $i; done"},
                          false)));
  const std::string target = absl::StrCat("/v1/inspect/", made.image, "/list?path=/many");
  ASSIGN_OR_RETURN(const Distribution listing,
                   Measure(200, [&]() -> absl::StatusOr<absl::Duration> {
                     const absl::Time begin = absl::Now();
                     RETURN_IF_ERROR(client.Get(target).status());
                     return absl::Now() - begin;
                   }));
  ASSIGN_OR_RETURN(const Distribution ls, Measure(50, [] {
                     return bench::TimeOfProcess({"/bin/ls", "-l", "/usr/share/doc"});
                   }));
  PrintTimes("listing of 300 entries", listing, "ls -l of a directory", ls, "under 3 ms");
  return absl::OkStatus();
}

absl::StatusOr<absl::Duration> TimeOfSyncfs(const std::string& directory) {
  const std::string path = directory + "/large";
  {
    const UniqueFd file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    const std::string block(1 << 20, 'x');
    for (int64_t written = 0; written < kLargeWrite;) {
      const ssize_t n = write(file.get(), block.data(), block.size());
      if (n <= 0) return absl::ErrnoToStatus(errno, "cannot write");
      written += n;
    }
  }
  const UniqueFd fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const absl::Time begin = absl::Now();
  if (syncfs(fd.get()) != 0) return absl::ErrnoToStatus(errno, "syncfs");
  const absl::Duration time = absl::Now() - begin;
  unlink(path.c_str());
  return time;
}

absl::Status BenchLargeCommit(Client& client, const std::string& image,
                              const std::string& directory) {
  std::vector<absl::Duration> commits;
  std::vector<absl::Duration> syncs;
  for (int i = 0; i < 5; ++i) {
    // Each begins with a clean disk.
    sync();
    ASSIGN_OR_RETURN(const absl::Duration syncfs_time, TimeOfSyncfs(directory));
    syncs.push_back(syncfs_time);
    sync();
    ASSIGN_OR_RETURN(
        const RunTimes times,
        client.Run(Instance(image, "/bin/sh",
                            {"-c", absl::StrCat("head -c ", kLargeWrite, " /dev/zero > /large")},
                            false)));
    commits.push_back(times.completion - times.exit);
  }
  PrintTimes("commit of a run that wrote 1 GiB", bench::DistributionOf(commits),
             "a syncfs of as much", bench::DistributionOf(syncs), "one syncfs");
  return absl::OkStatus();
}

absl::Status Bench(const std::string& program, const std::string& tar,
                   const std::string& description, int runs) {
  const TempDirectory directory;
  TestRegistry registry;
  ASSIGN_OR_RETURN(
      const auto backend,
      ServerProcess::Start({program, "--state-dir", directory.File("state"), "--grpc-listen", ""}));
  ASSIGN_OR_RETURN(const std::string url, backend->WaitForLogField("http"));
  Client client(url);
  RETURN_IF_ERROR(client.Get("/v1/whoami").status());
  const double idle = bench::ResidentMegabytes(backend->pid());
  PrintFigure("resident memory, just started", idle, "MB", "", "under 25 MB");

  std::cout << "image: " << description << "\n";
  ASSIGN_OR_RETURN(const std::string image, Import(client, registry, tar));
  const std::string rootfs = directory.File("rootfs");
  mkdir(rootfs.c_str(), 0755);
  RETURN_IF_ERROR(
      bench::TimeOfProcess({"/bin/tar", "-xf", tar, "-C", rootfs, "--exclude=dev/*"}).status());
  const std::vector<std::string> bare = {
      "bwrap", "--unshare-all", "--die-with-parent", "--bind", rootfs, "/", "--proc", "/proc",
      "--dev", "/dev",          "/bin/true"};

  // In turns, so that what else the machine does meets both.
  std::vector<absl::Duration> bare_times;
  std::vector<absl::Duration> run_times;
  std::vector<absl::Duration> output_times;
  for (int i = -10; i < runs; ++i) {
    ASSIGN_OR_RETURN(const absl::Duration bare_time, bench::TimeOfProcess(bare));
    ASSIGN_OR_RETURN(const RunTimes run, client.Run(Instance(image, "/bin/true")));
    ASSIGN_OR_RETURN(const RunTimes output, client.Run(Instance(image, "/bin/echo", {"x"})));
    if (i < 0) continue;
    bare_times.push_back(bare_time);
    run_times.push_back(run.completion);
    output_times.push_back(output.first_output);
  }
  const Distribution bare_time = bench::DistributionOf(bare_times);
  PrintTimes("/bin/true, spawn to completion event", bench::DistributionOf(run_times),
             "bare bubblewrap on the same files", bare_time, "p50 under 12 ms, 2 x at most");
  PrintTimes("spawn to the first output event", bench::DistributionOf(output_times),
             "bare bubblewrap on the same files", bare_time, "under 10 ms");
  ASSIGN_OR_RETURN(
      const Distribution kept,
      TimesOf(runs, client, Instance(image, "/bin/true", {}, false), &RunTimes::completion));
  PrintTimes("/bin/true, the image is kept", kept, "bare bubblewrap on the same files", bare_time,
             "");
  RETURN_IF_ERROR(BenchLoad(url, image, bare));

  ASSIGN_OR_RETURN(const std::string deep, MakeChain(client, image));
  std::vector<absl::Duration> deep_times;
  run_times.clear();
  for (int i = 0; i < runs; ++i) {
    ASSIGN_OR_RETURN(const RunTimes run, client.Run(Instance(image, "/bin/true")));
    ASSIGN_OR_RETURN(const RunTimes deep_run, client.Run(Instance(deep, "/bin/true")));
    run_times.push_back(run.completion);
    deep_times.push_back(deep_run.completion);
  }
  PrintTimes(absl::StrCat("/bin/true after ", kGenerations, " generations"),
             bench::DistributionOf(deep_times), "after one", bench::DistributionOf(run_times),
             "2 x at most");
  RETURN_IF_ERROR(BenchListing(client, image));
  RETURN_IF_ERROR(BenchLargeCommit(client, image, directory.path()));
  PrintFigure("resident memory after that", bench::ResidentMegabytes(backend->pid()), "MB", "", "");
  return absl::OkStatus();
}

}  // namespace
}  // namespace contree

int main(int argc, char** argv) {
  int runs = 200;
  if (argc < 4 || argc > 5 || (argc == 5 && (!absl::SimpleAtoi(argv[4], &runs) || runs < 1))) {
    std::cerr << "usage: " << argv[0] << " PROGRAM ROOTFS_TAR DESCRIPTION [RUNS]" << std::endl;
    return 2;
  }
  const absl::Status status = contree::Bench(argv[1], argv[2], argv[3], runs);
  if (!status.ok()) std::cerr << "backend_bench: " << status << std::endl;
  return status.ok() ? 0 : 1;
}
