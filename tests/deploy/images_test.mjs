// The Dockerfile, built by buildah, which needs no daemon and no registry: what the images say of themselves, that their
// programs run in them, and that the same sources make the same image, byte for byte. Skipped where there is no buildah.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { makeBaseTar, makeContext, MEGABYTE, MOST_OWN_BYTES, tries } from "./image_context.mjs";

const EPOCH = 1_764_000_000;
// A day later the password of an account made then would be of that day.
const DAYS = Math.floor(EPOCH / 86_400);
const TARGETS = ["gateway", "local-backend"];

const directory = mkdtempSync(join(process.env.TEST_TMPDIR ?? tmpdir(), "images-"));
const baseTar = join(directory, "base.tar");
const withDriver = (driver) => ["--root", join(directory, driver, "store"), "--runroot", join(directory, driver, "run"), "--storage-driver", driver];
function reasonToSkip() {
  if (!tries("buildah", ["--version"])) return "buildah is not installed";
  if (process.getuid() !== 0) return "it needs root";
  // What a container of the machine's own may forbid: keeping an image, and running a program in it.
  const trial = "trial";
  const works =
    tries("buildah", [...withDriver("vfs"), "from", "--name", trial, "scratch"]) &&
    tries("buildah", [...withDriver("vfs"), "add", trial, "/bin/busybox", "/bin/busybox"]) &&
    tries("buildah", [...withDriver("vfs"), "run", "--isolation", "chroot", trial, "--", "/bin/busybox", "true"]);
  if (!works) return "buildah cannot run a program in an image here";
  try {
    makeBaseTar(baseTar, EPOCH);
  } catch (error) {
    return `mmdebstrap cannot make a base here: ${`${error.stderr}`.trim().split("\n").pop()}`;
  }
  return false;
}
const skip = reasonToSkip();

describe("images", { skip }, () => {
  const context = join(directory, "context");
  // overlay copies nothing, where it can be mounted.
  const driver = tries("buildah", [...withDriver("overlay"), "from", "scratch"]) ? "overlay" : "vfs";
  const buildah = (...args) => execFileSync("buildah", [...withDriver(driver), ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], maxBuffer: 1 << 26 }).trim();
  const build = (target, tag) =>
    buildah(
      "build", "--quiet", "--no-cache", "--isolation", "chroot", "--timestamp", `${EPOCH}`, "--build-arg", `SOURCE_DATE_EPOCH=${EPOCH}`,
      "--build-arg", "DEBIAN=localhost/base", "--build-arg", "PROGRAMS=prebuilt", "--target", target, "--tag", tag, context,
    ).split("\n").pop();
  const inspect = (image) => JSON.parse(buildah("inspect", "--type", "image", image));
  // The bytes of an image, as its layers are unpacked.
  const sizeOf = (image) => {
    const container = buildah("from", image);
    const size = Number(execFileSync("du", ["-s", "-B1", "--apparent-size", buildah("mount", container)], { encoding: "utf8" }).split("\t")[0]);
    buildah("rm", container);
    return size;
  };
  const ids = {};

  before(() => {
    mkdirSync(context);
    makeContext(context, ["Dockerfile"], TARGETS);
    const base = buildah("from", "scratch");
    buildah("add", "--quiet", base, baseTar, "/");
    buildah("commit", "--quiet", "--timestamp", `${EPOCH}`, base, "base");
    rmSync(baseTar);
    for (const target of TARGETS) ids[target] = build(target, target);
  }, { timeout: 240_000 });

  after(() => {
    buildah("rm", "--all");
    rmSync(directory, { recursive: true, force: true });
  });

  for (const target of TARGETS) {
    test(`${target} is small, nobody's where it can be, and says what it is`, () => {
      const own = sizeOf(`localhost/${target}`) - sizeOf("localhost/base");
      console.log(`${target}: ${(own / MEGABYTE).toFixed(0)} MB above its base`);
      assert.ok(own < MOST_OWN_BYTES, `${target} adds ${own} bytes`);
      const { config } = inspect(`localhost/${target}`).OCIv1;
      assert.equal(config.User, target === "local-backend" ? "0:0" : "65532:65532");
      assert.ok(config.Labels["org.opencontainers.image.title"]);
      assert.ok(config.Labels["org.opencontainers.image.version"]);
    });

    test(`${target} runs in its image`, () => {
      const container = buildah("from", `localhost/${target}`);
      const run = (...command) => buildah("run", "--isolation", "chroot", container, "--", ...command);
      const [program] = inspect(`localhost/${target}`).OCIv1.config.Entrypoint;
      assert.match(run(program, "--help"), /Usage: \S*contree-/);
      buildah("rm", container);
    });

    test(`${target} is the same image when it is built again`, () => {
      assert.equal(build(target, `${target}-again`), ids[target]);
    });
  }

  test("the account in an image is of the day of its sources", () => {
    const container = buildah("from", "localhost/gateway");
    const shadow = buildah("run", "--isolation", "chroot", "--user", "0", container, "--", "cat", "/etc/shadow");
    assert.match(shadow, new RegExp(`^contree:!:${DAYS}:`, "m"));
    buildah("rm", container);
  });
});
