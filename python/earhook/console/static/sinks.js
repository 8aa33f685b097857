// The ways out: what each got, gave, has waiting and lost; and who is connected to it.

import { Awaited, Blank, html, Sheet, usePolled } from "./pieces.js";
import { balances, dropped, lateOf, reasonsOf } from "./books.js";
import { live } from "./live.js";
import { count, plain } from "./words.js";

const POLL_MS = 1000;
const COLUMNS = ["received", "forwarded", "buffered", "dropped"];
const SAID_ELSEWHERE = new Set(["address", "consumer", ...COLUMNS]);

export function SinksPage() {
  const { answer, refused } = usePolled("/api/v1/sinks", POLL_MS);
  if (!answer) return html`<main id="main"><${Awaited} refused=${refused} /></main>`;
  return html`
    <main id="main">
      <div class="page">
        ${answer.sinks.map((sink) => html`<${Sink} key=${sink.name} sink=${sink} />`)}
        ${answer.sinks.length === 0 && html`<${Blank}>No sink is configured: what comes in goes nowhere.</${Blank}>`}
      </div>
    </main>
  `;
}

function Sink({ sink }) {
  const isDropping = live.totals?.dropping.includes(sink.name);
  const [grade, words] = isDropping ? ["critical", "dropping audio"] : sink.healthy ? ["", "healthy"] : ["critical", "not healthy"];
  const aside = html`<span class="muted">${sink.kind}, ${count(sink.calls)} calls</span><span class=${`pill ${grade}`} role="status">${words}</span>`;
  const readers = sink.subscribers ?? [];
  const extra = [...new Set(readers.flatMap((reader) => Object.keys(reader)))].filter((key) => !SAID_ELSEWHERE.has(key));
  return html`
    <${Sheet} title=${sink.name} aside=${aside}>
      ${sink.detail && html`<p class=${`notice ${sink.healthy ? "muted" : ""}`}>${sink.detail}</p>`}
      <table data-sink=${sink.name}>
        <thead><tr>
          <th scope="col">${readers.length ? "Subscriber" : "Samples per channel"}</th>
          ${["Received", "Forwarded", "Waiting", "Dropped"].map((head) => html`<th scope="col" class="number" key=${head}>${head}</th>`)}
          ${extra.map((key) => html`<th scope="col" class="number" key=${key}>${plain(key)}</th>`)}
          <th scope="col"><span class="unseen">Balance</span></th>
        </tr></thead>
        <tbody>
          ${readers.map((reader, place) => html`<${Line} key=${place} words=${nameOf(reader)} books=${reader} extra=${extra.map((key) => reader[key])} />`)}
          <${Line} words=${html`<b>all together</b>`} books=${sink.books} extra=${extra.map(() => null)} />
        </tbody>
      </table>
      <${Figures} figures=${{ ...sink.counters, ...sink.gauges }} />
    </${Sheet}>
  `;
}

const nameOf = ({ consumer, address }) => html`${consumer || "unnamed"} <span class="muted">${address}</span>`;

const Line = ({ words, books, extra }) => html`
  <tr>
    <th scope="row">${words}</th>
    <td class="number" title=${lateOf(books, count)}>${count(books.received)}</td>
    <td class="number">${count(books.forwarded)}</td>
    <td class="number">${count(books.buffered)}</td>
    <td class=${`number ${dropped(books) ? "critical" : ""}`} title=${reasonsOf(books, count)}>${count(dropped(books))}</td>
    ${extra.map((value, place) => html`<td class="number" key=${place}>${value === null || value === undefined ? "" : typeof value === "number" ? count(value) : String(value)}</td>`)}
    <td>${balances(books) ? html`<span class="agent" title="received = forwarded + waiting + dropped">✓ <span class="unseen">balances</span></span>` : html`<span class="critical">does not balance</span>`}</td>
  </tr>
`;

function Figures({ figures }) {
  const entries = Object.entries(figures);
  if (!entries.length) return null;
  return html`<dl class="figures">${entries.map(([name, value]) => html`<div key=${name}><dt>${plain(name)}</dt><dd>${count(value)}</dd></div>`)}</dl>`;
}
