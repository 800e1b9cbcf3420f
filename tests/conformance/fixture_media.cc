#include <string>

#include "common/text/hex.h"
#include "tests/conformance/fixtures.h"

namespace contree::conformance {

std::string RedPixelPng() {
  return BytesOfHex(
      "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
      "0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082");
}

// 8 kHz, one channel, eight bits: eight samples.
std::string SilenceWav() {
  return BytesOfHex(
      "524946462c00000057415645666d742010000000010001"
      "00401f0000401f0000010008006461746108000000"
      "8080808080808080");
}

}  // namespace contree::conformance
