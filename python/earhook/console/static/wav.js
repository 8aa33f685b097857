// The levels of a WAV file, read piece by piece: an hour of it never lies in memory as numbers. Pure.

import { Envelope } from "./story.js";

const PIECE_BYTES = 1 << 20;
const PCM = 1;
const MU_LAW = 7;
const MU_LAW_BIAS = 132;

/**
 * Read the envelope of a recording.
 *
 * @param {Blob} blob a WAV file as recordings are: 16-bit PCM or mu-law, one or two channels
 * @param {number} stepSeconds what one piece covers
 * @returns {Promise<{rate: number, samples: number, envelope: Envelope}>}
 */
export async function readWav(blob, stepSeconds = 0.05) {
  const format = await readHead(blob);
  const { rate, channels, start, bytes, width } = format;
  const group = channels * width;
  const samples = Math.floor(bytes / group);
  const step = Math.round(rate * stepSeconds);
  const whole = Math.max(1, Math.floor(PIECE_BYTES / (step * group))) * step * group;
  const envelope = new Envelope();
  for (let at = 0; at < samples * group; at += whole) {
    const piece = await blob.slice(start + at, start + Math.min(at + whole, samples * group)).arrayBuffer();
    measure(piece, format, step, at / group, envelope);
  }
  return { rate, samples, envelope };
}

async function readHead(blob) {
  const view = new DataView(await blob.slice(0, 4096).arrayBuffer());
  const tag = (at) => String.fromCharCode(...[0, 1, 2, 3].map((step) => view.getUint8(at + step)));
  if (view.byteLength < 44 || tag(0) !== "RIFF" || tag(8) !== "WAVE") throw new Error("this is no WAV file");
  const format = {};
  for (let at = 12; at + 8 <= view.byteLength; ) {
    const size = view.getUint32(at + 4, true);
    if (tag(at) === "fmt ") {
      format.law = view.getUint16(at + 8, true);
      format.channels = view.getUint16(at + 10, true);
      format.rate = view.getUint32(at + 12, true);
      format.width = format.law === MU_LAW ? 1 : 2;
    } else if (tag(at) === "data") {
      Object.assign(format, { start: at + 8, bytes: Math.min(size, blob.size - at - 8) });
      break;
    }
    at += 8 + size + (size & 1);
  }
  if (!format.rate || format.start === undefined || ![PCM, MU_LAW].includes(format.law)) throw new Error("this WAV file has a format that cannot be drawn");
  return format;
}

function measure(piece, { law, channels, width }, step, position, envelope) {
  const view = new DataView(piece);
  const samples = Math.floor(piece.byteLength / width / channels);
  const read = law === MU_LAW ? (at) => MU_LAW_TABLE[view.getUint8(at)] : (at) => view.getInt16(at * 2, true);
  for (let from = 0; from < samples; from += step) {
    const until = Math.min(samples, from + step);
    const level = (lane) => {
      let [peak, squares] = [0, 0];
      for (let at = from; at < until; at += 1) {
        const sample = read(at * channels + lane);
        peak = Math.max(peak, Math.abs(sample));
        squares += sample * sample;
      }
      return { peak: stored(peak), rms: stored(Math.sqrt(squares / (until - from))) };
    };
    const external = level(0);
    envelope.put({
      position: position + from, samples: until - from, flags: 0, external,
      internal: channels > 1 ? level(1) : { peak: 0, rms: 0 },
    });
  }
}

/** As levels are kept everywhere here: 2 × dBFS + 255. */
const stored = (amplitude) =>
  amplitude < 1 ? 0 : Math.max(0, Math.min(255, Math.round(40 * Math.log10(amplitude / 32768) + 255)));

/** ITU-T G.711, mu-law. */
const MU_LAW_TABLE = Int16Array.from({ length: 256 }, (_, code) => {
  const bits = ~code & 255;
  const magnitude = (((bits & 15) << 3) + MU_LAW_BIAS << ((bits >> 4) & 7)) - MU_LAW_BIAS;
  return bits & 128 ? -magnitude : magnitude;
});
