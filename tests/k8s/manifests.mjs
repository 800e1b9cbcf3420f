// Kubernetes manifests as data: rendered, checked against the schemas of Kubernetes and of the operators that are used, and
// against the rules that every workload of ours has to keep.

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createRequire } from "node:module";
import * as yaml from "js-yaml";

const require = createRequire(import.meta.url);

export function kubectl() {
  for (const directory of (process.env.PATH ?? "").split(":")) {
    const path = join(directory, "kubectl");
    if (existsSync(path)) return path;
  }
  return null;
}

// Copies what Bazel links, because kustomize follows no link out of a tree.
export function copyTree(source, target) {
  mkdirSync(target);
  for (const name of readdirSync(source)) {
    const from = join(source, name);
    if (statSync(from).isDirectory()) copyTree(from, join(target, name));
    else writeFileSync(join(target, name), readFileSync(from));
  }
  return target;
}

export function render(directory) {
  const text = execFileSync(kubectl(), ["kustomize", directory], { encoding: "utf8", maxBuffer: 1 << 26 });
  return parse(text);
}

// With YAML 1.1's merges (<<), as Docker reads them.
export function parse(text) {
  return yaml.loadAll(text, { schema: yaml.YAML11_SCHEMA }).filter((object) => object !== null && object !== undefined);
}

// An overlay of base/ and some components that nobody wrote down.
export function overlayOf(top, name, components) {
  const directory = join(top, "overlays", `test-${name}`);
  mkdirSync(directory, { recursive: true });
  const lines = ["apiVersion: kustomize.config.k8s.io/v1beta1", "kind: Kustomization", "resources: [../../base]"];
  if (components.length > 0) lines.push("components:", ...components.map((component) => `  - ../../components/${component}`));
  writeFileSync(join(directory, "kustomization.yaml"), `${lines.join("\n")}\n`);
  return directory;
}

export const nameOf = (object) => `${object.kind} ${object.metadata?.namespace ?? ""}/${object.metadata?.name}`;

// Schemas.

const groups = {
  "cert-manager.io": "@kubernetes-models/cert-manager",
  "monitoring.coreos.com": "@kubernetes-models/prometheus-operator",
};

async function modelOf(object) {
  const [group, version] = object.apiVersion.includes("/") ? object.apiVersion.split("/") : ["", object.apiVersion];
  const library = groups[group] ?? "kubernetes-models";
  const path = group === "" ? `${library}/${version}` : `${library}/${group}/${version}`;
  const model = (await import(path))[object.kind];
  if (model === undefined) throw new Error(`${path} has no ${object.kind}`);
  return model;
}

const client = require("@kubernetes/client-node");

// Fields that the official client does not know: a typing mistake, which the API server would drop silently.
function unknownFields(value, type, at, found) {
  if (value === null || value === undefined) return;
  const list = /^Array<(.*)>$/.exec(type);
  if (list) {
    if (!Array.isArray(value)) return void found.push(`${at}: is no list`);
    value.forEach((item, i) => unknownFields(item, list[1], `${at}[${i}]`, found));
    return;
  }
  const map = /^\{ ?\[key: string\]: (.*?);? ?\}$/.exec(type);
  if (map) {
    for (const [key, item] of Object.entries(value)) unknownFields(item, map[1], `${at}.${key}`, found);
    return;
  }
  const model = client[type];
  if (typeof model?.getAttributeTypeMap !== "function") return; // a number, a string, a quantity
  const attributes = new Map(model.getAttributeTypeMap().map((attribute) => [attribute.baseName, attribute.type]));
  for (const [key, item] of Object.entries(value)) {
    if (attributes.has(key)) unknownFields(item, attributes.get(key), `${at}.${key}`, found);
    else found.push(`${at}.${key}: ${type} has no such field`);
  }
}

// What is wrong with the object, line by line; nothing: it is well-formed.
export async function schemaErrors(object) {
  const found = [];
  try {
    const Model = await modelOf(object);
    new Model(object).validate();
  } catch (error) {
    for (const item of error.errors ?? [error]) found.push(`${item.instancePath ?? ""} ${item.message} ${JSON.stringify(item.params ?? {})}`);
  }
  const version = object.apiVersion.split("/").pop();
  const type = version[0].toUpperCase() + version.slice(1) + object.kind;
  if (client[type] !== undefined) unknownFields(object, type, "$", found);
  return found;
}

// Rules.

export const isWorkload = (object) => ["Deployment", "StatefulSet"].includes(object.kind);
const podOf = (object) => object.spec.template.spec;
const allContainers = (object) => [...podOf(object).containers, ...(podOf(object).initContainers ?? [])];

// Runs commands of others: it needs what the others must not have.
const isSandboxHost = (object) => object.metadata.name === "local-backend";

export const rules = {
  "probes by name": (object) =>
    podOf(object).containers.every((container) =>
      ["startupProbe", "readinessProbe", "livenessProbe"].every((probe) => {
        const port = container[probe]?.httpGet?.port;
        return container.ports.some((known) => known.name === port);
      }),
    ),
  "liveness asks no other": (object) => podOf(object).containers.every((container) => container.livenessProbe?.httpGet?.path === "/healthz"),
  "grace beyond preStop and drain": (object) =>
    podOf(object).containers.every((container) => podOf(object).terminationGracePeriodSeconds > (container.lifecycle?.preStop?.sleep?.seconds ?? 1000) + 10),
  "nobody's user": (object) =>
    isSandboxHost(object) ||
    (podOf(object).securityContext?.runAsNonRoot === true && podOf(object).securityContext?.runAsUser >= 10000 && podOf(object).securityContext?.runAsGroup >= 10000),
  "user namespace where root is needed": (object) => !isSandboxHost(object) || podOf(object).hostUsers === false,
  seccomp: (object) => isSandboxHost(object) || podOf(object).securityContext?.seccompProfile?.type === "RuntimeDefault",
  "no escalation": (object) => isSandboxHost(object) || allContainers(object).every((container) => container.securityContext?.allowPrivilegeEscalation === false),
  "not privileged": (object) => allContainers(object).every((container) => container.securityContext?.privileged !== true),
  "capabilities dropped": (object) =>
    isSandboxHost(object) || allContainers(object).every((container) => container.securityContext?.capabilities?.drop?.includes("ALL") && !container.securityContext.capabilities.add),
  "read-only root": (object) => isSandboxHost(object) || allContainers(object).every((container) => container.securityContext?.readOnlyRootFilesystem === true),
  "sized /tmp": (object) =>
    allContainers(object).every((container) => container.volumeMounts.some((mount) => mount.mountPath === "/tmp")) &&
    podOf(object).volumes.filter((volume) => volume.emptyDir).every((volume) => volume.emptyDir.sizeLimit),
  "an account of its own, without its token": (object) => podOf(object).serviceAccountName === object.metadata.name && podOf(object).automountServiceAccountToken === false,
  "no service links": (object) => podOf(object).enableServiceLinks === false,
  resources: (object) =>
    allContainers(object).every(
      ({ resources }) => resources?.requests?.cpu && resources.requests.memory && resources.requests["ephemeral-storage"] && resources.limits?.memory,
    ),
  "spread over zones and hosts": (object) =>
    isSandboxHost(object) ||
    ["topology.kubernetes.io/zone", "kubernetes.io/hostname"].every((key) => podOf(object).topologySpreadConstraints?.some((constraint) => constraint.topologyKey === key)),
  "rollouts without a gap": (object) => object.kind !== "Deployment" || object.spec.strategy?.rollingUpdate?.maxUnavailable === 0,
  "state on a claim of one pod, kept": (object) =>
    object.kind !== "StatefulSet" ||
    (object.spec.volumeClaimTemplates?.every((claim) => claim.spec.accessModes.join() === "ReadWriteOncePod") === true &&
      object.spec.persistentVolumeClaimRetentionPolicy?.whenDeleted === "Retain" &&
      object.spec.persistentVolumeClaimRetentionPolicy?.whenScaled === "Retain" &&
      (isSandboxHost(object) || podOf(object).securityContext?.fsGroupChangePolicy === "OnRootMismatch")),
  "secrets as files for their readers only": (object) =>
    allContainers(object).every((container) => !(container.env ?? []).some((entry) => entry.valueFrom?.secretKeyRef) && !(container.envFrom ?? []).some((entry) => entry.secretRef)) &&
    podOf(object).volumes.filter((volume) => volume.secret).every((volume) => (volume.secret.defaultMode & 0o007) === 0 && volume.secret.defaultMode !== undefined),
};

// Rules about the whole.
export const wholeRules = {
  "each workload may be disrupted one pod at a time": (objects) =>
    objects.filter(isWorkload).every((workload) =>
      objects.some((object) => object.kind === "PodDisruptionBudget" && object.metadata.name === workload.metadata.name && object.spec.maxUnavailable === 1),
    ),
  "each workload has its account": (objects) =>
    objects.filter(isWorkload).every((workload) =>
      objects.some((object) => object.kind === "ServiceAccount" && object.metadata.name === workload.metadata.name && object.automountServiceAccountToken === false),
    ),
  "the gateway's replicas are the autoscaler's": (objects) =>
    objects.some((object) => object.kind === "HorizontalPodAutoscaler" && object.apiVersion === "autoscaling/v2" && object.spec.scaleTargetRef.name === "gateway") &&
    objects.every((object) => object.kind !== "Deployment" || object.metadata.name !== "gateway" || object.spec.replicas === undefined),
  "nothing passes but what is named": (objects) =>
    objects.some(
      (object) =>
        object.kind === "NetworkPolicy" &&
        Object.keys(object.spec.podSelector).length === 0 &&
        object.spec.policyTypes.length === 2 &&
        !object.spec.ingress &&
        !object.spec.egress,
    ),
  "the restricted profile": (objects) =>
    objects.some((object) => object.kind === "Namespace" && object.metadata.name === "contree" && object.metadata.labels["pod-security.kubernetes.io/enforce"] === "restricted"),
  "settings whose change rolls the pods": (objects) => objects.some((object) => object.kind === "ConfigMap" && /^contree-settings-[a-z0-9]{10}$/.test(object.metadata.name)),
  "services that pods find": (objects) =>
    objects
      .filter((object) => object.kind === "Service")
      .every((service) =>
        objects.some(
          (object) =>
            isWorkload(object) &&
            Object.entries(service.spec.selector).every(([key, value]) => object.spec.template.metadata.labels[key] === value) &&
            service.spec.ports.every((port) => podOf(object).containers.some((container) => container.ports.some((known) => known.name === port.targetPort))),
        ),
      ),
};
