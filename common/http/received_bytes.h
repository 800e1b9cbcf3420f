#ifndef COMMON_HTTP_RECEIVED_BYTES_H_
#define COMMON_HTTP_RECEIVED_BYTES_H_

#include <cstdint>

namespace contree {

// How many bytes a TCP socket has received since it was connected, whether they were read or not; 0
// where that is not known. Thread-safe.
uint64_t ReceivedBytes(int socket);

}  // namespace contree

#endif  // COMMON_HTTP_RECEIVED_BYTES_H_
