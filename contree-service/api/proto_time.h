#ifndef CONTREE_SERVICE_API_PROTO_TIME_H_
#define CONTREE_SERVICE_API_PROTO_TIME_H_

// absl's times as protobuf's and back.

#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"

namespace contree {

void SetTime(absl::Time time, google::protobuf::Timestamp* timestamp);
absl::Time GetTime(const google::protobuf::Timestamp& timestamp);
void SetDuration(absl::Duration duration, google::protobuf::Duration* proto);
absl::Duration GetDuration(const google::protobuf::Duration& proto);

}  // namespace contree

#endif  // CONTREE_SERVICE_API_PROTO_TIME_H_
