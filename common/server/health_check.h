#ifndef COMMON_SERVER_HEALTH_CHECK_H_
#define COMMON_SERVER_HEALTH_CHECK_H_

// "PROGRAM healthcheck ADDRESS": asks grpc.health.v1 at HOST:PORT or unix:/path whether it serves,
// for containers, which have no other program to ask with.

#include <optional>

namespace contree {

// For --help.
inline constexpr char kHealthCheckHelp[] =
    "healthcheck HOST:PORT|unix:/path as the first word asks a server there whether it serves; the "
    "exit code is 0 if it does, else 1.";

// The exit code where that is the command line: 0 it serves, 1 it does not (stderr says why), 2 no
// address was given. nullopt: it is another command line. Call it first in main.
std::optional<int> RunHealthCheck(int argc, char** argv);

}  // namespace contree

#endif  // COMMON_SERVER_HEALTH_CHECK_H_
