// What images are built from: the programs of this tree below dist/, as script/build and script/libraries leave them there,
// and a base made from Debian's packages, so that no registry is needed.

import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { program } from "./programs.mjs";

export const MEGABYTE = 1e6;
// Of an image beyond its base; with Debian's slim image of 75 MB below it makes 150.
export const MOST_OWN_BYTES = 75 * MEGABYTE;

// The targets of the Dockerfile and their programs.
export const PROGRAMS = {
  gateway: "gateway/contree-gateway",
  "contree-service": "contree-service/contree-service",
  "sync-service": "sync-service/sync-service",
  "auth-service": "auth-service/auth-service",
  "local-backend": "local-backend/contree-local-backend",
};

// Whether it ends well.
export function tries(command, args) {
  try {
    execFileSync(command, args, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

// Files of the tree, and dist/bin and dist/lib with the programs of `targets`, below `directory`.
export function makeContext(directory, files, targets) {
  for (const file of [...files, "script/libraries"]) {
    mkdirSync(join(directory, dirname(file)), { recursive: true });
    copyFileSync(program(file), join(directory, file));
  }
  mkdirSync(join(directory, "dist/bin"), { recursive: true });
  for (const target of [...targets, "gateway"]) {
    const path = join(directory, "dist/bin", PROGRAMS[target].split("/").pop());
    if (existsSync(path)) continue;
    copyFileSync(program(PROGRAMS[target]), path);
    tries("strip", [path]);
  }
  execFileSync("bash", ["script/libraries"], { cwd: directory });
}

// What apt on this machine takes its packages from.
const SOURCES = ["/etc/apt/sources.list", "/etc/apt/sources.list.d/debian.list", "/etc/apt/sources.list.d/debian.sources"].filter(
  (path) => existsSync(path) && statSync(path).size > 0,
);

// A Debian with what the images need of it, as a tar. With an epoch the same packages make the same bytes.
export function makeBaseTar(path, epoch = undefined) {
  execFileSync(
    "mmdebstrap",
    [
      "--quiet", "--variant=minbase", "--include=ca-certificates,bubblewrap,busybox-static,libslirp0", "--dpkgopt=path-exclude=/usr/share/doc/*",
      "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*", "bookworm", path, ...SOURCES,
    ],
    { stdio: ["ignore", "pipe", "pipe"], env: epoch === undefined ? process.env : { ...process.env, SOURCE_DATE_EPOCH: `${epoch}` } },
  );
}
