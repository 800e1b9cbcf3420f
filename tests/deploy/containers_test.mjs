// The images and compose.yaml, built from the programs of this tree and run: where a container engine answers to `docker info`
// and docker-compose is there. No registry is needed: the base is made from Debian's packages (or is the image that
// CONTREE_TEST_BASE names), and HAProxy is this machine's.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, after, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import * as yaml from "js-yaml";
import { makeBaseTar, makeContext, MEGABYTE, MOST_OWN_BYTES, PROGRAMS, tries } from "./image_context.mjs";

const BASE = process.env.CONTREE_TEST_BASE ?? "contree/test-base";
// Debian's own first: another one of the same name may lack its plugins.
const DOCKER = ["/usr/bin/docker", "docker"].find((path) => path === "docker" || existsSync(path));

function reasonToSkip() {
  if (!tries(DOCKER, ["info"])) return "no container engine answers (docker info)";
  if (!tries("docker-compose", ["version"]) && !tries(DOCKER, ["compose", "version"])) return "docker compose is not installed";
  if (!existsSync("/usr/sbin/haproxy")) return "haproxy is not installed";
  return false;
}
const skip = reasonToSkip();

const docker = (...args) =>
  execFileSync(DOCKER, args, { encoding: "utf8", maxBuffer: 1 << 26, env: { ...process.env, DOCKER_BUILDKIT: "1" } }).trim();

describe("containers", { skip }, () => {
  const context = mkdtempSync(join(process.env.TEST_TMPDIR ?? tmpdir(), "context-"));
  const composing = tries(DOCKER, ["compose", "version"]) ? [DOCKER, "compose"] : ["docker-compose"];
  const port = 20000 + Math.floor(Math.random() * 20000);
  const environment = {
    ...process.env,
    CONTREE_HAPROXY_IMAGE: "contree/test-haproxy",
    CONTREE_EDGE: `127.0.0.1:${port}`,
    COMPOSE_PROJECT_NAME: `contree-test-${port}`,
  };
  const compose = (...args) =>
    execFileSync(composing[0], [...composing.slice(1), "--file", join(context, "compose.yaml"), ...args], { encoding: "utf8", env: environment, stdio: ["ignore", "pipe", "pipe"] });
  let key = "";

  // Version 1 passes systempaths=unconfined on as it is, and the engine does not take it from anybody but its own client.
  const isOldCompose = composing[0] === "docker-compose";
  const backend = `${environment.COMPOSE_PROJECT_NAME}-backend`;
  function upByOldCompose() {
    const up = (name) => compose("up", "--detach", "--no-build", "--no-deps", name);
    up("auth-service");
    const service = yaml.load(readFileSync(join(context, "compose.yaml"), "utf8"), { schema: yaml.YAML11_SCHEMA }).services["local-backend"];
    docker(
      "run", "--detach", "--name", backend, "--network", `${environment.COMPOSE_PROJECT_NAME}_inside`, "--network-alias", "local-backend",
      ...service.security_opt.flatMap((option) => ["--security-opt", option.replace(":", "=")]),
      ...service.devices.flatMap((device) => ["--device", device]),
      "--volume", `${environment.COMPOSE_PROJECT_NAME}_backend:/var/lib/contree`,
      "--volume", `${join(context, "secrets/backend-keys")}:/run/secrets/backend-keys:ro`,
      service.image, ...service.command,
    );
    for (const name of ["contree-service", "sync-service", "gateway", "edge"]) up(name);
  }

  before(() => {
    makeContext(context, ["Dockerfile", "compose.yaml", ".dockerignore", "deploy/haproxy.cfg", "script/compose_secrets"], Object.keys(PROGRAMS));
    if (!tries(DOCKER, ["image", "inspect", BASE])) {
      const tar = join(context, "base.tar");
      makeBaseTar(tar);
      docker("import", tar, BASE);
      rmSync(tar);
    }
    for (const target of Object.keys(PROGRAMS)) {
      docker("build", "--quiet", "--build-arg", `DEBIAN=${BASE}`, "--build-arg", "PROGRAMS=prebuilt", "--target", target, "--tag", `contree/${target}:dev`, context);
    }
    const haproxy = join(context, "haproxy");
    mkdirSync(join(haproxy, "lib"), { recursive: true });
    copyFileSync("/usr/sbin/haproxy", join(haproxy, "haproxy"));
    for (const [, library] of execFileSync("ldd", ["/usr/sbin/haproxy"], { encoding: "utf8" }).matchAll(/=> (\/\S+)/g)) {
      if (!/\/(libc|libm)\.so/.test(library)) copyFileSync(library, join(haproxy, "lib", library.split("/").pop()));
    }
    writeFileSync(join(haproxy, "Dockerfile"), `FROM ${BASE}\nCOPY haproxy /usr/local/bin/\nCOPY lib /usr/lib/haproxy\nENV LD_LIBRARY_PATH=/usr/lib/haproxy\nUSER 65532\n`);
    docker("build", "--quiet", "--tag", environment.CONTREE_HAPROXY_IMAGE, haproxy);
    const printed = execFileSync("bash", ["script/compose_secrets", "team", "alice"], { cwd: context, encoding: "utf8" });
    key = printed.trim().split("\n").pop();
  });

  after(() => {
    if (isOldCompose) tries(DOCKER, ["rm", "--force", backend]);
    try {
      compose("down", "--volumes", "--timeout", "5");
    } catch (error) {
      console.log(`compose down: ${error.stderr}`);
    }
    rmSync(context, { recursive: true, force: true });
  });

  test("each image is small, nobody's, and says what it is", () => {
    const base = Number(docker("image", "inspect", "--format", "{{.Size}}", BASE));
    for (const target of Object.keys(PROGRAMS)) {
      const image = JSON.parse(docker("image", "inspect", `contree/${target}:dev`))[0];
      console.log(`${target}: ${((image.Size - base) / MEGABYTE).toFixed(0)} MB above a base of ${(base / MEGABYTE).toFixed(0)} MB`);
      assert.ok(image.Size - base < MOST_OWN_BYTES, `${target} adds ${image.Size - base} bytes`);
      assert.equal(image.Config.User, target === "local-backend" ? "0:0" : "65532:65532");
      assert.equal(image.Config.Healthcheck.Test[2], "healthcheck");
      assert.ok(image.Config.Labels["org.opencontainers.image.title"]);
    }
  });

  test("a program runs with a read-only root and no capability", () => {
    const help = docker("run", "--rm", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "none", "contree/gateway:dev", "--help");
    assert.match(help, /MCP in front of the ConTree services/);
  });

  test("the stack comes up healthy and serves a session through the edge", { timeout: 200_000 }, async () => {
    try {
      if (isOldCompose) upByOldCompose();
      else compose("up", "--detach", "--no-build", "--wait");
    } catch (error) {
      throw new Error(`${error.stderr ?? error}\n${compose("logs", "--tail", "30")}`);
    }
    const url = new URL(`http://127.0.0.1:${port}/mcp`);
    const deadline = Date.now() + 90_000;
    for (;;) {
      const answer = await fetch(url, { method: "POST", body: "{}" }).catch(() => null);
      if (answer?.status === 401) break; // served, to nobody without a key
      if (Date.now() > deadline) throw new Error(`the edge does not serve (${answer?.status}):\n${compose("ps")}\n${compose("logs", "--tail", "8")}`);
      await pause(500);
    }
    const client = new Client({ name: "containers_test", version: "1" });
    await client.connect(new StreamableHTTPClientTransport(url, { requestInit: { headers: { authorization: `Bearer ${key}` } } }));
    const call = async (name, args) => {
      const result = await client.callTool({ name, arguments: args });
      assert.ok(!result.isError, JSON.stringify(result.content));
      return result.structuredContent;
    };
    const made = await call("run", { image: "tag:busybox:latest", command: "id -u; echo kept >/kept; hostname", shell: true, disposable: false });
    assert.equal(made.exit_code, 0);
    assert.match(made.stdout, /^0\n/);
    const again = await call("run", { image: made.result_image, command: "cat /kept", shell: true });
    assert.equal(again.stdout, "kept\n");
    // Two ways from one image, compared, and the way back: an agent's session.
    const branch = (text) => call("run", { image: made.result_image, command: `echo ${text} >/way`, shell: true, disposable: false });
    const branches = await Promise.all([branch("left"), branch("right")]);
    assert.notEqual(branches[0].result_image, branches[1].result_image);
    for (const [i, text] of ["left", "right"].entries()) {
      const file = await call("read_file", { image: branches[i].result_image, path: "/way" });
      assert.equal(file.content, `${text}\n`);
    }
    const back = await call("run", { image: made.result_image, command: "ls /way", shell: true });
    assert.notEqual(back.exit_code, 0);
    await call("set_tag", { image_uuid: branches[0].result_image, tag: "chosen" });
    assert.equal((await call("get_image", { image: "tag:chosen" })).uuid, branches[0].result_image);
    const operations = await call("list_operations", {});
    assert.ok(operations.operations.length >= 5);
    await client.close();

    const strangers = await fetch(url, { method: "POST", headers: { authorization: "Bearer wrong" }, body: "{}" });
    assert.equal(strangers.status, 401);
    const large = await fetch(url, { method: "POST", headers: { authorization: `Bearer ${key}`, "x-large": "x".repeat(20_000) }, body: "{}" });
    assert.equal(large.status, 431); // the edge's answer: the gateway alone says 400
    const logs = compose("logs");
    assert.ok(!logs.includes(key), "the key is in a log");
    assert.ok(!logs.includes(JSON.parse(readFileSync(join(context, "secrets/credentials/team.json"), "utf8")).token), "a token is in a log");
  });
});
