// The console of an installation that asks who calls, in Chromium: the token is asked for, kept in the tab and sent with
// all that the page asks.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { assertAccessible, launch, looks, openPage, picture } from "./browser.mjs";
import { mcpClient } from "./mcp.mjs";
import { program, startServer, temporaryDirectory } from "./programs.mjs";

const key = "key-of-the-tab";
const ends = [];
let browser;
let server;

before(async () => {
  process.env.CONTREE_MCP_TOKEN = "any"; // the backend wants one, whichever
  const file = { after: (end) => ends.unshift(end) };
  const directory = temporaryDirectory(file);
  const keys = join(directory, "keys");
  writeFileSync(keys, `${createHash("sha256").update(key).digest("hex")} local me\n`, { mode: 0o600 });
  const start = async (path, name, field, flags) =>
    (await startServer(file, [program(path), "--state-dir", join(directory, name), "--log-level", "info", ...flags], field)).value;
  const asks = ["--auth", "keys", "--auth-keys-file", keys];
  const api = await start("local-backend/contree-local-backend", "backend", "http", []);
  const service = await start("contree-service/contree-service", "service", "grpc", ["--url", api, ...asks]);
  const mcp = await start("gateway/contree-gateway", "gateway", "mcp", ["--http-port", "0", "--contree-service", service, ...asks]);
  server = { mcp, url: new URL("/", mcp).href, call: (name, args) => mcpClient(mcp, { Authorization: `Bearer ${key}` }).call(name, args) };
  browser = await launch();
});
after(async () => {
  await browser?.close();
  for (const end of ends) await end();
});

// What a page may say where nobody has signed in yet.
const isRefusal = (fault) => fault.includes("401");

test("the console asks for a token, and shows everything to whoever has one", async () => {
  const page = await openPage(browser, server.url, looks.light);
  await page.goto(`${server.url}console`);
  const token = page.getByLabel("Token");
  await token.waitFor();
  await assertAccessible(page);
  await picture(page, "sign-in");
  assert.equal(await page.getByText("busybox:latest").count(), 0);
  await token.fill("a wrong one");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("did not take this token").waitFor();
  await page.getByLabel("Token").fill(key);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("busybox:latest").first().waitFor();
  assert.deepEqual(page.faults.filter((fault) => !isRefusal(fault)), []);
  page.faults.length = 0;

  // Output as it comes, which an EventSource could not ask for.
  const run = await server.call("run", { image: "tag:busybox:latest", command: "echo first; sleep 60", timeout: 120, wait: false });
  await page.locator(`a[href="#/operations/${run.operation_id}"]`).click();
  await page.locator("pre.output").getByText("first").waitFor();
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.locator(".operation .state").getByText("cancelled").waitFor();

  // Files and pictures, which links and images could not carry a token for.
  const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
  const made = await server.call("run", { image: "tag:busybox:latest", command: `mkdir /art; echo ${png} | base64 -d > /art/dot.png; echo hello > /art/text`, disposable: false });
  await page.goto(`${server.url}console#/files/${made.result_image}/art`);
  await page.getByRole("button", { name: "dot.png" }).click();
  await page.waitForFunction(() => document.querySelector(".preview img")?.naturalWidth === 1);
  await page.getByRole("button", { name: "text", exact: true }).click();
  await page.locator("pre.content").getByText("hello").waitFor();
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download" }).click();
  assert.equal((await download).suggestedFilename(), "text");

  // The tab remembers it; another one does not, and signing out ends it.
  await page.goto(`${server.url}console`);
  await page.getByText("busybox:latest").first().waitFor();
  assert.equal(await page.evaluate(() => localStorage.length + document.cookie.length), 0);
  await page.goto(`${server.url}console#/account`);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Token").waitFor();
  assert.deepEqual(page.faults.filter((fault) => !isRefusal(fault)), []);
  await page.context().close();
});
