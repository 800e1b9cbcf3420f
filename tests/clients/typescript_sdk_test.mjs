// The official TypeScript SDK's clients, 1.x and 2.x, against the real contree-mcp with its embedded backend, over stdio and
// over Streamable HTTP.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport as StdioV1 } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport as HttpV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { Client as ClientV2, StreamableHTTPClientTransport as HttpV2 } from "@modelcontextprotocol/client";
import { StdioClientTransport as StdioV2 } from "@modelcontextprotocol/client/stdio";

import { checks } from "./client_checks.mjs";
import { contreeMcp } from "./contree_mcp.mjs";
import { program } from "./programs.mjs";

const server = contreeMcp();
const golden = JSON.parse(readFileSync(program("gateway/tools/testdata/tools_list.golden.json"), "utf8"));
const kMe = { name: "contree-tests", version: "1.0.0" };

const stdioServer = () => {
  const [command, ...args] = server.stdio;
  return { command, args, stderr: "ignore" };
};

function clientV1() {
  const client = new ClientV1(kMe, { capabilities: {} });
  return {
    client,
    callTool: (params, options) => client.callTool(params, undefined, options),
  };
}

function clientV2(mode) {
  const client = new ClientV2(kMe, { capabilities: {}, versionNegotiation: { mode } });
  return {
    client,
    callTool: (params, options) => client.callTool(params, options),
  };
}

const clients = [
  { name: "1.x, stdio", make: clientV1, transport: () => new StdioV1(stdioServer()) },
  { name: "1.x, HTTP", make: clientV1, transport: () => new HttpV1(new URL(server.url)) },
  { name: "2.x, stdio, earlier era", make: () => clientV2("legacy"), transport: () => new StdioV2(stdioServer()) },
  { name: "2.x, HTTP, earlier era", make: () => clientV2("legacy"), transport: () => new HttpV2(new URL(server.url)) },
  { name: "2.x, stdio, of its own choice", make: () => clientV2("auto"), transport: () => new StdioV2(stdioServer()) },
  { name: "2.x, HTTP, of its own choice", make: () => clientV2("auto"), transport: () => new HttpV2(new URL(server.url)) },
];

for (const { name, make, transport } of clients) {
  const context = make();
  test(`${name}: connects`, async () => {
    await context.client.connect(transport());
    assert.equal(context.client.getServerVersion().name, "contree-mcp");
    assert.match(context.client.getInstructions(), /list_images/);
  });
  for (const [what, check] of Object.entries(checks)) {
    test(`${name}: ${what}`, { timeout: 60_000 }, () => check(context, golden));
  }
  test(`${name}: closes`, () => context.client.close());
}
