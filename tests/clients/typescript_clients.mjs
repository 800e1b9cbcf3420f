// The official TypeScript SDK's clients in one form: 1.x, and 2.x as a client of the earlier era, of 2026-07-28, and as one
// that finds out.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport as StdioV1 } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport as HttpV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ResourceUpdatedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import { Client as ClientV2, StreamableHTTPClientTransport as HttpV2 } from "@modelcontextprotocol/client";
import { StdioClientTransport as StdioV2 } from "@modelcontextprotocol/client/stdio";

import { program } from "./programs.mjs";

// What tools/list has to be.
export const golden = JSON.parse(readFileSync(program("gateway/tools/testdata/tools_list.golden.json"), "utf8"));

const kMe = { name: "contree-tests", version: "1.0.0" };

function clientV1() {
  const client = new ClientV1(kMe, { capabilities: {} });
  return {
    client,
    callTool: (params, options) => client.callTool(params, undefined, options),
    watch: async (uri, changed) => {
      client.setNotificationHandler(ResourceUpdatedNotificationSchema, changed);
      await client.subscribeResource({ uri });
      return () => client.unsubscribeResource({ uri });
    },
  };
}

function clientV2(mode) {
  const client = new ClientV2(kMe, { capabilities: {}, versionNegotiation: { mode } });
  return {
    client,
    callTool: (params, options) => client.callTool(params, options),
    watch: async (uri, changed) => {
      client.setNotificationHandler("notifications/resources/updated", changed);
      if (mode === "legacy") {
        await client.subscribeResource({ uri });
        return () => client.unsubscribeResource({ uri });
      }
      const subscription = await client.listen({ resourceSubscriptions: [uri] });
      assert.deepEqual(subscription.honoredFilter.resourceSubscriptions, [uri]);
      return () => subscription.close();
    },
  };
}

// {command, args} of a server, as both versions' stdio transports take it.
const toParameters = ([command, ...args]) => ({ command, args, stderr: "ignore" });
const transportsV1 = { stdio: (command) => new StdioV1(toParameters(command)), http: (url) => new HttpV1(url) };
const transportsV2 = { stdio: (command) => new StdioV2(toParameters(command)), http: (url) => new HttpV2(url) };

// `make` gives what client_checks.mjs calls a client; `stdio` and `http` its transports, to a command and to a URL.
export const clients = [
  { name: "1.x", era: "sessions", make: clientV1, ...transportsV1 },
  { name: "2.x, earlier era", era: "sessions", make: () => clientV2("legacy"), ...transportsV2 },
  { name: "2.x, 2026-07-28", era: "stateless", make: () => clientV2({ pin: "2026-07-28" }), ...transportsV2 },
  { name: "2.x, of its own choice", era: "stateless", make: () => clientV2("auto"), ...transportsV2 },
];
