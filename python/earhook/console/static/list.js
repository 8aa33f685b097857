// The page of all calls: how many are in which state, a search, and the rows.

import { html, useEffect, useState, useTick, useTopic } from "./pieces.js";
import { ALL, arrange, FILTERS } from "./attention.js";
import { live, topics } from "./live.js";
import { Rows } from "./rows.js";
import { count } from "./words.js";

const RENDER_MS = 500;

/** What was chosen here lasts until the page is closed. */
const chosen = { filter: ALL, text: "", order: "attention", session: null, top: 0 };
let wantsSearch = false;

/** Go to the search, now or as soon as the list is there. */
export function search() {
  const field = document.getElementById("search");
  wantsSearch = !field;
  field?.focus();
  field?.select();
}

export function ListPage({ onOpen }) {
  useTopic(topics.calls, RENDER_MS);
  useTick(2 * RENDER_MS);
  const [, again] = useState(0);
  useEffect(() => {
    if (wantsSearch) search();
  }, []);
  const choose = (change) => {
    Object.assign(chosen, change);
    again((turn) => turn + 1);
  };
  return html`
    <main class="still" id="main">
      <${Strip} choose=${choose} />
      <${Rows} chosen=${chosen} choose=${choose} onOpen=${onOpen} />
    </main>
  `;
}

/** From the field to the rows: Esc gives up what was typed, ↓ and Enter go to the first that was found. */
function leaveSearch(event, choose) {
  if (event.key === "Escape") choose({ text: "" });
  else if (event.key === "ArrowDown" || event.key === "Enter") choose({ session: arrange(live.calls.values(), chosen)[0]?.session ?? null });
  else return;
  event.preventDefault();
  event.stopPropagation();
  document.querySelector(".rows").focus({ preventScroll: true });
}

function Strip({ choose }) {
  const counts = Object.fromEntries(Object.keys(FILTERS).map((name) => [name, 0]));
  for (const call of live.calls.values()) {
    for (const name in FILTERS) if (FILTERS[name].test(call)) counts[name] += 1;
  }
  return html`
    <div class="strip" role="toolbar" aria-label="Which calls to show">
      ${Object.entries(FILTERS).map(([name, { words, grade }]) => html`
        <button class=${`fact ${counts[name] && grade ? grade : ""}`} data-filter=${name} key=${name}
          aria-pressed=${chosen.filter === name}
          onClick=${() => choose({ filter: chosen.filter === name ? ALL : name })}>
          <b>${count(counts[name])}</b> ${words}
        </button>
      `)}
      <input id="search" type="search" placeholder="Search calls ( / )" title="Session, conversation, organization, key, caller"
        aria-label="Search calls" value=${chosen.text} onInput=${(event) => choose({ text: event.target.value })}
        onKeyDown=${(event) => leaveSearch(event, choose)} />
    </div>
  `;
}
