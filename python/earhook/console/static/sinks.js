// The ways out: what each got, gave, has waiting and lost; and who is connected to it.

import { Awaited, Blank, html, Sheet, usePolled } from "./pieces.js";
import { Balance, dropped, lateOf, reasonsOf } from "./books.js";
import { live } from "./live.js";
import { count, lasting, plain } from "./words.js";

const POLL_MS = 1000;
const COLUMNS = ["received", "forwarded", "buffered", "dropped"];
const SAID_ELSEWHERE = new Set(["address", "consumer", ...COLUMNS]);
const HEADS = { received: "Received", forwarded: "Forwarded", buffered: "Waiting", dropped: "Dropped" };
const USUAL_RATE = 8000;
/** What some figures mean, and where it is worth knowing that they are not 0. */
const MEANINGS = {
  commands_refused: "Mostly results of an analysis that was late: they came when their call had been over for longer than the gateway keeps it (2 s unless configured). The log of the analysis says what else.",
  unacked_samples: "Sent, and not yet acknowledged: a consumer acknowledges from time to time.",
  lag_samples: "Not yet sent to this consumer.",
  finishing: "Files that are being closed.",
};

/** Samples a second, to say samples of all calls as time. Where calls differ, those of a higher rate count for more. */
export function rateOf(calls) {
  const lowest = Math.min(...[...calls].map(({ rate }) => rate));
  return Number.isFinite(lowest) ? lowest : USUAL_RATE;
}

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
  const rate = rateOf(live.calls.values());
  return html`
    <${Sheet} title=${sink.name} aside=${aside}>
      ${sink.detail && html`<p class=${`notice ${sink.healthy ? "muted" : ""}`}>${sink.detail}</p>`}
      <table class="books" data-sink=${sink.name}>
        <thead><tr>
          <th scope="col" title=${`Samples per channel, at ${count(rate)} a second`}>${readers.length ? "Subscriber" : "Audio of all calls"}</th>
          ${COLUMNS.map((key) => html`<th scope="col" class="number" key=${key}>${HEADS[key]}</th>`)}
          ${extra.map((key) => html`<th scope="col" class="number" key=${key} title=${MEANINGS[key]}>${headOf(key)}</th>`)}
          <th scope="col"><span class="unseen">Balance</span></th>
        </tr></thead>
        <tbody>
          ${readers.map((reader, place) => html`<${Line} key=${place} words=${nameOf(reader)} books=${reader} rate=${rate} extra=${extra.map((key) => [key, reader[key]])} />`)}
          <${Line} words=${html`<b>all together</b>`} books=${sink.books} rate=${rate} extra=${extra.map((key) => [key, null])} />
        </tbody>
      </table>
      <${Figures} figures=${{ ...sink.counters, ...sink.gauges }} />
    </${Sheet}>
  `;
}

const nameOf = ({ consumer, address }) => html`${consumer || "unnamed"} <span class="muted">${address}</span>`;
const headOf = (key) => plain(key.replace(/_samples$/, ""));

function Line({ words, books, rate, extra }) {
  const seconds = (samples) => lasting(samples / rate);
  const exact = (samples) => `${count(samples)} samples`;
  const cell = (key, samples, title = exact(samples)) => html`
    <td class=${`number ${key === "dropped" && samples ? "critical" : ""}`} data-head=${HEADS[key]} title=${title}>${seconds(samples)}</td>`;
  return html`
    <tr>
      <th scope="row">${words}</th>
      ${cell("received", books.received, `${exact(books.received)} ${lateOf(books, exact) ?? ""}`.trim())}
      ${COLUMNS.slice(1, -1).map((key) => cell(key, books[key]))}
      ${cell("dropped", dropped(books), `${exact(dropped(books))} ${reasonsOf(books, exact)}`.trim())}
      ${extra.map(([key, value]) => html`<td class=${`number ${value === null || value === undefined ? "is-empty" : ""}`} data-head=${headOf(key)} key=${key}>${extraWords(key, value, seconds)}</td>`)}
      <td class="balance"><${Balance} books=${books} /></td>
    </tr>
  `;
}

function extraWords(key, value, seconds) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "number") return String(value);
  return key.endsWith("_samples") ? seconds(value) : count(value);
}

function Figures({ figures }) {
  const entries = Object.entries(figures);
  if (!entries.length) return null;
  const explained = entries.filter(([name, value]) => value && name in MEANINGS);
  return html`
    <dl class="figures">${entries.map(([name, value]) => html`<div key=${name}><dt>${plain(name)}</dt><dd>${count(value)}</dd></div>`)}</dl>
    ${explained.map(([name]) => html`<p class="muted meaning" key=${name}><b>${plain(name)}</b>: ${MEANINGS[name]}</p>`)}
  `;
}
