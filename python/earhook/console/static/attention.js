// What an operator should look at, and why. The gateway computes how much; this says it in words. Pure.

import { FLAG, HIT } from "./records.js";
import { plain } from "./words.js";

/** What is worth a look, the gravest first. */
const REASONS = [
  { flag: FLAG.dropping, words: "dropping audio", grade: "critical" },
  { test: (call) => call.worstHit === 3, words: "critical hit", grade: "critical" },
  { flag: FLAG.oneWay, words: "one-way audio", grade: "critical" },
  { flag: FLAG.pauseLeft, words: "paused by nobody who is there", grade: "critical" },
  { test: (call) => call.worstHit === 2, words: "rule hit", grade: "warning" },
  { flag: FLAG.deadAir, words: "dead air", grade: "warning" },
  { flag: FLAG.suspect, words: "wrong format?", grade: "warning" },
  { flag: FLAG.talkOver, words: "talk-over", grade: "warning" }, // long, or again and again
  { test: (call) => call.external.sentiment < -0.2, words: "unhappy", grade: "warning" },
  { flag: FLAG.clipping, words: "clipping", grade: "warning" },
  { test: (call) => call.worstHit === 1, words: "note", grade: "" },
  { flag: FLAG.paused, words: "paused", grade: "" },
];

const hasEnded = (call) => Boolean(call.flags & FLAG.ended);

/** Why this call is where it is in the list, the gravest first; never empty: `[{words, grade}, …]`. */
export function reasonsOf(call) {
  if (hasEnded(call)) return [ENDED];
  const found = REASONS.filter(({ flag, test }) => (flag ? call.flags & flag : test(call)));
  return found.length ? found : [IN_ORDER];
}

const ENDED = { words: "ended", grade: "" };
const IN_ORDER = { words: "in order", grade: "" };

/** What stands in amber or red in the list is what needs a look: nothing else does. */
const needsLook = (call) => reasonsOf(call)[0].grade !== "";

const whileLive = (test) => (call) => !hasEnded(call) && test(call);
const flagged = (flag) => whileLive((call) => call.flags & flag);

/** What the strip above the list counts, and filters by: calls that have ended are counted as that alone. */
export const FILTERS = {
  live: { words: "live", test: whileLive(() => true) },
  attention: { words: "need a look", grade: "warning", test: needsLook },
  dropping: { words: "dropping", grade: "critical", test: flagged(FLAG.dropping) },
  hits: { words: "with critical hits", grade: "critical", test: whileLive((call) => call.worstHit === 3) },
  oneWay: { words: "one-way", grade: "critical", test: flagged(FLAG.oneWay) },
  deadAir: { words: "dead air", grade: "warning", test: flagged(FLAG.deadAir) },
  talkOver: { words: "talk-over", grade: "warning", test: flagged(FLAG.talkOver) },
  paused: { words: "paused", test: flagged(FLAG.paused) },
  ended: { words: "ended", test: hasEnded },
};
/** The filter that is none. */
export const ALL = "all";

/** By what the list can be sorted. `up`: the smallest first, where that is what one looks for. */
const ORDERS = {
  // What has ended comes after all that is live, whatever it was.
  attention: { key: (call) => (hasEnded(call) ? -1 : call.attention) },
  lasted: { key: (call) => -call.opened },
  mood: { key: (call) => -(call.external.sentiment ?? 2) },
  hits: { key: (call) => call.hits },
  lost: { key: (call) => call.lostSeconds },
  lag: { key: (call) => call.lagSeconds },
};

/** The calls to show, in order. Equals keep the order of their opening, so that rows rest. */
export function arrange(calls, { filter, text, order }) {
  const isShown = filter === ALL ? () => true : FILTERS[filter].test;
  const wanted = text.trim().toLowerCase();
  const chosen = [];
  for (const call of calls) {
    if (isShown(call) && (!wanted || matches(call, wanted))) chosen.push([ORDERS[order].key(call), call]);
  }
  chosen.sort(([a, one], [b, other]) => b - a || one.opened - other.opened || one.number - other.number);
  return chosen.map(([, call]) => call);
}

const matches = (call, text) =>
  [call.session, call.conversation, call.organization, call.key, call.caller].some((word) =>
    word?.toLowerCase().includes(text),
  );

/** Everything that is the matter, for people who do not see colours. */
export const wordsOf = (call) =>
  [
    ...Object.entries(FLAG).filter(([, bit]) => call.flags & bit).map(([name]) => plain(spaced(name))),
    ...(call.worstHit ? [`${HIT[call.worstHit]} hit`] : []),
  ].join(", ");

const spaced = (name) => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
