// What the gateway takes, and which of it this browser can record.

const WHEN_UNKNOWN = {
  types: ["audio/ogg;codecs=opus", "audio/webm;codecs=opus", "audio/mp4;codecs=mp4a.40.2"],
  duration_ms_max: 60_000,
  duration_ms_min: 100,
  bytes_max: 12 * 1024 * 1024,
};

/** Asks the gateway; its defaults where it cannot be reached, so that a guest can record offline. */
export async function askLimits(gateway) {
  try {
    const answer = await fetch(`${gateway}/v1/limits`, { signal: AbortSignal.timeout(5_000) });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    return { ...WHEN_UNKNOWN, ...(await answer.json()), known: true };
  } catch {
    return WHEN_UNKNOWN;
  }
}

/**
 * The first type of the gateway's list that the browser records; `undefined` leaves it to the
 * browser. Safari says yes to WebM and then makes files without a usable length: there MP4 goes
 * first.
 */
export function chooseType(types, isSupported, vendor) {
  const mp4First = vendor.startsWith("Apple");
  const isMp4 = (type) => type.startsWith("audio/mp4");
  const ordered = mp4First
    ? [...types.filter(isMp4), ...types.filter((type) => !isMp4(type))]
    : types;
  return ordered.find((type) => isSupported(type));
}

const EXTENSIONS = { ogg: "ogg", webm: "webm", mp4: "m4a", mpeg: "mp3", wav: "wav", flac: "flac" };

/** A file name whose ending says what the type says. */
export function fileName(type) {
  const subtype = /^audio\/(?:x-)?([a-z0-9]+)/.exec(type)?.[1];
  return `voice-message.${EXTENSIONS[subtype] ?? "bin"}`;
}
