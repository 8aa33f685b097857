// What is marked above the levels: flags of rule hits and keys; near ones stand together. Pure.

import { placeOf } from "./story.js";
import { SPEAKER } from "./words.js";

const FLAG_PIXELS = 16;
const KEY_PIXELS = 14;
/** How far from a mark a pointer may be to mean it. */
export const NEAR_PIXELS = 7;
const GRAVITY = ["info", "warning", "critical"];
const MOST_DOTS = 4;

/** Things in groups whose members are so near that they would cover each other: [{x, last, members}]. */
function grouped(things, near) {
  const groups = [];
  for (const thing of things.toSorted((one, other) => one.x - other.x)) {
    const group = groups.at(-1);
    if (group && thing.x - group.last < near) {
      group.members.push(thing);
      group.last = thing.x;
    } else groups.push({ x: thing.x, last: thing.x, members: [thing] });
  }
  return groups;
}

/** @param x a function from seconds to pixels */
export const flagsOf = (story, rate, x) =>
  grouped(story.hits.map((hit) => ({ hit, x: x(placeOf(hit, rate) / rate) })), FLAG_PIXELS).map((group) => ({
    ...group,
    severity: GRAVITY[Math.max(...group.members.map(({ hit }) => GRAVITY.indexOf(hit.severity)))] ?? "info",
  }));

export const keysOf = (story, rate, x) =>
  grouped(story.marks.map((mark) => ({ mark, x: x(mark.position / rate) })), KEY_PIXELS).map((group) => ({
    ...group,
    words: group.members.length > MOST_DOTS ? `• × ${group.members.length}` : group.members.map(({ mark }) => mark.words).join(""),
  }));

/** What is marked near a place, one line each. */
export function wordsNear(story, rate, x, place) {
  const isNear = (from, to) => place >= from - NEAR_PIXELS && place <= to + NEAR_PIXELS;
  const keys = keysOf(story, rate, x).filter(({ x: from, last }) => isNear(from, last));
  const pressed = keys.reduce((sum, { members }) => sum + members.length, 0);
  return [
    ...story.hits.filter((hit) => isNear(...both(x(placeOf(hit, rate) / rate)))).map((hit) => `⚑ ${hit.name ?? hit.rule}`),
    ...(pressed ? [pressed === 1 ? "a key was pressed" : `${pressed} keys were pressed`] : []),
    ...story.spans
      .filter(({ kind, start }) => kind === "interruption" && isNear(...both(x(start / rate))))
      .map(({ details: { by } }) => `${SPEAKER[by] ?? "Somebody"} interrupted`),
  ];
}

const both = (place) => [place, place];
