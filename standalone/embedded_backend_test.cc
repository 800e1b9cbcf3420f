#include "standalone/embedded_backend.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "common/files/unique_fd.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"

// How contree-mcp lives with a backend that does not come up; tests/scenarios has the real one.
namespace contree::standalone {
namespace {

using testing::HasSubstr;

EmbeddedBackendOptions OptionsWithShell(const TempDirectory& state, const std::string& script) {
  return {.state_dir = state.path(), .program = {"/bin/sh", "-c", script}};
}

TEST(EmbeddedBackendTest, SaysWhyTheBackendDidNotStartEachTimeSomebodyAsks) {
  TempDirectory state;
  EmbeddedBackend backend(OptionsWithShell(state, "echo 'error: no user namespaces here' >&3"));
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(backend.EndpointFor(NewCallContext(absl::Seconds(20))),
                StatusIs(absl::StatusCode::kFailedPrecondition, "no user namespaces here"));
  }
}

TEST(EmbeddedBackendTest, NamesTheLogOfABackendThatEndedWithoutAWord) {
  TempDirectory state;
  EmbeddedBackend backend(OptionsWithShell(state, "echo oops; exit 7"));
  EXPECT_THAT(
      backend.EndpointFor(NewCallContext(absl::Seconds(20))),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(state.File("local-backend.log"))));
}

TEST(EmbeddedBackendTest, NamesAProgramThatIsNotThere) {
  TempDirectory state;
  EmbeddedBackend backend({.state_dir = state.path(), .program = {"/no/such/program"}});
  EXPECT_THAT(backend.EndpointFor(NewCallContext(absl::Seconds(20))),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/no/such/program")));
}

// What it was asked for is not done by a backend that does less.
TEST(EmbeddedBackendTest, DoesNotJoinABackendOfAnotherIsolation) {
  TempDirectory state;
  std::filesystem::create_directory(state.File("local-backend"));
  const UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = state.File("local-backend/control.sock");
  ASSERT_LT(path.size(), sizeof address.sun_path);
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(listener.get(), 1), 0);
  std::thread server([&] {
    const UniqueFd client(accept(listener.get(), nullptr, nullptr));
    const absl::string_view greeting =
        "{\"url\": \"http://127.0.0.1:1\", \"token\": \"t\", \"pid\": 7, "
        "\"isolation\": \"namespaces\"}\n";
    EXPECT_EQ(write(client.get(), greeting.data(), greeting.size()),
              static_cast<ssize_t>(greeting.size()));
  });
  {
    EmbeddedBackend backend({.state_dir = state.path(), .isolation = "gvisor"});
    EXPECT_THAT(backend.EndpointFor(NewCallContext(absl::Seconds(20))),
                StatusIs(absl::StatusCode::kFailedPrecondition,
                         HasSubstr("(process 7) runs with --isolation=namespaces, not gvisor")));
  }
  server.join();
}

TEST(EmbeddedBackendTest, WaitsNoLongerThanTheCallerAndEndsAtOnce) {
  TempDirectory state;
  const absl::Time start = absl::Now();
  {
    EmbeddedBackend backend(OptionsWithShell(state, "exec sleep 60"));
    EXPECT_THAT(backend.EndpointFor(NewCallContext(absl::Milliseconds(50))),
                StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("did not start")));
    std::stop_source stop;
    CallContext context = NewCallContext(absl::Seconds(60));
    context.stop = stop.get_token();
    std::thread caller([&] {
      EXPECT_THAT(backend.EndpointFor(context),
                  StatusIs(absl::StatusCode::kCancelled, HasSubstr("stopped waiting")));
    });
    stop.request_stop();
    caller.join();
  }
  EXPECT_LT(absl::Now() - start, absl::Seconds(20));
}

}  // namespace
}  // namespace contree::standalone
