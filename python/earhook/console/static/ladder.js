// The protocol of one call as a ladder: the peer on the left, the gateway on the right.

import { Blank, html, Sheet, useEffect, useRef } from "./pieces.js";
import { count } from "./words.js";

const LOUD = new Set(["error", "disconnect"]);

/** @param empty what to say where there is no message */
export function Ladder({ entries, empty }) {
  const box = useRef(null);
  const steps = fold(entries);
  useEffect(() => {
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [entries.length]);
  return html`
    <${Sheet} title="Protocol" aside=${html`<span class="muted">peer ⇄ gateway, ${count(entries.length)} messages</span>`}>
      ${steps.length === 0
        ? html`<${Blank}>${empty}</${Blank}>`
        : html`<ol class="ladder scroll" ref=${box} tabindex="0" aria-label="Messages in order">
            ${steps.map(({ seconds, direction, kind, times }, place) => html`
              <li class=${direction} key=${place}>
                <span class="muted number">${seconds.toFixed(3)}</span>
                <span class="rung"><span class=${LOUD.has(kind) ? "is-loud" : ""}>
                  <span class="unseen">${direction === "in" ? "from the peer:" : "to the peer:"} </span>${kind}${times > 1 ? ` × ${times}` : ""}
                </span></span>
              </li>`)}
          </ol>`}
    </${Sheet}>
  `;
}

/** What comes again and again becomes one line with a number; an endless ping-pong, two. */
function fold(entries) {
  const steps = [];
  for (const [seconds, direction, kind] of entries) {
    const near = kind === "ping" || kind === "pong" ? 2 : 1;
    const twin = steps.slice(-near).find((step) => step.kind === kind && step.direction === direction);
    if (twin) {
      twin.times += 1;
      twin.seconds = seconds;
    } else steps.push({ seconds, direction, kind, times: 1 });
  }
  return steps;
}
