// What a clip looks like.

const PEAKS = 64;
const DECODE_MS_MAX = 4_000;

/**
 * Decodes a clip to look at it: peaks 0 to 255, length, and whether nothing is to be heard.
 * Without a sound device: an OfflineAudioContext needs none. `undefined` where it does not decode.
 */
export async function look(blob) {
  try {
    const context = new OfflineAudioContext(1, 1, 16_000);
    const bytes = await blob.arrayBuffer();
    const late = new Promise((_, reject) => setTimeout(reject, DECODE_MS_MAX));
    const sound = await Promise.race([context.decodeAudioData(bytes), late]);
    const samples = sound.getChannelData(0);
    const peaks = [];
    for (let part = 0; part < PEAKS; part += 1) {
      const [from, to] = [part, part + 1].map((at) => Math.floor((at * samples.length) / PEAKS));
      let peak = 0;
      for (let at = from; at < to; at += 1) peak = Math.max(peak, Math.abs(samples[at]));
      peaks.push(Math.min(255, Math.round(peak * 255)));
    }
    return { peaks, ms: Math.round(sound.duration * 1000), silent: Math.max(...peaks) < 3 };
  } catch {
    return undefined;
  }
}

/** Peaks from an attribute: a JSON array or numbers with commas, 0 to 255; others count as none. */
export function parsePeaks(text) {
  const numbers = (text ?? "").replace(/[[\]\s]/g, "").split(",").filter(Boolean).map(Number);
  const sound = numbers.length > 1 && numbers.length <= 1024
    && numbers.every((number) => number >= 0 && number <= 255);
  return sound ? numbers : undefined;
}

/** Bars as one path in a box of `peaks.length * 4` by 32; what is quiet stays visible. */
export function barsPath(peaks) {
  const loudest = Math.max(48, ...peaks);
  return peaks.map((peak, at) => {
    const height = Math.max(2.5, (peak / loudest) * 30);
    return `M${at * 4 + 2} ${(16 - height / 2).toFixed(1)}v${height.toFixed(1)}`;
  }).join("");
}

/** The box of [`barsPath`]. */
export const barsBox = (peaks) => `0 0 ${peaks.length * 4} 32`;

/** A drawing for where nothing is known. */
export const FLAT = Array.from({ length: PEAKS }, () => 0);
