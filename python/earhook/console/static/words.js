// How figures are said: one way for each kind, everywhere on the page. Pure.

const THIN_SPACE = "\u2009";
const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** 1234567 -> "1 234 567". */
export const count = (number) =>
  Number.isFinite(number) ? grouped.format(number).replaceAll(",", THIN_SPACE) : "–";

/** Seconds as a clock: "0:07", "12:31", "1:02:03". */
export function clock(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const tail = String(rest).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}

/** A clock with tenths, for moments within a call: "1:07.4". */
export const moment = (seconds) =>
  `${clock(seconds)}.${Math.floor((Math.max(0, seconds) * 10) % 10)}`;

/** A length of time in the unit that suits it: "830 µs", "12 ms", "4.2 s", "3 min". */
export function lasting(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds === 0) return "0 s";
  if (seconds < 1e-3) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${Number((seconds * 1e3).toPrecision(seconds < 0.1 ? 2 : 3))} ms`;
  if (seconds < 120) return `${Number(seconds.toFixed(1))} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

/** Says lengths of time in one unit, that of the longest: for those that stand in one table. */
export function lastingAlike(longest) {
  const [unit, seconds] = longest < 120 ? ["s", 1] : longest < 7200 ? ["min", 60] : ["h", 3600];
  return (length) => {
    if (!Number.isFinite(length)) return "–";
    const shown = length / seconds;
    return `${shown && shown < 0.05 ? "< 0.1" : Number(shown.toFixed(1))} ${unit}`;
  };
}

/** 0.4213 -> "42 %". */
export const percent = (share) => (Number.isFinite(share) ? `${Math.round(share * 100)} %` : "–");

/** -23.4 -> "−23.4 dBFS"; nothing heard is "silent". */
export const decibels = (level) =>
  Number.isFinite(level) && level > -100 ? `${signed(level, 1)} dBFS` : "silent";

/** With a true minus sign. */
export const signed = (number, digits) =>
  Number.isFinite(number) ? number.toFixed(digits).replace("-", "−") : "–";

/** The first group of a UUID: enough to tell calls apart at a glance. */
export const short = (id) => (id ? String(id).slice(0, 8) : "–");

/** "talk_over" -> "talk over". */
export const plain = (word) => String(word ?? "").replaceAll("_", " ");

/** Day and time of the reader's place. */
export const dayAndTime = (seconds) =>
  Number.isFinite(seconds)
    ? new Date(seconds * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "medium", hour12: false })
    : "–";

export const CHANNELS = ["external", "internal"];
/** What an operator calls the two channels. */
export const SPEAKER = { external: "Customer", internal: "Agent" };
