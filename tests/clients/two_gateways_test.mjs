// Two gateways behind one address that gives each request to the other one than the request before: a session of the earlier
// era goes on in both, and 2026-07-28 needs none.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createServer, request as sendRequest } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { checks, kNeedsOneProcess } from "./client_checks.mjs";
import { clients, golden } from "./typescript_clients.mjs";
import { program, startServer, temporaryDirectory } from "./programs.mjs";

const gateways = [];
let address;

const ends = [];
before(async () => {
  const file = { after: (end) => ends.unshift(end) };
  const directory = temporaryDirectory(file);
  const start = async (target, field, ...flags) =>
    (await startServer(file, [program(target), "--state-dir", join(directory, target.replace("/", "-")), ...flags], field)).value;

  process.env.CONTREE_MCP_TOKEN = "any";
  const backend = await start("local-backend/contree-local-backend", "http");
  const service = await start("contree-service/contree-service", "grpc", "--url", backend);
  const keys = join(directory, "keys");
  writeFileSync(keys, `${randomBytes(32).toString("base64")}\n`, { mode: 0o600 });
  for (let i = 0; i < 2; ++i) {
    const flags = ["--contree-service", service, "--http-port", "0", "--session-key-file", keys];
    gateways.push(new URL(await start("gateway/contree-gateway", "mcp", ...flags)));
  }

  let turn = 0;
  const balancer = createServer((incoming, outgoing) => {
    const { hostname, port } = gateways[turn++ % gateways.length];
    const { method, url, headers } = incoming;
    const forwarded = sendRequest({ hostname, port, path: url, method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode, answer.headers);
      outgoing.flushHeaders();
      answer.pipe(outgoing);
    });
    forwarded.on("error", () => outgoing.destroy());
    outgoing.on("close", () => forwarded.destroy());
    incoming.pipe(forwarded);
  });
  await new Promise((listening) => balancer.listen(0, "127.0.0.1", listening));
  file.after(() => balancer.close());
  address = new URL(`http://127.0.0.1:${balancer.address().port}/mcp`);
});
after(async () => {
  for (const end of ends) await end();
});

for (const { name, make, http, era } of clients) {
  const context = make();
  test(`${name}: connects`, () => context.client.connect(http(address)));
  for (const [what, check] of Object.entries(checks)) {
    if (era === "sessions" && kNeedsOneProcess.includes(what)) continue;
    test(`${name}: ${what}`, { timeout: 60_000 }, () => check(context, golden));
  }
  test(`${name}: closes`, () => context.client.close());
}

test("what one gateway agreed on with a client, the other one keeps to; an id that is made up is none", async () => {
  const post = (url, id, message) =>
    fetch(url, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        Accept: "application/json, text/event-stream",
        ...(id === null ? {} : { "Mcp-Session-Id": id }),
      },
      body: JSON.stringify(message),
    });
  const params = { protocolVersion: "2025-03-26", capabilities: {}, clientInfo: { name: "t", version: "1" } };
  const started = await post(gateways[0], null, { jsonrpc: "2.0", id: 1, method: "initialize", params });
  const id = started.headers.get("Mcp-Session-Id");
  assert.match(id, /^[\x21-\x7e]+$/);
  // Batches are part of 2025-03-26 only.
  const batch = await post(gateways[1], id, [{ jsonrpc: "2.0", id: 2, method: "ping" }]);
  assert.deepEqual(await batch.json(), [{ jsonrpc: "2.0", id: 2, result: {} }]);

  const changed = id.slice(0, -6) + (id.at(-6) === "A" ? "B" : "A") + id.slice(-5);
  for (const url of gateways) {
    assert.equal((await post(url, changed, { jsonrpc: "2.0", id: 3, method: "ping" })).status, 404);
  }
});
