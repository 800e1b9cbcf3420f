// The manifests of k8s/: rendered, well-formed, by the rules, and about programs as they are.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { copyTree, isWorkload, kubectl, nameOf, overlayOf, parse, render, rules, schemaErrors, wholeRules } from "./manifests.mjs";
import { program, temporaryDirectory } from "./programs.mjs";

const skip = kubectl() === null ? "kubectl, which renders, is not installed" : false;

const programs = {
  gateway: "gateway/contree-gateway",
  "contree-service": "contree-service/contree-service",
  "sync-service": "sync-service/sync-service",
  "auth-service": "auth-service/auth-service",
  "local-backend": "local-backend/contree-local-backend",
};
const helpOf = new Map(Object.entries(programs).map(([name, path]) => [name, execFileSync(program(path), ["--help"], { encoding: "utf8" })]));

const componentsOf = {
  base: [],
  tls: ["tls"],
  edge: ["tls", "edge"],
  litestream: ["litestream"],
  monitoring: ["monitoring"],
  "local-backend": ["local-backend"],
  sharding: ["tls", "sharding"],
  everything: ["tls", "edge", "monitoring", "local-backend", "sharding", "litestream"],
};

function renderAll(t) {
  const top = copyTree(program("k8s"), join(temporaryDirectory(t), "k8s"));
  const rendered = new Map();
  for (const overlay of readdirSync(join(top, "overlays"))) rendered.set(overlay, render(join(top, "overlays", overlay)));
  for (const [name, components] of Object.entries(componentsOf)) rendered.set(`test-${name}`, render(overlayOf(top, name, components)));
  return rendered;
}

// Flags and ports of a command line that are none of the program's.
function strangers(name, args, ports) {
  const help = helpOf.get(name);
  const found = [];
  const listened = new Set();
  for (const arg of args) {
    const [flag, value = ""] = arg.split(/=(.*)/s);
    if (!new RegExp(`(^|[ ,])${flag}([ ,:=]|$)`, "m").test(help)) found.push(`${name} has no ${flag}`);
    if (/listen$|port$/.test(flag)) listened.add(value.split(":").pop());
  }
  for (const port of ports) if (!listened.has(`${port}`)) found.push(`${name} does not listen on ${port}`);
  return found;
}

test("every overlay and component renders to objects that Kubernetes knows", { skip }, async (t) => {
  for (const [overlay, objects] of renderAll(t)) {
    assert.ok(objects.length > 20, `${overlay} has ${objects.length} objects`);
    for (const object of objects) assert.deepEqual(await schemaErrors(object), [], `${overlay}: ${nameOf(object)}`);
  }
});

test("the schema check finds mistakes", { skip }, async (t) => {
  const gateway = () => structuredClone(renderedOnce(t).find((object) => object.kind === "Deployment"));
  assert.deepEqual(await schemaErrors(gateway()), []);
  const typing = gateway();
  typing.spec.template.spec.containers[0].redinessProbe = {};
  assert.notDeepEqual(await schemaErrors(typing), []);
  const missing = gateway();
  delete missing.spec.selector;
  assert.notDeepEqual(await schemaErrors(missing), []);
  const wrong = gateway();
  wrong.spec.template.spec.terminationGracePeriodSeconds = "long";
  assert.notDeepEqual(await schemaErrors(wrong), []);
});

let once;
function renderedOnce(t) {
  once ??= renderAll(t).get("production");
  return once;
}

test("every workload keeps the rules", { skip }, (t) => {
  for (const [overlay, objects] of renderAll(t)) {
    for (const object of objects.filter(isWorkload)) {
      for (const [rule, holds] of Object.entries(rules)) assert.ok(holds(object), `${overlay}: ${nameOf(object)} breaks: ${rule}`);
    }
    for (const [rule, holds] of Object.entries(wholeRules)) assert.ok(holds(objects), `${overlay} breaks: ${rule}`);
  }
});

test("what is applied says its namespace, and HAProxy whole names", { skip }, (t) => {
  for (const [overlay, objects] of renderAll(t)) {
    if (overlay.startsWith("test-")) continue;
    for (const object of objects.filter((object) => object.kind !== "Namespace")) {
      assert.ok(["contree", "contree-backend"].includes(object.metadata.namespace), `${overlay}: ${nameOf(object)}`);
    }
  }
  // It does not look at the search list of resolv.conf.
  for (const component of ["edge", "sharding"]) {
    const config = readFileSync(program(`k8s/components/${component}/haproxy.cfg`), "utf8");
    const servers = [...config.matchAll(/^ {2}server(?:-template)? (?!1h).*?([a-z0-9.-]+):(?:8080|8443) /gm)].map((match) => match[1]);
    assert.ok(servers.length >= 4, component);
    for (const server of servers) assert.match(server, /\.contree\.svc\.cluster\.local$/, component);
  }
});

// For each rule, what breaks it.
const breaks = {
  "probes by name": (pod) => (pod.containers[0].startupProbe.httpGet.port = "nowhere"),
  "liveness asks no other": (pod) => (pod.containers[0].livenessProbe.httpGet.path = "/readyz"),
  "grace beyond preStop and drain": (pod) => (pod.terminationGracePeriodSeconds = 10),
  "nobody's user": (pod) => delete pod.securityContext.runAsNonRoot,
  seccomp: (pod) => delete pod.securityContext.seccompProfile,
  "no escalation": (pod) => delete pod.containers[0].securityContext.allowPrivilegeEscalation,
  "not privileged": (pod) => (pod.containers[0].securityContext.privileged = true),
  "capabilities dropped": (pod) => (pod.containers[0].securityContext.capabilities.add = ["SYS_ADMIN"]),
  "read-only root": (pod) => (pod.containers[0].securityContext.readOnlyRootFilesystem = false),
  "sized /tmp": (pod) => delete pod.volumes.find((volume) => volume.emptyDir).emptyDir.sizeLimit,
  "an account of its own, without its token": (pod) => (pod.automountServiceAccountToken = true),
  "no service links": (pod) => delete pod.enableServiceLinks,
  resources: (pod) => delete pod.containers[0].resources.limits.memory,
  "spread over zones and hosts": (pod) => pod.topologySpreadConstraints.pop(),
  "rollouts without a gap": (pod, object) => {
    object.kind = "Deployment";
    object.spec.strategy = { rollingUpdate: { maxUnavailable: 1 } };
  },
  "state on a claim of one pod, kept": (pod, object) => (object.spec.volumeClaimTemplates[0].spec.accessModes = ["ReadWriteMany"]),
  "secrets as files for their readers only": (pod) => (pod.volumes.find((volume) => volume.secret).secret.defaultMode = 0o444),
  "user namespace where root is needed": (pod, object) => {
    object.metadata.name = "local-backend";
    pod.hostUsers = true;
  },
};

test("each rule finds what breaks it", { skip }, (t) => {
  const service = renderedOnce(t).find((object) => object.kind === "StatefulSet");
  assert.deepEqual(Object.keys(breaks).sort(), Object.keys(rules).sort());
  for (const [rule, spoil] of Object.entries(breaks)) {
    const object = structuredClone(service);
    assert.ok(rules[rule](object), `${rule} before`);
    spoil(object.spec.template.spec, object);
    assert.ok(!rules[rule](object), `${rule} was broken, and nobody noticed`);
  }
  const whole = renderedOnce(t);
  for (const [rule, kind] of [
    ["each workload may be disrupted one pod at a time", "PodDisruptionBudget"],
    ["each workload has its account", "ServiceAccount"],
    ["the gateway's replicas are the autoscaler's", "HorizontalPodAutoscaler"],
    ["nothing passes but what is named", "NetworkPolicy"],
    ["the restricted profile", "Namespace"],
    ["settings whose change rolls the pods", "ConfigMap"],
    ["services that pods find", "StatefulSet"],
  ]) {
    assert.ok(!wholeRules[rule](whole.filter((object) => object.kind !== kind)), `${rule} was broken, and nobody noticed`);
  }
});

test("flags, variables, ports and probes are those of the programs", { skip }, (t) => {
  for (const [overlay, objects] of renderAll(t)) {
    for (const object of objects.filter(isWorkload)) {
      for (const container of object.spec.template.spec.containers) {
        const image = /^contree\/([a-z-]+)/.exec(container.image)?.[1];
        if (image === undefined) {
          assert.match(container.image, /^haproxy/, `${overlay}: ${nameOf(object)} has an image of nobody`);
          continue;
        }
        assert.ok(helpOf.has(image), `${overlay}: there is no program ${image}`);
        const ports = container.ports.map((port) => port.containerPort);
        assert.deepEqual(strangers(image, container.args, ports), [], `${overlay}: ${nameOf(object)}`);
        for (const probe of ["startupProbe", "readinessProbe", "livenessProbe"]) {
          assert.match(container[probe].httpGet.path, /^\/(healthz|readyz)$/);
          assert.equal(container[probe].httpGet.port, "admin");
        }
      }
    }
    const settings = objects.find((object) => object.kind === "ConfigMap" && object.metadata.name.startsWith("contree-settings"));
    for (const variable of Object.keys(settings.data)) {
      assert.ok([...helpOf.values()].some((help) => help.includes(`Env:${variable})`)), `${overlay}: no program reads ${variable}`);
    }
  }
  assert.notDeepEqual(strangers("gateway", ["--no-such-flag=1"], []), []);
  assert.notDeepEqual(strangers("gateway", ["--http-port=8080"], [8081]), []);
});

// The secrets that workloads mount and that nothing in the overlay makes.
function secretsToBeMade(objects) {
  const made = new Set(objects.filter(({ kind }) => kind === "Certificate").map(({ spec }) => spec.secretName));
  const mounted = objects.filter(isWorkload).flatMap(({ spec }) => spec.template.spec.volumes ?? []);
  const sources = mounted.flatMap((volume) => [volume, ...(volume.projected?.sources ?? [])]);
  return sources.map(({ secret }) => secret?.secretName ?? secret?.name).filter((name) => name && !made.has(name));
}

test("docs/operations.md makes each secret that an overlay takes", { skip }, (t) => {
  const operations = readFileSync(program("docs/operations.md"), "utf8");
  const makes = (name) => new RegExp(`create secret generic ${name}\\b|for name in [^;]*\\b${name}\\b`).test(operations);
  assert.ok(!makes("contree-nothing"));
  let found = 0;
  for (const overlay of ["production", "local"]) {
    for (const name of secretsToBeMade(renderAll(t).get(overlay))) {
      assert.ok(makes(name), `${overlay}: docs/operations.md does not say how to make the secret ${name}`);
      found += 1;
    }
  }
  assert.ok(found >= 8, `only ${found} secrets are mounted`);
});

test("script/compose_secrets makes each secret of compose.yaml", () => {
  const compose = parse(readFileSync(program("compose.yaml"), "utf8"))[0];
  const script = readFileSync(program("script/compose_secrets"), "utf8");
  const files = Object.values(compose.secrets).map(({ file }) => file.replace("./secrets/", ""));
  assert.ok(files.length >= 4);
  for (const file of files) assert.match(script, new RegExp(`secrets/${file}\\b|for name in [^;]*\\b${file}\\b`), file);
});

test("compose.yaml and the Dockerfile name what the programs have", () => {
  const compose = parse(readFileSync(program("compose.yaml"), "utf8"))[0];
  const dockerfile = readFileSync(program("Dockerfile"), "utf8");
  for (const [name, service] of Object.entries(compose.services)) {
    if (name === "edge") continue;
    assert.ok(helpOf.has(name), `there is no program ${name}`);
    assert.deepEqual(strangers(name, service.command, []), [], `compose.yaml: ${name}`);
    assert.equal(service.build.target, name);
    assert.match(dockerfile, new RegExp(`^FROM runtime AS ${name}$`, "m"));
    for (const secret of service.secrets ?? []) assert.ok(compose.secrets[secret], `compose.yaml has no secret ${secret}`);
    if (name === "local-backend") continue;
    assert.ok(service.read_only && service.cap_drop.includes("ALL") && service.security_opt.includes("no-new-privileges:true"), name);
  }
  for (const [, path, args] of dockerfile.matchAll(/^ENTRYPOINT \["\/usr\/bin\/([a-z-]+)"(.*)\]$/gm)) {
    const name = Object.keys(programs).find((key) => programs[key].endsWith(`/${path}`));
    assert.ok(name, `the Dockerfile starts ${path}`);
    const flags = [...args.matchAll(/"(--[^"]+)"/g)].map((match) => match[1]);
    assert.deepEqual(strangers(name, flags, []), []);
  }
  for (const [, path] of dockerfile.matchAll(/CMD \["\/usr\/bin\/([a-z-]+)", "healthcheck"/g)) {
    const name = Object.keys(programs).find((key) => programs[key].endsWith(`/${path}`));
    assert.match(helpOf.get(name), /healthcheck HOST:PORT\|unix:\/path/);
  }
});

test("alerts and the dashboard ask for metrics that the programs count", () => {
  const binaries = Object.values(programs).map((path) => readFileSync(program(path)));
  const counts = (name) => binaries.some((binary) => binary.includes(`${name}\0`));
  assert.ok(!counts("contree_no_such_total"));
  const monitoring = program("k8s/components/monitoring");
  const texts = ["alerts.yaml", "grafana-dashboard.json"].map((name) => readFileSync(join(monitoring, name), "utf8"));
  const asked = new Set(texts.flatMap((text) => text.match(/contree_[a-z_]+/g)).map((name) => name.replace(/_(bucket|sum|count)$/, "")));
  assert.ok(asked.size > 8);
  for (const name of asked) assert.ok(counts(name), `nothing counts ${name}`);
  const titles = JSON.parse(texts[1]).panels.map((panel) => panel.title);
  assert.equal(new Set(titles).size, titles.length);
});
