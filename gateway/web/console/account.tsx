// What the account may do, and how much of it is in use.

import { useEffect, useState } from "preact/hooks";
import { Identity, loadIdentity } from "./api";
import { timeText } from "./format";
import { SignOut } from "./sign_in";

const words = (name: string) => name.replaceAll("_", " ");

function Numbers({ title, numbers }: { title: string; numbers: Record<string, number> | undefined }) {
  const rows = Object.entries(numbers ?? {});
  if (rows.length === 0) return null;
  return (
    <table>
      <caption>{title}</caption>
      <tbody>
        {rows.map(([name, value]) => (
          <tr key={name}>
            <th scope="row">{words(name)}</th>
            <td class="number">{value.toLocaleString()}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function Account() {
  const [identity, setIdentity] = useState<Identity | null>(null);
  const [error, setError] = useState<string | null>(null);
  useEffect(() => {
    const load = () =>
      loadIdentity().then(
        (found) => {
          setIdentity(found);
          setError(null);
        },
        (reason) => setError(reason.message),
      );
    void load();
    const timer = window.setInterval(() => !document.hidden && void load(), 5000);
    return () => window.clearInterval(timer);
  }, []);
  const permissions = Object.entries(identity?.permissions ?? {});
  return (
    <section class="account" aria-labelledby="account-title">
      <h2 id="account-title">Limits and use</h2>
      <SignOut />
      {error && (
        <p class="error" role="alert">
          {error}
        </p>
      )}
      {identity && (
        <>
          <dl class="facts">
            <dt>Platform</dt>
            <dd>{identity.api_url}</dd>
            {identity.token_expiration && (
              <>
                <dt>Token until</dt>
                <dd>{timeText(identity.token_expiration)}</dd>
              </>
            )}
            {permissions.length > 0 && (
              <>
                <dt>May</dt>
                <dd>{permissions.filter(([, may]) => may).map(([name]) => words(name)).join(", ") || "nothing"}</dd>
              </>
            )}
          </dl>
          <div class="numbers">
            <Numbers title="Limits" numbers={identity.limits} />
            <Numbers title="Now" numbers={identity.operations} />
          </div>
        </>
      )}
    </section>
  );
}
