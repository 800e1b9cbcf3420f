// The images as a tree of rows. A chain runs straight down in one column; what branches off stands in the column to its right. The
// longest branch is the one that keeps the column, so n images never need more than log2(n) + 1 columns.

import type { Image } from "./api";

export interface Node {
  image: Image;
  parent: Node | null;
  children: Node[];
  size: number; // it and all below it
}

export interface Row {
  node: Node;
  column: number;
  // How the line from above reaches it: it has no parent, or stands below it, or branches off.
  from: "root" | "straight" | "branch";
  continues: boolean; // a child stands below it in the same column
  hidden: number; // folded away below it
}

const byAge = (a: Node, b: Node) =>
  (a.image.operation_id ?? a.image.created_at ?? "").localeCompare(b.image.operation_id ?? b.image.created_at ?? "");

export function buildTree(images: Iterable<Image>): { roots: Node[]; nodes: Map<string, Node> } {
  const nodes = new Map<string, Node>();
  for (const image of images) nodes.set(image.uuid, { image, parent: null, children: [], size: 1 });
  const roots: Node[] = [];
  for (const node of nodes.values()) {
    const parent = node.image.parent === undefined ? undefined : nodes.get(node.image.parent);
    if (parent !== undefined && parent !== node) {
      node.parent = parent;
      parent.children.push(node);
    } else {
      roots.push(node);
    }
  }
  // Parents before children, without recursion: chains are thousands of images long.
  const order: Node[] = [...roots];
  for (let i = 0; i < order.length; i++) order.push(...order[i]!.children);
  for (let i = order.length - 1; i >= 0; i--) {
    const node = order[i]!;
    node.children.sort(byAge);
    if (node.parent) node.parent.size += node.size;
  }
  // Images that are each other's ancestors (a platform that errs) would be in no tree.
  if (order.length < nodes.size) {
    const reached = new Set(order);
    for (const node of nodes.values()) {
      if (!reached.has(node)) {
        node.parent = null;
        node.children = [];
        roots.push(node);
      }
    }
  }
  return { roots: roots.sort(byAge), nodes };
}

export function layOut(roots: Node[], folded: ReadonlySet<string>): Row[] {
  const rows: Row[] = [];
  const stack: { node: Node; column: number; from: Row["from"] }[] = [];
  for (let i = roots.length - 1; i >= 0; i--) stack.push({ node: roots[i]!, column: 0, from: "root" });
  while (stack.length > 0) {
    const { node, column, from } = stack.pop()!;
    const isFolded = folded.has(node.image.uuid) && node.children.length > 0;
    rows.push({ node, column, from, continues: !isFolded && node.children.length > 0, hidden: isFolded ? node.size - 1 : 0 });
    if (isFolded || node.children.length === 0) continue;
    let main = node.children[0]!;
    for (const child of node.children) if (child.size > main.size) main = child;
    // Last in, first out: the branches come before the child that goes on straight.
    stack.push({ node: main, column, from: "straight" });
    for (let i = node.children.length - 1; i >= 0; i--) {
      const child = node.children[i]!;
      if (child !== main) stack.push({ node: child, column: column + 1, from: "branch" });
    }
  }
  return rows;
}

export function ancestorsOf(node: Node): Node[] {
  const found: Node[] = [];
  for (let at = node.parent; at; at = at.parent) found.push(at);
  return found;
}

// The image, its ancestors and all that was made from it.
export function lineageOf(node: Node): Set<string> {
  const found = new Set(ancestorsOf(node).map((ancestor) => ancestor.image.uuid));
  const open = [node];
  while (open.length > 0) {
    const next = open.pop()!;
    found.add(next.image.uuid);
    for (const child of next.children) open.push(child);
  }
  return found;
}

export function matches(image: Image, words: string): boolean {
  const text = words.trim().toLowerCase();
  if (text === "") return false;
  const fields = [image.uuid, image.tag ?? "", image.command ?? "", image.registry_url ?? "", image.operation_id ?? "", image.principal ?? ""];
  return fields.some((field) => field.toLowerCase().includes(text));
}
