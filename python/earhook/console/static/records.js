// The binary half of the feed (docs/reference/console-feed.md, "Records"). Pure.

export const FLAG = {
  paused: 1 << 0,
  dropping: 1 << 1,
  ended: 1 << 2,
  talkOver: 1 << 3,
  deadAir: 1 << 4,
  oneWay: 1 << 5,
  suspect: 1 << 6,
  clipping: 1 << 7,
  listened: 1 << 8,
  transcribed: 1 << 9,
  pauseLeft: 1 << 10,
};
export const HIT = ["none", "info", "warning", "critical"];
export const ENVELOPE_GAP = 1;
export const ENVELOPE_SPEAKS = { external: 2, internal: 4 };

const HEADER_BYTES = 8;
const KNOWN_BYTES = { 1: 8, 2: 32, 3: 24 };

/**
 * Read one message, record by record.
 *
 * @param {ArrayBuffer} message
 * @param {{meters, states, envelope}} take what to call with each record, by its kind:
 *   a function of the DataView and the offset of the record in it. Nothing is allocated here.
 */
export function readRecords(message, take) {
  if (message.byteLength < HEADER_BYTES) return;
  const view = new DataView(message);
  const kind = view.getUint8(0);
  const size = view.getUint16(2, true);
  if (!(size >= KNOWN_BYTES[kind])) return;
  const number = Math.min(
    view.getUint32(4, true),
    Math.floor((message.byteLength - HEADER_BYTES) / size),
  );
  const one = [take.meters, take.states, take.envelope][kind - 1];
  for (let place = 0; place < number; place += 1) one(view, HEADER_BYTES + place * size);
}

/** Write a `meters` record into its call. Levels are dBFS + 127, or 0. */
export function takeMeters(call, view, at) {
  takeMeter(call.external, view.getUint8(at + 4), view.getUint8(at + 5));
  takeMeter(call.internal, view.getUint8(at + 6), view.getUint8(at + 7));
}

function takeMeter(channel, rms, peak) {
  channel.rms = rms & 127;
  channel.speaking = rms > 127;
  channel.peak = peak & 127;
  channel.clipping = peak > 127;
}

/** Write a `states` record into its call. */
export function takeState(call, view, at) {
  call.flags = view.getUint16(at + 4, true);
  call.attention = view.getUint8(at + 6);
  call.worstHit = view.getUint8(at + 7);
  call.external.sentiment = sentiment(view.getInt8(at + 8));
  call.internal.sentiment = sentiment(view.getInt8(at + 9));
  call.hits = view.getUint16(at + 10, true);
  call.external.talk = share(view.getUint8(at + 12));
  call.internal.talk = share(view.getUint8(at + 13));
  call.interruptions = view.getUint16(at + 14, true);
  call.seconds = view.getUint32(at + 16, true) / 1000;
  call.lostSeconds = view.getUint32(at + 20, true) / 1000;
  call.lagSeconds = view.getUint32(at + 24, true) / 1000;
  call.gaps = view.getUint16(at + 28, true);
  call.talkOvers = view.getUint16(at + 30, true);
}

/** One piece of a call's envelope. Levels are 2 × dBFS + 255. */
export const takeEnvelope = (view, at) => ({
  samples: view.getUint32(at + 4, true),
  position: Number(view.getBigUint64(at + 8, true)),
  external: { peak: view.getUint8(at + 16), rms: view.getUint8(at + 17) },
  internal: { peak: view.getUint8(at + 18), rms: view.getUint8(at + 19) },
  flags: view.getUint32(at + 20, true),
});

const sentiment = (hundredths) => (hundredths === -128 ? null : hundredths / 100);
const share = (hundredths) => (hundredths === 255 ? null : hundredths / 100);
