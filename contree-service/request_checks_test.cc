#include "contree-service/request_checks.h"

#include <functional>
#include <string>
#include <vector>

#include "common/testing/status_matchers.h"

namespace contree {
namespace {

using ::testing::HasSubstr;

TEST(RequestChecksTest, Pages) {
  EXPECT_OK(CheckPage(0, 0));
  EXPECT_OK(CheckPage(1000, 5));
  EXPECT_THAT(CheckPage(1001, 0),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("limit \"1001\"")));
  EXPECT_THAT(CheckPage(-1, 0), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("limit")));
  EXPECT_THAT(CheckPage(1, -1), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("offset")));
}

TEST(RequestChecksTest, TimesAndAges) {
  for (const char* age : {"", "15m", "2h", "3d", "1w", "3600s", "90"})
    EXPECT_EQ(*CheckTimeBound("since", age), age);
  EXPECT_EQ(*CheckTimeBound("since", "2026-01-31T12:00:00+02:00"), "2026-01-31T10:00:00.000000Z");
  EXPECT_EQ(*CheckTimeBound("since", "2026-01-31T12:00:00.5"), "2026-01-31T12:00:00.500000Z");
  EXPECT_EQ(*CheckTimeBound("since", "2026-01-31"), "2026-01-31T00:00:00.000000Z");
  for (const char* bad : {"m", "yesterday", "-5m", "5y", "12345678901"}) {
    EXPECT_THAT(CheckTimeBound("until", bad),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("until")))
        << bad;
  }
}

TEST(RequestChecksTest, Paths) {
  EXPECT_EQ(*CheckPath(""), "/");
  EXPECT_EQ(*CheckPath("/etc"), "/etc");
  EXPECT_THAT(CheckPath("etc"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("absolute")));
  EXPECT_THAT(CheckPath(absl::string_view("/a\0b", 4)),
              StatusIs(absl::StatusCode::kInvalidArgument, testing::_));
}

TEST(RequestChecksTest, OperationIds) {
  EXPECT_OK(CheckOperationId("01a0d8ca-28fd-777e-8000-000000000001"));
  EXPECT_THAT(CheckOperationId("../images"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("../images")));
}

TEST(RequestChecksTest, EveryFieldOfARunIsChecked) {
  v1::RunInstanceRequest valid;
  valid.set_command("ls");
  EXPECT_OK(CheckRunInstance(valid));
  struct Case {
    const char* names;
    std::function<void(v1::RunInstanceRequest&)> spoil;
  };
  const std::vector<Case> cases = {
      {"command", [](auto& r) { r.clear_command(); }},
      {"cwd", [](auto& r) { r.set_cwd("tmp"); }},
      {"timeout", [](auto& r) { r.mutable_timeout(); }},
      {"timeout", [](auto& r) { r.mutable_timeout()->set_seconds(3601); }},
      {"truncate_output_at", [](auto& r) { r.set_truncate_output_at(-1); }},
      {"truncate_output_at", [](auto& r) { r.set_truncate_output_at(10485761); }},
      {"max_layer_bytes", [](auto& r) { r.set_max_layer_bytes(-1); }},
      {"env", [](auto& r) { (*r.mutable_env())["A=B"] = "x"; }},
      {"env", [](auto& r) { (*r.mutable_env())["A"] = std::string("x\0", 2); }},
      {"files path", [](auto& r) { (*r.mutable_files())["x"]; }},
      {"uuid", [](auto& r) { (*r.mutable_files())["/x"].set_uuid("1"); }},
  };
  for (const Case& c : cases) {
    v1::RunInstanceRequest request = valid;
    c.spoil(request);
    EXPECT_THAT(CheckRunInstance(request),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(c.names)));
  }
}

TEST(RequestChecksTest, Imports) {
  v1::ImportImageRequest request;
  request.set_registry_url("docker://docker.io/library/busybox:latest");
  EXPECT_OK(CheckImportImage(request));
  request.set_tag("a b");
  EXPECT_THAT(CheckImportImage(request),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("tag")));
  request.clear_tag();
  request.mutable_timeout()->set_seconds(3601);
  EXPECT_THAT(CheckImportImage(request),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("timeout")));
  request.clear_timeout();
  for (const char* url : {"", "docker://", "busybox", "docker://a b"}) {
    request.set_registry_url(url);
    EXPECT_THAT(CheckImportImage(request),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("registry_url")))
        << url;
  }
}

TEST(RequestChecksTest, Hashes) {
  EXPECT_OK(CheckSha256(std::string(64, 'f')));
  for (const std::string& bad :
       {std::string(63, 'f'), std::string(64, 'F'), std::string(64, 'g')}) {
    EXPECT_THAT(CheckSha256(bad), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("sha256")))
        << bad;
  }
}

}  // namespace
}  // namespace contree
