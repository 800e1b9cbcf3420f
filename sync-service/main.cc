// sync-service: directory sync. It opens its state directory and serves health and reflection; its
// RPCs are registered here once they are built.

#include <memory>
#include <string>

#include "common/server/server_program.h"

int main(int argc, char** argv) {
  return contree::RunServerProgram(
      argc, argv,
      {.name = "sync-service",
       .description = "Directory sync of contree-mcp",
       .open = [](const std::string&) { return std::make_unique<contree::ServedParts>(); }});
}
