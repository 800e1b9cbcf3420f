// The official TypeScript SDK's clients against the real contree-mcp with its embedded backend, over stdio and over Streamable
// HTTP.

import assert from "node:assert/strict";
import { test } from "node:test";

import { checks } from "./client_checks.mjs";
import { contreeMcp } from "./contree_mcp.mjs";
import { clients, golden } from "./typescript_clients.mjs";

const server = contreeMcp();

for (const { name, make, stdio, http, era } of clients) {
  for (const [transport, connect] of [
    ["stdio", () => stdio(server.stdio)],
    ["HTTP", () => http(new URL(server.url))],
  ]) {
    const context = make();
    test(`${name}, ${transport}: connects`, async () => {
      await context.client.connect(connect());
      assert.equal(context.client.getServerVersion().name, "contree-mcp");
      assert.match(context.client.getInstructions(), /list_images/);
      if (era === "stateless") assert.equal(context.client.getProtocolEra(), "modern");
    });
    for (const [what, check] of Object.entries(checks)) {
      test(`${name}, ${transport}: ${what}`, { timeout: 60_000 }, () => check(context, golden));
    }
    test(`${name}, ${transport}: closes`, () => context.client.close());
  }
}
