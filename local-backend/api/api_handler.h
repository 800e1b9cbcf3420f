#ifndef LOCAL_BACKEND_API_API_HANDLER_H_
#define LOCAL_BACKEND_API_API_HANDLER_H_

// The ConTree HTTP API under /v1: who may call, and which function answers which route.

#include <cstdint>
#include <string>

#include "common/http/http_server.h"
#include "local-backend/api/event_streamer.h"
#include "local-backend/api/project_keys.h"
#include "local-backend/files/file_store.h"
#include "local-backend/images/image_store.h"
#include "local-backend/importer/image_importer.h"
#include "local-backend/operations/operations.h"
#include "local-backend/sandbox/run_cgroups.h"

namespace contree {

struct ApiServices {
  ImageStore& images;
  FileStore& files;
  ImageImporter& importer;
  Operations& operations;
  EventStreamer& streamer;
  std::string base_path = "";  // before /v1: "" or "/sandboxes"
  // Who may call, and for which project. Without keys there is one project, "", which needs the
  // token; where that is empty too, any Bearer token will do.
  const ProjectKeys* keys = nullptr;
  std::string token = "";
  std::string token_uuid = "";  // names the token to its owner
  std::string isolation = "";   // the tier in force
  RunLimits limits = {};        // of each instance
  int64_t disk_quota = 0;       // of everything; 0: none
  int max_concurrent = 1;       // instances
  int max_concurrent_imports = 1;
};

// What `services` refers to outlives the handler. Thread-safe.
HttpHandler MakeApiHandler(ApiServices services);

}  // namespace contree

#endif  // LOCAL_BACKEND_API_API_HANDLER_H_
