// The books of one call: what came in, and what became of it in every way out.

import { html, Sheet } from "./pieces.js";
import { count, lastingAlike } from "./words.js";

const ALIKE = 0.02;

/**
 * @param gaps [position, samples, reason] of those that are over
 * @param isPaused whether a pause goes on, or went on until the call ended
 */
export function Books({ facts, gaps, isPaused }) {
  const sinks = Object.entries(facts.sinks ?? {}).map(([name, all]) => ({ name, all, ...timesOf(all, facts.written) }));
  const longest = Math.max(facts.written ?? 0, ...sinks.map(({ books }) => books.received));
  const say = lastingAlike(longest / facts.rate);
  const seconds = (samples) => say(samples / facts.rate);
  return html`
    <${Sheet} title="Books" aside=${html`<span class="muted">${seconds(facts.written)} came in, ${gapWords(facts, gaps ?? [], isPaused)}</span>`}>
      <table class="books">
        <thead><tr>
          <th scope="col">Sink</th>${COLUMNS.map((words) => html`<th class="number" scope="col" key=${words}>${words}</th>`)}
          <th scope="col"><span class="unseen">Balance</span></th>
        </tr></thead>
        <tbody>${sinks.map(({ name, all, times, books }) => html`
          <tr key=${name}>
            <th scope="row">${name}${times > 1 && html` <span class="muted" title="As many consumers have read this call; each of them got this much.">× ${times}</span>`}
              ${times === null && html` <span class="muted">all consumers together</span>`}</th>
            <td class="number" data-head=${COLUMNS[0]} title=${lateOf(all, seconds)}>${seconds(books.received)}</td>
            <td class="number" data-head=${COLUMNS[1]}>${seconds(books.forwarded)}</td>
            <td class="number" data-head=${COLUMNS[2]}>${books.buffered ? seconds(books.buffered) : "–"}</td>
            <td class=${`number ${dropped(books) ? "critical" : ""}`} data-head=${COLUMNS[3]} title=${reasonsOf(books, seconds)}>${dropped(books) ? seconds(dropped(books)) : "–"}</td>
            <td class="balance"><${Balance} books=${all} /></td>
          </tr>`)}
          ${sinks.length === 0 && html`<tr><td colspan="6" class="muted">No sink has this call.</td></tr>`}
        </tbody>
      </table>
    </${Sheet}>
  `;
}

const COLUMNS = ["Received", "Forwarded", "Waiting", "Dropped"];

/**
 * How often a sink got the call, and the books of one time: each consumer has all of it for itself.
 * Where they had unequal parts, that is null, and the books are those of all.
 */
function timesOf(books, written) {
  const times = books.received / (written || Infinity);
  if (times <= 1 + ALIKE) return { times: 1, books };
  const whole = Math.round(times);
  if (Math.abs(times - whole) > ALIKE * whole || dropped(books)) return { times: null, books };
  const share = (samples) => samples / whole;
  const { received, forwarded, buffered } = books;
  return { times: whole, books: { received: share(received), forwarded: share(forwarded), buffered: share(buffered), dropped: {} } };
}

function gapWords({ gaps: number }, gaps, isPaused) {
  const ended = gaps.filter(([, , reason]) => reason === "paused").length;
  const [pauses, losses] = [ended + (isPaused ? 1 : 0), Math.max(0, (number ?? gaps.length) - ended)];
  return [[pauses, "pause"], [losses, "gap"]].map(([many, word]) => `${count(many)} ${word}${many === 1 ? "" : "s"}`).join(", ");
}

export const Balance = ({ books }) => (balances(books)
  ? html`<span class="agent" title="received = forwarded + waiting + dropped, to the sample">✓ <span class="unseen">balances</span></span>`
  : html`<span class="critical">does not balance</span>`);

export const dropped = ({ dropped: reasons }) => Object.values(reasons ?? {}).reduce((sum, samples) => sum + samples, 0);
export const lateOf = ({ late }, words) => (late ? `${words(late)} more were gone before it came` : null);
const balances = (books) => books.received === books.forwarded + books.buffered + dropped(books);
export const reasonsOf = (books, words) =>
  Object.entries(books.dropped ?? {}).map(([reason, samples]) => `${reason}: ${words(samples)}`).join(", ");
