// The console: images and operations of this server, live.

import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Image } from "./api";
import { Account } from "./account";
import { Comparison } from "./compare";
import { FileBrowser } from "./files";
import { ageText, bytesText, shortId, timeText } from "./format";
import { ImageTree } from "./image_tree";
import { Live, useLive, withExitCode } from "./live";
import { ImageLink, OperationList, OperationView } from "./operations";
import { SyncList } from "./syncs";
import { SignIn, useRefused } from "./sign_in";

type Route =
  | { view: "images"; image: string | null }
  | { view: "operation"; id: string }
  | { view: "files"; image: string; path: string }
  | { view: "compare"; left: string; right: string }
  | { view: "account" };

function parseRoute(hash: string): Route {
  const parts = hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  const [view, first = "", second = ""] = parts;
  if (view === "operations" && first) return { view: "operation", id: first };
  if (view === "files" && first) return { view: "files", image: first, path: "/" + parts.slice(2).filter(Boolean).join("/") };
  if (view === "compare" && first && second) return { view: "compare", left: first, right: second };
  if (view === "account") return { view: "account" };
  return { view: "images", image: view === "images" && first ? first : null };
}

function useRoute(): Route {
  const [route, setRoute] = useState(() => parseRoute(location.hash));
  useEffect(() => {
    const changed = () => setRoute(parseRoute(location.hash));
    window.addEventListener("hashchange", changed);
    return () => window.removeEventListener("hashchange", changed);
  }, []);
  return route;
}

function useNow(): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = window.setInterval(() => setNow(Date.now()), 10_000);
    return () => window.clearInterval(timer);
  }, []);
  return now;
}

function ImageView({ image, live, now, onImage }: { image: Image; live: Live; now: number; onImage: (uuid: string) => void }) {
  const [other, setOther] = useState("");
  const tagged = [...live.images.values()].filter((candidate) => candidate.tag && candidate.uuid !== image.uuid);
  const target = other || image.parent || "";
  return (
    <section class="image" aria-labelledby="image-title">
      <h2 id="image-title">{image.tag ?? `Image ${shortId(image.uuid)}`}</h2>
      <dl class="facts">
        <dt>UUID</dt>
        <dd class="uuid">{image.uuid}</dd>
        {image.command && (
          <>
            <dt>Command</dt>
            <dd>
              <code>{image.command}</code>
            </dd>
          </>
        )}
        {image.parent && (
          <>
            <dt>Exit code</dt>
            <dd>{image.exit_code ?? 0}</dd>
            <dt>Made from</dt>
            <dd>
              <ImageLink uuid={image.parent} onImage={onImage} />
            </dd>
          </>
        )}
        {image.registry_url && (
          <>
            <dt>Imported</dt>
            <dd>{image.registry_url}</dd>
          </>
        )}
        {image.created_at && (
          <>
            <dt>Made</dt>
            <dd>
              {timeText(image.created_at)} ({ageText(image.created_at, now)} ago)
            </dd>
          </>
        )}
        {image.principal && (
          <>
            <dt>By</dt>
            <dd>{image.principal}</dd>
          </>
        )}
        {image.layer_bytes ? (
          <>
            <dt>Added</dt>
            <dd>{bytesText(image.layer_bytes)}</dd>
          </>
        ) : null}
        {image.operation_id && (
          <>
            <dt>Operation</dt>
            <dd>
              <a href={`#/operations/${image.operation_id}`}>{shortId(image.operation_id)}</a>
            </dd>
          </>
        )}
      </dl>
      {image.is_gone ? (
        <p class="empty">The platform lists this image no more; what was made from it goes on.</p>
      ) : (
        <div class="actions">
          <a class="button" href={`#/files/${image.uuid}/`}>
            Browse files
          </a>
          <form
            class="compare-form"
            onSubmit={(event) => {
              event.preventDefault();
              if (target) location.hash = `#/compare/${target}/${image.uuid}`;
            }}
          >
            <label>
              Compare with
              <select value={target} onChange={(event) => setOther(event.currentTarget.value)}>
                {image.parent && <option value={image.parent}>the image it was made from</option>}
                {!image.parent && <option value="">choose a tag</option>}
                {tagged.map((candidate) => (
                  <option key={candidate.uuid} value={candidate.uuid}>
                    {candidate.tag}
                  </option>
                ))}
              </select>
            </label>
            <button type="submit" disabled={!target}>
              Compare
            </button>
          </form>
        </div>
      )}
    </section>
  );
}

function App() {
  const live = useLive();
  const route = useRoute();
  const now = useNow();
  const [selected, setSelected] = useState<string | null>(route.view === "images" ? route.image : null);
  const select = (uuid: string) => {
    setSelected(uuid);
    history.replaceState(null, "", `#/images/${uuid}`);
    window.dispatchEvent(new HashChangeEvent("hashchange"));
  };
  useEffect(() => {
    if (route.view === "images" && route.image) setSelected(route.image);
    else if (route.view === "files") setSelected(route.image);
    else if (route.view === "compare") setSelected(route.right);
  }, [route]);
  const image = selected === null ? undefined : live.images.get(selected);
  const nameOf = (uuid: string) => live.images.get(uuid)?.tag;
  return (
    <>
      {live.error && (
        <p class="error banner" role="alert">
          {live.error} What is shown may be old; it is asked for again.
        </p>
      )}
      {live.truncated && <p class="notice banner">There are more images than a page can hold: the newest are shown.</p>}
      <div class="panes">
        <div class="pane left">
          {!live.loaded && !live.error && <p class="empty">Reading the images …</p>}
          <ImageTree images={live.images} selected={selected} onSelect={select} now={now} />
        </div>
        <div class="pane right">
          {route.view === "images" && image && <ImageView key={image.uuid} image={image} live={live} now={now} onImage={select} />}
          {route.view === "operation" && <OperationView id={route.id} onImage={select} />}
          {route.view === "files" && <FileBrowser image={route.image} path={route.path} name={nameOf(route.image)} />}
          {route.view === "compare" && <Comparison left={route.left} right={route.right} nameOf={nameOf} />}
          {route.view === "account" && <Account />}
          <OperationList operations={live.operations.map((operation) => withExitCode(operation, live.images))} selected={route.view === "operation" ? route.id : null} onSelect={() => {}} now={now} />
          <SyncList syncs={live.syncs} now={now} />
        </div>
      </div>
    </>
  );
}

function Console() {
  const refused = useRefused();
  return refused === null ? <App /> : <SignIn reason={refused} />;
}

render(<Console />, document.getElementById("console")!);
