#include "standalone/embedded_backend.h"

#include <thread>

#include "absl/time/clock.h"
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
