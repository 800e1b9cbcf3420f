// The real contree-mcp with its embedded backend, over both transports, for the tests of one file.

import { after, before } from "node:test";

import { program, startServer, temporaryDirectory } from "./programs.mjs";

const kContreeMcp = program("standalone/contree-mcp");

// Before the tests of the calling file it starts a server over HTTP; `url` is its address, `workspace` the
// directory whose files it may touch. `stdio` is the command of one over stdio. All of them share a state directory, and so the backend.
export function contreeMcp() {
  const it = {};
  const ends = [];
  before(async () => {
    const file = { after: (end) => ends.unshift(end) };
    const flags = ["--local", "--state-dir", temporaryDirectory(file)];
    it.stdio = [kContreeMcp, ...flags, "--mode", "stdio"];
    it.workspace = temporaryDirectory(file);
    const http = ["--mode", "http", "--http-port", "0", "--workspace-root", it.workspace];
    const server = await startServer(file, [kContreeMcp, ...flags, ...http], "mcp");
    it.url = server.value;
  });
  after(async () => {
    for (const end of ends) await end();
  });
  return it;
}
