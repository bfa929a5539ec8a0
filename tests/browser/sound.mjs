// How a clip sounds: length, loudness, and its course, decoded by a browser.

/** Decodes bytes in a page: `{ms, rms, course}`, the course as the loudness of each 100 ms. */
export function listen(page, bytes) {
  return page.evaluate(async (base64) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const sound = await new OfflineAudioContext(1, 1, 16_000).decodeAudioData(bytes.buffer);
    const samples = sound.getChannelData(0);
    const rms = (from, to) => {
      let sum = 0;
      for (let at = from; at < to; at += 1) sum += samples[at] ** 2;
      return Math.sqrt(sum / Math.max(1, to - from));
    };
    const course = [];
    for (let at = 0; at + 1_600 <= samples.length; at += 1_600) course.push(rms(at, at + 1_600));
    return { ms: Math.round(sound.duration * 1000), rms: rms(0, samples.length), course };
  }, Buffer.from(bytes).toString("base64"));
}

/** How alike two courses are, -1 to 1, at the shift (up to 1 s) where they are most alike. */
export function likeness(one, other) {
  let best = -1;
  for (let shift = -10; shift <= 10; shift += 1) {
    const pairs = one.map((value, at) => [value, other[at + shift]])
      .filter(([, value]) => value !== undefined);
    if (pairs.length < 15) continue;
    const mean = (index) => pairs.reduce((sum, pair) => sum + pair[index], 0) / pairs.length;
    const [a, b] = [mean(0), mean(1)];
    const sum = (of) => pairs.reduce((total, pair) => total + of(pair), 0);
    const both = sum(([x, y]) => (x - a) * (y - b));
    const norm = Math.sqrt(sum(([x]) => (x - a) ** 2) * sum(([, y]) => (y - b) ** 2));
    best = Math.max(best, both / norm);
  }
  return best;
}
