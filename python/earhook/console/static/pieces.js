// Small things that every page is made of.

import { html, useEffect, useReducer, useRef, useState } from "./vendor/htm-preact-standalone.module.js";
import { fetchJson } from "./api.js";

export { html, useEffect, useReducer, useRef, useState };

/** Render again when a topic tells, but not more often than every so many milliseconds. */
export function useTopic(topic, everyMs = 0) {
  const [, again] = useReducer((turn) => turn + 1, 0);
  useEffect(() => {
    let waiting = 0;
    const soon = () => {
      waiting ||= setTimeout(() => {
        waiting = 0;
        again();
      }, everyMs);
    };
    const leave = topic.listen(everyMs ? soon : again);
    return () => {
      leave();
      clearTimeout(waiting);
    };
  }, [topic, everyMs]);
}

/** Render again every so many milliseconds. */
export function useTick(everyMs) {
  const [, again] = useReducer((turn) => turn + 1, 0);
  useEffect(() => {
    const timer = setInterval(again, everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
}

/**
 * What the API answers to a path, asked again every so many milliseconds while the page is seen.
 * The last good answer stays while the gateway is away: `{answer, refused}`.
 */
export function usePolled(path, everyMs, onAnswer) {
  const [state, setState] = useState({});
  useEffect(() => {
    const ending = new AbortController();
    let timer = 0;
    const ask = async () => {
      try {
        if (!document.hidden) {
          const answer = await fetchJson(path, ending.signal);
          if (ending.signal.aborted) return;
          onAnswer?.(answer);
          setState({ path, answer });
        }
      } catch (refused) {
        if (ending.signal.aborted) return;
        setState((before) => ({ ...before, path, refused }));
      }
      if (everyMs) timer = setTimeout(ask, everyMs);
    };
    ask();
    return () => {
      ending.abort();
      clearTimeout(timer);
    };
  }, [path, everyMs]);
  return state.path === path ? state : {};
}

/** A titled box. */
export const Sheet = ({ title, aside, children, label }) => html`
  <section class="sheet" aria-label=${label ?? title}>
    <header><h2>${title}</h2><span class="fill"></span>${aside}</header>
    ${children}
  </section>
`;

export const Blank = ({ children }) => html`<p class="blank">${children}</p>`;

/** Instead of what the gateway has not answered yet, or refused. */
export const Awaited = ({ refused }) => html`<${Blank}>${wordsFor(refused)}</${Blank}>`;

function wordsFor(refused) {
  if (!refused) return "Looking…";
  if (!refused.status) return "The gateway does not answer; trying again.";
  return refused.message || "refused";
}

/** Why a sentiment is worth a colour. */
export const moodClass = (score) => (score <= -0.6 ? "worst" : score <= -0.2 ? "bad" : "");
