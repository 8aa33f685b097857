// One call: what is heard, said, felt and broken in it, and its books.

import { Awaited, Blank, html, useEffect, usePolled, useRef, useState, useTick } from "./pieces.js";
import { reasonsOf, wordsOf } from "./attention.js";
import { Books } from "./books.js";
import { Ladder } from "./ladder.js";
import { ListenButton } from "./listen.js";
import { lasted, live, open, topics } from "./live.js";
import { Envelope, Story } from "./story.js";
import { Hits, Talk, Transcript } from "./talk.js";
import { TimelineView } from "./timeline_view.js";
import { clock, dayAndTime, short } from "./words.js";

const POLL_MS = 2000;

/** Everything that is known of the call, gathered from the feed and the API. */
function useCall(session, onNews) {
  const kept = useRef(null);
  kept.current ??= { story: new Story(), envelope: new Envelope(), facts: null };
  const [missed, setMissed] = useState(0);
  const { refused } = usePolled(`/api/v1/calls/${encodeURIComponent(session)}`, POLL_MS, (facts) => {
    const { story, envelope } = kept.current;
    // What came before the page was opened; from then on the feed tells it sooner.
    if (facts.envelope && !kept.current.facts) envelope.putAll(facts.envelope);
    kept.current.facts = facts;
    for (const event of facts.events ?? []) story.take(event);
    onNews();
  });
  useEffect(() => {
    open(session);
    const leave = topics.opened.listen(({ events, missed: absent, envelope }) => {
      for (const event of events) kept.current.story.take(event);
      for (const piece of envelope) kept.current.envelope.put(piece);
      if (absent) setMissed(absent);
      onNews();
    });
    return () => {
      leave();
      open(null);
    };
  }, [session]);
  return { ...kept.current, kept, missed, refused };
}

export function CallPage({ session }) {
  const timeline = useRef(null);
  const { story, envelope, facts, kept, missed, refused } = useCall(session, () => timeline.current?.wake());
  useTick(500);
  const call = live.find(session);
  if (!facts) {
    if (refused?.status === 404) return html`<${Gone} session=${session} />`;
    return html`<main id="main"><${Awaited} refused=${refused} /></main>`;
  }
  const hasEnded = facts.state === "ended" || refused?.status === 404;
  const scene = () => ({
    rate: kept.current.facts.rate, story, envelope, gaps: kept.current.facts.gap_spans ?? [],
    end: endOf(kept.current, live.find(session)), hasMood: story.hasMood,
  });
  const lookAt = (position) => timeline.current.lookAt(position / facts.rate);
  return html`
    <main id="main">
      <div class="page">
        <${Title} facts=${facts} call=${call} hasEnded=${hasEnded} seconds=${scene().end / facts.rate} />
        <${TimelineView} scene=${scene} handle=${timeline} isLive=${!hasEnded}
          label=${`Levels of both sides of the call over time; ${story.spans.length} spans, ${story.hits.length} rule hits. The same is said in the lists below.`} />
        <div class="columns-2">
          <div class="stack">
            <${Transcript} story=${story} rate=${facts.rate} missed=${missed} lookAt=${lookAt} />
            <${Books} facts=${facts} gaps=${facts.gap_spans ?? []} isPaused=${story.isPaused} />
          </div>
          <div class="stack">
            <${Hits} story=${story} rate=${facts.rate} lookAt=${lookAt} isLive=${!hasEnded} />
            <${Talk} facts=${facts} story=${story} call=${call} />
            <${Ladder} entries=${facts.protocol ?? []} empty=${facts.door === "ingest" ? "No messages: this call is posted over HTTPS." : "No message is known of this call."} />
          </div>
        </div>
      </div>
    </main>
  `;
}

/** Where the call is now; that of a live one runs on by itself. */
function endOf({ facts, envelope }, call) {
  // A pause that nothing ended lasts until the call was closed, though its stream stands still.
  const closed = facts.outcome ? facts.outcome.duration_seconds * facts.rate : 0;
  const known = Math.max(envelope.end, facts.position ?? 0, closed);
  return call ? Math.max(known, lasted(call) * facts.rate) : known;
}

function Title({ facts, call, hasEnded, seconds }) {
  const reason = call ? reasonsOf(call)[0] : { words: hasEnded ? "ended" : "live", grade: "" };
  const state = hasEnded ? `ended${facts.outcome ? `: ${facts.outcome.reason}` : ""}` : reason.words;
  return html`
    <div class="title">
      <a href="#/" aria-label="Back to the list" title="Back (Esc)">←</a>
      <h1>Call <span class="mono" title=${facts.session}>${short(facts.session)}</span></h1>
      <span class=${`pill ${hasEnded ? "" : reason.grade}`} title=${call ? wordsOf(call) : ""} role="status">${state}</span>
      <b class="lasts">${clock(seconds)}</b>
      <span class="fill"></span>
      ${!hasEnded && live.offers?.listen && html`<${ListenButton} session=${facts.session} />`}
      <button onClick=${() => navigator.clipboard?.writeText(facts.session)} title=${facts.session}>Copy session id</button>
    </div>
    <div class="title"><dl>
      ${factsOf(facts).map(([words, value]) => html`<div key=${words}><dt>${words}</dt><dd>${value}</dd></div>`)}
    </dl></div>
  `;
}

const factsOf = (facts) =>
  [
    ["Opened", dayAndTime(facts.opened)],
    ["Caller", facts.participant?.ani ?? facts.caller],
    ["Called", facts.participant?.dnis],
    ["Conversation", facts.conversation],
    ["Organization", facts.organization],
    ["Key", facts.key],
    ["Audio", `${facts.codec} ${facts.rate / 1000} kHz, ${(facts.channels ?? []).join(" + ")}`],
    ["Language", facts.language],
    ["Door", facts.door],
    ["Worker", facts.worker],
    ["Suspect", facts.suspicion],
  ].filter(([, value]) => value !== null && value !== undefined && value !== "");

const Gone = ({ session }) => html`
  <main id="main"><${Blank}>
    No call with the session ${session} is live, nor did one end a moment ago. <br />
    <a href=${`#/recordings`}><u>Look among the recordings</u></a> or <a href="#/"><u>go back to the list</u></a>.
  </${Blank}></main>
`;
