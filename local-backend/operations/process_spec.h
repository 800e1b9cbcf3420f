#ifndef LOCAL_BACKEND_OPERATIONS_PROCESS_SPEC_H_
#define LOCAL_BACKEND_OPERATIONS_PROCESS_SPEC_H_

// What the sandbox is told of a process that the API asked for.

#include <initializer_list>

#include "local-backend/images/image_store.h"
#include "local-backend/operations/process_report.h"
#include "local-backend/sandbox/sandbox.h"

namespace contree {

// Fills in argv, environment, directory, owner and stdin. Of the environments, above a small one
// that every process has, later ones win.
void SetProcess(const ProcessRequest& request,
                std::initializer_list<const Environment*> environments, ProcessSpec& spec);

}  // namespace contree

#endif  // LOCAL_BACKEND_OPERATIONS_PROCESS_SPEC_H_
