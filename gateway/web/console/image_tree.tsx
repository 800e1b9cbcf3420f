// The tree of images: only the rows that are seen are in the page, so that thousands cost nothing.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Image } from "./api";
import { ageText, bytesText, shortId } from "./format";
import { Node, Row, ancestorsOf, buildTree, layOut, lineageOf, matches } from "./tree";

const zooms = [
  { name: "Small", height: 16 },
  { name: "Medium", height: 28 },
  { name: "Large", height: 44 },
];
const columnWidth = 14;

// The lines that connect a row with those above and below.
function Rails({ row, height, marked }: { row: Row; height: number; marked: boolean }) {
  const x = (column: number) => column * columnWidth + columnWidth / 2 + 2;
  const middle = height / 2;
  const lines: string[] = [];
  for (let column = 0; column < row.column; column++) lines.push(`M${x(column)} 0V${height}`);
  if (row.from === "straight") lines.push(`M${x(row.column)} 0V${middle}`);
  if (row.from === "branch") lines.push(`M${x(row.column - 1)} 0Q${x(row.column - 1)} ${middle} ${x(row.column)} ${middle}`);
  if (row.continues) lines.push(`M${x(row.column)} ${middle}V${height}`);
  return (
    <svg class={marked ? "rails marked" : "rails"} width={(row.column + 1) * columnWidth + 4} height={height} aria-hidden="true">
      <path d={lines.join("")} />
      <circle cx={x(row.column)} cy={middle} r={row.node.image.tag ? 5 : 3.5} class={row.node.image.tag ? "tagged" : ""} />
    </svg>
  );
}

function origin(image: Image): string {
  if (image.command) return image.command;
  if (image.registry_url) return "imported from " + image.registry_url;
  if (image.is_gone) return "no longer kept";
  return image.parent ? "made elsewhere" : "";
}

interface Props {
  images: Map<string, Image>;
  selected: string | null;
  onSelect: (uuid: string) => void;
  now: number;
}

export function ImageTree({ images, selected, onSelect, now }: Props) {
  const [folded, setFolded] = useState<ReadonlySet<string>>(new Set());
  const [zoom, setZoom] = useState(1);
  const [words, setWords] = useState("");
  const [view, setView] = useState({ top: 0, height: 600 });
  const scroller = useRef<HTMLDivElement>(null);
  const height = zooms[zoom]!.height;

  const tree = useMemo(() => buildTree(images.values()), [images]);
  const rows = useMemo(() => layOut(tree.roots, folded), [tree, folded]);
  const indexOf = useMemo(() => new Map(rows.map((row, i) => [row.node.image.uuid, i])), [rows]);
  const found = useMemo(
    () => (words.trim() === "" ? [] : layOut(tree.roots, new Set()).map((row) => row.node).filter((node) => matches(node.image, words))),
    [tree, words],
  );
  const foundIds = useMemo(() => new Set(found.map((node) => node.image.uuid)), [found]);
  const chosen = selected === null ? undefined : tree.nodes.get(selected);
  const lineage = useMemo(() => (chosen ? lineageOf(chosen) : new Set<string>()), [chosen]);

  useLayoutEffect(() => {
    const element = scroller.current!;
    const measure = () => setView({ top: element.scrollTop, height: element.clientHeight });
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const show = (index: number) => {
    const element = scroller.current!;
    const top = index * height;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + height > element.scrollTop + element.clientHeight) element.scrollTop = top + height - element.clientHeight;
  };
  const selectRow = (index: number) => {
    const row = rows[Math.min(Math.max(index, 0), rows.length - 1)];
    if (row) onSelect(row.node.image.uuid);
  };
  const unfoldTo = (node: Node) => {
    const above = ancestorsOf(node).filter((ancestor) => folded.has(ancestor.image.uuid));
    if (above.length === 0) return;
    const next = new Set(folded);
    for (const ancestor of above) next.delete(ancestor.image.uuid);
    setFolded(next);
  };
  const setFold = (node: Node, fold: boolean) => {
    const next = new Set(folded);
    if (fold) next.add(node.image.uuid);
    else next.delete(node.image.uuid);
    setFolded(next);
  };
  // What is chosen elsewhere, or by searching, comes into view.
  useEffect(() => {
    if (!chosen) return;
    unfoldTo(chosen);
    const index = indexOf.get(chosen.image.uuid);
    if (index !== undefined) show(index);
  }, [selected, indexOf, height]);

  const onKeyDown = (event: KeyboardEvent) => {
    const index = selected === null ? -1 : (indexOf.get(selected) ?? -1);
    const page = Math.max(1, Math.floor(view.height / height) - 1);
    const node = rows[index]?.node;
    const moves: Record<string, () => void> = {
      ArrowDown: () => selectRow(index + 1),
      ArrowUp: () => selectRow(index < 0 ? 0 : index - 1),
      PageDown: () => selectRow(index + page),
      PageUp: () => selectRow(index - page),
      Home: () => selectRow(0),
      End: () => selectRow(rows.length - 1),
      ArrowLeft: () => {
        if (!node) return;
        if (node.children.length > 0 && !folded.has(node.image.uuid)) setFold(node, true);
        else if (node.parent) onSelect(node.parent.image.uuid);
      },
      ArrowRight: () => {
        if (!node) return;
        if (folded.has(node.image.uuid)) setFold(node, false);
        else if (node.children.length > 0) selectRow(index + 1);
      },
    };
    const move = moves[event.key];
    if (!move || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    move();
  };

  const nextFound = (step: number) => {
    if (found.length === 0) return;
    const at = found.findIndex((node) => node.image.uuid === selected);
    const next = found[(at + step + found.length) % found.length]!;
    unfoldTo(next);
    onSelect(next.image.uuid);
  };

  const first = Math.max(0, Math.floor(view.top / height) - 8);
  const last = Math.min(rows.length, Math.ceil((view.top + view.height) / height) + 8);
  const isForked = (node: Node) => node.children.length > 0;

  return (
    <section class="images" aria-labelledby="images-title">
      <div class="bar">
        <h2 id="images-title">
          Images <span class="count">{images.size.toLocaleString()}</span>
        </h2>
        <form
          role="search"
          onSubmit={(event) => {
            event.preventDefault();
            nextFound(1);
          }}
        >
          <input
            type="search"
            aria-label="Search images by tag, command or id"
            placeholder="tag, command, id"
            value={words}
            onInput={(event) => setWords(event.currentTarget.value)}
          />
          <span role="status" class="found">
            {words.trim() === "" ? "" : `${found.length} found`}
          </span>
        </form>
        <div class="buttons">
          <button type="button" onClick={() => setFolded(new Set([...tree.nodes.values()].filter((node) => node.children.length > 1 || (!node.parent && isForked(node))).map((node) => node.image.uuid)))}>
            Fold all
          </button>
          <button type="button" onClick={() => setFolded(new Set())}>
            Unfold all
          </button>
          <label class="zoom">
            Size
            <select value={zoom} onChange={(event) => setZoom(Number(event.currentTarget.value))}>
              {zooms.map((level, i) => (
                <option value={i}>{level.name}</option>
              ))}
            </select>
          </label>
        </div>
      </div>
      <div
        class={`tree zoom-${zoom}`}
        role="tree"
        tabIndex={0}
        aria-label="Images and what was made from them"
        aria-activedescendant={selected !== null && indexOf.has(selected) ? `image-${selected}` : undefined}
        ref={scroller}
        onScroll={(event) => setView({ top: event.currentTarget.scrollTop, height: event.currentTarget.clientHeight })}
        onKeyDown={onKeyDown}
      >
        <div class="space" role="presentation" style={{ height: `${rows.length * height}px` }}>
          {rows.slice(first, last).map((row, i) => {
            const { image } = row.node;
            const isSelected = image.uuid === selected;
            const marks = [
              "row",
              isSelected ? "selected" : "",
              lineage.has(image.uuid) ? "lineage" : "",
              foundIds.has(image.uuid) ? "match" : "",
              image.is_gone ? "gone" : "",
            ];
            return (
              <div
                key={image.uuid}
                id={`image-${image.uuid}`}
                class={marks.filter(Boolean).join(" ")}
                role="treeitem"
                aria-level={row.column + 1}
                aria-selected={isSelected}
                aria-expanded={isForked(row.node) ? row.hidden === 0 : undefined}
                style={{ top: `${(first + i) * height}px`, height: `${height}px` }}
                onClick={() => onSelect(image.uuid)}
                onDblClick={() => isForked(row.node) && setFold(row.node, row.hidden === 0)}
              >
                <Rails row={row} height={height} marked={lineage.has(image.uuid)} />
                {zoom > 0 && (
                  <>
                    {image.tag && <span class="tag">{image.tag}</span>}
                    <span class="id">{shortId(image.uuid)}</span>
                    <span class="command">{origin(image)}</span>
                    {row.hidden > 0 && <span class="hidden-count">+{row.hidden}</span>}
                    {image.exit_code ? <span class="exit">exit {image.exit_code}</span> : null}
                    {image.principal && <span class="who">{image.principal}</span>}
                    <span class="size">{image.layer_bytes ? bytesText(image.layer_bytes) : ""}</span>
                    <span class="age">{ageText(image.created_at, now)}</span>
                  </>
                )}
                {zoom === 0 && <span class="tiny">{image.tag ?? origin(image)}</span>}
              </div>
            );
          })}
        </div>
      </div>
    </section>
  );
}
