#ifndef LOCAL_BACKEND_API_ROUTES_H_
#define LOCAL_BACKEND_API_ROUTES_H_

// The functions behind the routes; each reads the request and answers it. Thread-safe.

#include <string>

#include "common/http/http_server.h"
#include "local-backend/api/api_handler.h"

namespace contree {

// One request on its way to its function.
struct ApiCall {
  HttpExchange& exchange;
  ApiServices& services;
  std::string project;          // whose data it is about
  std::string token_uuid;       // names the caller's token
  std::string id;               // the variable segment of the path, where the route has one
  std::string sub_id;           // the second one
  bool trailing_slash = false;  // of the path
};

void GetWhoami(ApiCall& call);

void ListImages(ApiCall& call);
void PatchImageTag(ApiCall& call);
void DeleteImageTag(ApiCall& call);

void PostImageImport(ApiCall& call);

void PostFile(ApiCall& call);
void ListFiles(ApiCall& call);
void GetFile(ApiCall& call);

void PostInstance(ApiCall& call);

void ListOperations(ApiCall& call);
void GetOperation(ApiCall& call);
void DeleteOperation(ApiCall& call);
void GetOperationEvents(ApiCall& call);

void PostProcess(ApiCall& call);
void ListProcesses(ApiCall& call);
void GetProcess(ApiCall& call);
void DeleteProcess(ApiCall& call);
void PostProcessStdin(ApiCall& call);

void InspectTag(ApiCall& call);
void InspectImage(ApiCall& call);
void InspectList(ApiCall& call);
void InspectDownload(ApiCall& call);
void InspectArchive(ApiCall& call);
void InspectGrep(ApiCall& call);

}  // namespace contree

#endif  // LOCAL_BACKEND_API_ROUTES_H_
