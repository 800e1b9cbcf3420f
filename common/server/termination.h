#ifndef COMMON_SERVER_TERMINATION_H_
#define COMMON_SERVER_TERMINATION_H_

// Ending on SIGTERM, SIGINT or SIGHUP without work inside a signal handler.

namespace contree {

// Blocks the three signals in this thread and all that it makes. Call it first in main, before any
// thread. Also ignores SIGPIPE: a peer that left is an error of write, not the end of the program.
void BlockTerminationSignals();

// Waits for one of them and returns its number. Call it on one thread only.
int WaitForTermination();

// Makes WaitForTermination return SIGTERM, from any thread: how a program ends itself (end of
// input, a fatal error).
void RequestTermination();

}  // namespace contree

#endif  // COMMON_SERVER_TERMINATION_H_
