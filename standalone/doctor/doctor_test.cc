#include "standalone/doctor/doctor.h"

#include <nlohmann/json.hpp>
#include <sstream>

#include "gtest/gtest.h"

namespace contree::standalone {
namespace {

using State = Check::State;

TEST(DoctorTest, PeopleGetALineForEachAndTheRemedyBelow) {
  std::ostringstream out;
  PrintChecks({{.name = "a", .detail = "good"},
               {.name = "b", .state = State::kNotNeeded, .detail = "no matter"},
               {.name = "c", .state = State::kWarning, .detail = "slow", .remedy = "push"},
               {.name = "d", .state = State::kFailed, .detail = "bad", .remedy = "mend"}},
              out);
  EXPECT_EQ(out.str(),
            "ok    a                 good\n"
            "-     b                 no matter\n"
            "warn  c                 slow\n"
            "                        → push\n"
            "FAIL  d                 bad\n"
            "                        → mend\n"
            "\n1 check failed.\n");
  std::ostringstream well;
  PrintChecks({{.name = "c", .state = State::kWarning, .detail = "slow"}}, well);
  EXPECT_EQ(well.str(),
            "warn  c                 slow\n\nEverything that is needed works; 1 thing could be "
            "better.\n");
}

TEST(DoctorTest, ProgramsGetJson) {
  std::ostringstream out;
  PrintChecksAsJson({{.name = "a", .detail = "not \xff UTF-8"},
                     {.name = "d", .state = State::kFailed, .detail = "bad", .remedy = "mend"}},
                    out);
  EXPECT_EQ(nlohmann::json::parse(out.str()), nlohmann::json::parse(R"({"ok": false, "checks": [
      {"name": "a", "state": "ok", "detail": "not \ufffd UTF-8"},
      {"name": "d", "state": "failed", "detail": "bad", "remedy": "mend"}]})"));
}

}  // namespace
}  // namespace contree::standalone
