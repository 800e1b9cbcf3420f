// What goes from machines to the platform: the syncs of this server, live.

import type { Sync } from "./api";
import { isFinal } from "./api";
import { ageText, bytesText, durationText } from "./format";

const counted = (n: number, what: string) => `${n} ${what}${n === 1 ? "" : "s"}`;

// One number for the bar: reading and uploading count alike.
function Progress({ sync }: { sync: Sync }) {
  const of = sync.files_to_read + sync.files_to_upload;
  const done = sync.files_read + sync.files_uploaded;
  const text =
    `read ${sync.files_read} of ${counted(sync.files_to_read, "file")}` +
    (sync.files_to_upload > 0 ? `, uploaded ${sync.files_uploaded} of ${sync.files_to_upload} (${bytesText(sync.bytes_uploaded)} of ${bytesText(sync.bytes_to_upload)})` : "");
  return (
    <>
      <progress aria-label={`Progress of the sync of ${sync.source}`} max={Math.max(of, 1)} value={done} />
      <span>{text}</span>
    </>
  );
}

function Result({ sync }: { sync: Sync }) {
  if (sync.state !== "SUCCESS") return <span>{sync.error}</span>;
  return (
    <span>
      {counted(sync.files ?? 0, "file")} ({bytesText(sync.bytes ?? 0)}), {sync.files_uploaded === 0 ? "nothing to upload" : `${sync.files_uploaded} uploaded (${bytesText(sync.bytes_uploaded)})`}, in{" "}
      {durationText(sync.duration_seconds)}
    </span>
  );
}

export function SyncList({ syncs, now }: { syncs: Sync[]; now: number }) {
  if (syncs.length === 0) return null;
  const running = syncs.filter((sync) => !isFinal(sync.state)).length;
  return (
    <section class="syncs" aria-labelledby="syncs-title">
      <h2 id="syncs-title">
        Syncs <span class="count">{running === 0 ? "none runs" : `${running} running`}</span>
      </h2>
      <ul class="sync-list">
        {syncs.map((sync) => (
          <li key={sync.number}>
            <span class={`state ${isFinal(sync.state) ? sync.state.toLowerCase() : "running"}`}>{sync.state.toLowerCase()}</span>
            <span class="command">
              {sync.source} to {sync.destination}
              {sync.principal && ` by ${sync.principal}`}
            </span>
            <span class="age">{ageText(sync.created_at, now)}</span>
            <span class="detail">{isFinal(sync.state) ? <Result sync={sync} /> : <Progress sync={sync} />}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
