// A timeline with its buttons, for a live call and for a recording alike.

import { html, Sheet, useEffect, useRef, useState } from "./pieces.js";
import { Timeline } from "./timeline.js";

const WINDOWS = [[15, "15 s"], [60, "1 min"], [300, "5 min"], [Infinity, "all"]];

/**
 * @param scene a function that gives what `Timeline` reads
 * @param handle a ref that gets the `Timeline`
 * @param span seconds shown at first
 */
export function TimelineView({ scene, handle, onChoose, isLive, span = 60, label }) {
  const canvas = useRef(null);
  const [shown, setShown] = useState(span);
  useEffect(() => {
    handle.current = new Timeline(canvas.current, scene, onChoose);
    handle.current.span = shown;
    return () => handle.current.close();
  }, []);
  const choose = (seconds) => {
    setShown(seconds);
    handle.current.zoom(seconds);
  };
  const aside = html`
    <${Legend} />
    ${WINDOWS.map(([seconds, words]) => html`
      <button key=${words} aria-pressed=${shown === seconds} onClick=${() => choose(seconds)}>${words}</button>
    `)}
    ${isLive && html`<button onClick=${() => handle.current.follow()} title="Keep the end of the call in view (End)">now</button>`}
  `;
  return html`
    <${Sheet} title="Timeline" aside=${aside}>
      <div class="timeline"><canvas ref=${canvas} tabindex="0" role="img" aria-label=${label}></canvas></div>
    </${Sheet}>
  `;
}

const Legend = () => html`
  <p class="legend" aria-hidden="true">
    <span class="is-overlap">talk-over</span><span class="is-dead">dead air</span><span class="is-pause">paused</span><span class="is-gap">gap</span>
  </p>
`;
