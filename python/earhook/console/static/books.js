// The books of one call: what came in, and what became of it in every way out.

import { html, Sheet } from "./pieces.js";
import { count, lasting } from "./words.js";

export function Books({ facts }) {
  const seconds = (samples) => lasting(samples / facts.rate);
  const sinks = Object.entries(facts.sinks ?? {});
  return html`
    <${Sheet} title="Books" aside=${html`<span class="muted">${seconds(facts.written)} came in, ${count(facts.gaps)} ${facts.gaps === 1 ? "gap" : "gaps"}</span>`}>
      <table>
        <thead><tr>
          <th scope="col">Sink</th><th class="number" scope="col">Received</th><th class="number" scope="col">Forwarded</th>
          <th class="number" scope="col">Waiting</th><th class="number" scope="col">Dropped</th><th scope="col"><span class="unseen">Balance</span></th>
        </tr></thead>
        <tbody>${sinks.map(([name, books]) => html`
          <tr key=${name}>
            <th scope="row">${name}</th>
            <td class="number" title=${lateOf(books, seconds)}>${seconds(books.received)}</td>
            <td class="number">${seconds(books.forwarded)}</td>
            <td class="number">${books.buffered ? seconds(books.buffered) : "–"}</td>
            <td class=${`number ${dropped(books) ? "critical" : ""}`} title=${reasonsOf(books, seconds)}>${dropped(books) ? seconds(dropped(books)) : "–"}</td>
            <td>${balances(books) ? html`<span class="agent" title="received = forwarded + waiting + dropped, to the sample">✓ <span class="unseen">balances</span></span>` : html`<span class="critical">does not balance</span>`}</td>
          </tr>`)}
          ${sinks.length === 0 && html`<tr><td colspan="6" class="muted">No sink has this call.</td></tr>`}
        </tbody>
      </table>
    </${Sheet}>
  `;
}

export const dropped = ({ dropped: reasons }) => Object.values(reasons ?? {}).reduce((sum, samples) => sum + samples, 0);
export const balances = (books) => books.received === books.forwarded + books.buffered + dropped(books);
export const lateOf = ({ late }, words) => (late ? `${words(late)} more were gone before it came` : null);
export const reasonsOf = (books, words) =>
  Object.entries(books.dropped ?? {}).map(([reason, samples]) => `${reason}: ${words(samples)}`).join(", ");
