#include "contree-service/api/operation_json.h"

#include <nlohmann/json.hpp>
#include <string>

#include "absl/time/time.h"
#include "common/testing/status_matchers.h"
#include "contree-service/api/json_fields.h"
#include "contree-service/api/proto_time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

using Json = nlohmann::json;

constexpr char kInstance[] = R"({
  "uuid": "01a0d8ca-28fd-777e-8000-000000000001", "kind": "instance", "status": "SUCCESS", "error": null,
  "created_at": "2026-09-18T07:51:35.625570+00:00", "duration": 1.25, "image_size": 926, "consumed_cpu": 0.1,
  "image_uuid": "95ba4f1b-a511-325b-8000-000000000002", "result_image_uuid": "28f5d6d6-f977-42a8-8000-000000000003",
  "result": {"image": "28f5d6d6-f977-42a8-8000-000000000003", "tag": "a/b:1"}, "some_new_field": [1, 2],
  "metadata": {"command": "make", "args": ["-j", "all"], "env": {"SECRET": "x"}, "result": {
    "state": {"continued": false, "core_dump": false, "exit_code": 3, "pid": 12, "signal": -1, "stopped": false,
              "timed_out": false},
    "stdout": {"value": "hi\n", "encoding": "ascii", "truncated": false},
    "stderr": {"value": "AP/+", "encoding": "base64", "truncated": true},
    "resources": {"user_cpu_time": 0.5, "system_cpu_time": 0.25, "elapsed_time": 2, "max_rss": 2048, "cost": 0.0001,
                  "block_input": 1, "block_output": 2, "page_faults": 3, "page_faults_io": 4, "voluntary_switches": 5,
                  "involuntary_switches": 6}}}})";

TEST(OperationJsonTest, ReadsAnInstanceCompletely) {
  const v1::Operation operation = OperationFromJson(Json::parse(kInstance));
  EXPECT_EQ(operation.id(), "01a0d8ca-28fd-777e-8000-000000000001");
  EXPECT_EQ(operation.kind(), v1::OPERATION_KIND_INSTANCE);
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_SUCCESS);
  EXPECT_EQ(operation.error(), "");
  EXPECT_EQ(operation.image(), "95ba4f1b-a511-325b-8000-000000000002");
  EXPECT_EQ(operation.result_image(), "28f5d6d6-f977-42a8-8000-000000000003");
  EXPECT_EQ(operation.result_tag(), "a/b:1");
  EXPECT_EQ(absl::FormatTime(GetTime(operation.created_at()), absl::UTCTimeZone()),
            "2026-09-18T07:51:35.62557+00:00");
  EXPECT_EQ(GetDuration(operation.duration()), absl::Milliseconds(1250));
  EXPECT_EQ(operation.command(), "make -j all");
  const v1::InstanceResult& instance = operation.instance();
  EXPECT_EQ(instance.exit_code(), 3);
  EXPECT_EQ(instance.signal(), 0);
  EXPECT_FALSE(instance.timed_out());
  EXPECT_EQ(instance.stdout().data(), "hi\n");
  EXPECT_FALSE(instance.stdout().truncated());
  EXPECT_EQ(instance.stderr().data(), std::string("\0\xff\xfe", 3));
  EXPECT_TRUE(instance.stderr().truncated());
  EXPECT_EQ(GetDuration(instance.resources().user_cpu()), absl::Milliseconds(500));
  EXPECT_EQ(GetDuration(instance.resources().system_cpu()), absl::Milliseconds(250));
  EXPECT_EQ(GetDuration(instance.resources().elapsed()), absl::Seconds(2));
  EXPECT_EQ(instance.resources().max_rss_bytes(), 2048 * 1024);
  EXPECT_EQ(instance.resources().cost(), 0.0001);
  EXPECT_EQ(instance.resources().block_input(), 1);
  EXPECT_EQ(instance.resources().block_output(), 2);
  EXPECT_EQ(instance.resources().minor_page_faults(), 3);
  EXPECT_EQ(instance.resources().major_page_faults(), 4);
  EXPECT_EQ(instance.resources().voluntary_context_switches(), 5);
  EXPECT_EQ(instance.resources().involuntary_context_switches(), 6);
  EXPECT_EQ(operation.DebugString().find("SECRET"), std::string::npos);
}

TEST(OperationJsonTest, NormalisesHowACommandEnded) {
  Json json = Json::parse(kInstance);
  Json& state = json["metadata"]["result"]["state"];
  state["exit_code"] = 137;
  state["signal"] = 9;
  state["timed_out"] = true;
  v1::Operation operation = OperationFromJson(json);
  EXPECT_EQ(operation.instance().exit_code(), -1);
  EXPECT_EQ(operation.instance().signal(), 9);
  EXPECT_TRUE(operation.instance().timed_out());
  state["exit_code"] = 0;
  state["signal"] = 0;
  operation = OperationFromJson(json);
  EXPECT_EQ(operation.instance().exit_code(), 0);
  EXPECT_EQ(operation.instance().signal(), 0);
}

TEST(OperationJsonTest, ARunningCommandHasNoResultYet) {
  Json json = Json::parse(kInstance);
  json["status"] = "EXECUTING";
  EXPECT_FALSE(OperationFromJson(json).has_instance());
  json["status"] = "SUCCESS";
  json["metadata"]["result"] = nullptr;
  EXPECT_FALSE(OperationFromJson(json).has_instance());
}

TEST(OperationJsonTest, ReadsAnImport) {
  const v1::Operation operation = OperationFromJson(Json::parse(R"({
    "uuid": "x", "kind": "image_import", "status": "FAILED", "error": {"code": 7}, "created_at": "2026-05-18T09:16:55.185199Z",
    "duration": null, "result": {"image": "28f5d6d6-f977-42a8-8000-000000000003", "tag": null},
    "metadata": {"registry": {"url": "docker://docker.io/library/busybox:latest",
                              "credentials": {"username": "u", "password": "<MASKED>"}}}})"));
  EXPECT_EQ(operation.kind(), v1::OPERATION_KIND_IMAGE_IMPORT);
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_FAILED);
  EXPECT_EQ(operation.error(), R"({"code":7})");
  EXPECT_EQ(operation.import().registry_url(), "docker://docker.io/library/busybox:latest");
  EXPECT_EQ(operation.result_image(), "28f5d6d6-f977-42a8-8000-000000000003");
  EXPECT_EQ(operation.result_tag(), "");
  EXPECT_EQ(operation.created_at().nanos(), 185199000);
}

TEST(OperationJsonTest, FilesOfARunAreNotKept) {
  const auto json = json_fields::ParseOperation(
      R"({"uuid":"u","files":{"/a":{"uuid":"1"}},"metadata":{"files":{"/b":{}},"command":"c",)"
      R"("env":{"files":"kept"}}})",
      "");
  ASSERT_OK(json);
  EXPECT_EQ(json->dump(), R"({"metadata":{"command":"c","env":{"files":"kept"}},"uuid":"u"})");
}

TEST(OperationJsonTest, ToleratesWhatItDoesNotKnow) {
  const v1::Operation operation = OperationFromJson(Json::parse(
      R"({"uuid": 7, "kind": "teleport", "status": "DREAMING", "duration": 1e300, "created_at": "soon"})"));
  EXPECT_EQ(operation.id(), "");
  EXPECT_EQ(operation.kind(), v1::OPERATION_KIND_UNSPECIFIED);
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_UNSPECIFIED);
  EXPECT_FALSE(IsFinal(operation.state()));
  EXPECT_FALSE(operation.has_created_at());
  EXPECT_EQ(OperationFromJson(Json::parse("[]")).id(), "");
}

std::optional<StreamedEvent> Event(const std::string& id, const std::string& type,
                                   const std::string& data) {
  return EventFromFrame({.id = id, .event = type, .data = data});
}

TEST(OperationJsonTest, ReadsEvents) {
  auto init =
      Event("0", "init",
            R"({"id":0,"ts":"2026-09-18T07:51:35.123456789Z","spid":0,"type":"init","data":{}})");
  ASSERT_TRUE(init && init->event);
  EXPECT_EQ(init->id, 0);
  EXPECT_EQ(init->event->state_changed().state(), v1::OPERATION_STATE_EXECUTING);
  EXPECT_EQ(init->event->time().nanos(), 123456789);

  auto spawn = Event("1", "spawn",
                     R"({"id":1,"spid":1,"type":"spawn","data":{"command":"ls","args":["-l"]}})");
  ASSERT_TRUE(spawn && spawn->event);
  EXPECT_EQ(spawn->event->process_started().command(), "ls -l");

  auto output = Event("2", "stderr",
                      R"({"spid":1,"type":"stderr","data":{"value":"/w==","encoding":"base64"}})");
  ASSERT_TRUE(output && output->event);
  EXPECT_EQ(output->event->output().stream(), v1::OperationEvent::STREAM_STDERR);
  EXPECT_EQ(output->event->output().data(), "\xff");

  auto exit =
      Event("", "exit",
            R"({"id":3,"spid":1,"type":"exit","data":{"code":-1,"signal":9,"timed_out":true}})");
  ASSERT_TRUE(exit && exit->event);
  EXPECT_EQ(exit->id, 3);
  EXPECT_EQ(exit->event->process_exited().exit_code(), -1);
  EXPECT_EQ(exit->event->process_exited().signal(), 9);
  EXPECT_TRUE(exit->event->process_exited().timed_out());

  auto completion =
      Event("4", "completion", R"({"id":4,"type":"completion","data":{"status":"SUCCESS"}})");
  ASSERT_TRUE(completion);
  EXPECT_TRUE(completion->completion);
}

TEST(OperationJsonTest, SkipsWhatIsNotTheCommandsOwn) {
  auto other =
      Event("5", "stdout",
            R"({"id":5,"spid":2,"type":"stdout","data":{"value":"x","encoding":"ascii"}})");
  ASSERT_TRUE(other);
  EXPECT_EQ(other->id, 5);
  EXPECT_FALSE(other->event.has_value());
  auto unknown = Event("6", "volcano", R"({"id":6,"spid":0,"type":"volcano","data":{}})");
  ASSERT_TRUE(unknown);
  EXPECT_FALSE(unknown->event.has_value());
  EXPECT_FALSE(Event("7", "stdout", "{broken").has_value());
  EXPECT_FALSE(Event("8", "stdout", "[1]").has_value());
  EXPECT_TRUE(Event("", "sse_error", "gone")->failure);
}

TEST(OperationJsonTest, AnInstanceHasEveryDefaultFilledIn) {
  v1::RunInstanceRequest request;
  request.set_command("ls");
  EXPECT_EQ(Json::parse(InstanceBody(request, "tag:a")), Json::parse(R"({
    "command": "ls", "image": "tag:a", "args": [], "shell": false, "env": {}, "preserve_env": false, "cwd": "/", "uid": 0,
    "gid": 0, "hostname": "linuxkit", "timeout": 30, "truncate_output_at": 8000, "disposable": false, "files": {},
    "resources_limits": {"max_layer_bytes": 12884901888}, "networking": {"enabled": true}})"));
}

TEST(OperationJsonTest, AnInstanceCarriesWhatWasAsked) {
  v1::RunInstanceRequest request;
  request.set_command("cat");
  request.add_args("-n");
  request.set_stdin(std::string("a\0b", 3));
  SetDuration(absl::Milliseconds(1500), request.mutable_timeout());
  request.set_networking_disabled(true);
  (*request.mutable_env())["A"] = "b";
  v1::AttachedFile file;
  file.set_uuid("28f5d6d6-f977-42a8-8000-000000000003");
  file.set_mode(0755);
  file.set_uid(1000);
  file.set_gid(100);
  (*request.mutable_files())["/x"] = file;
  file.set_mode(0);
  (*request.mutable_files())["/closed"] = file;
  file.clear_mode();
  (*request.mutable_files())["/usual"] = file;
  Json body = Json::parse(InstanceBody(request, "u"));
  EXPECT_EQ(body["args"], Json::parse(R"(["-n"])"));
  EXPECT_EQ(body["stdin"],
            Json::parse(R"({"value": "YQBi", "encoding": "base64", "close": true})"));
  EXPECT_EQ(body["timeout"], 2);
  EXPECT_EQ(body["networking"]["enabled"], false);
  EXPECT_EQ(body["env"], Json::parse(R"({"A": "b"})"));
  EXPECT_EQ(
      body["files"]["/x"],
      Json::parse(
          R"({"uuid": "28f5d6d6-f977-42a8-8000-000000000003", "mode": "0755", "uid": 1000, "gid": 100})"));
  EXPECT_EQ(body["files"]["/closed"]["mode"], "0000");
  EXPECT_EQ(body["files"]["/usual"]["mode"], "0644");
  request.set_stdin("plain\n");
  EXPECT_EQ(Json::parse(InstanceBody(request, "u"))["stdin"],
            Json::parse(R"({"value": "plain\n", "encoding": "ascii", "close": true})"));
}

}  // namespace
}  // namespace contree
