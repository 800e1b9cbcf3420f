#ifndef GATEWAY_TOOLS_BYTE_COUNT_H_
#define GATEWAY_TOOLS_BYTE_COUNT_H_

#include <cstdint>
#include <string>

namespace contree::gateway {

// A number of bytes for people: "812 bytes", "1.5 KiB", "24.0 MiB".
std::string ByteCount(int64_t bytes);

}  // namespace contree::gateway

#endif  // GATEWAY_TOOLS_BYTE_COUNT_H_
