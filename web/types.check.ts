// What an integrator writes, held against the types. It is compiled by `npm run check`, and never run.
import type { Receipt, VoiceMessage } from "./voicepost.js";

declare const recorder: VoiceMessage;
declare const show: (receipt: Receipt) => void;

const found: VoiceMessage | null = document.querySelector("voice-message");
found?.record();
recorder.gateway = "https://voice.example";
recorder.senderId = null;
recorder.texts = { record: "Tell us" };
// @ts-expect-error there is no such text
recorder.texts = { recrod: "Tell us" };
recorder.tokenProvider = async ({ renew }) => (renew ? "new" : "old");
recorder.addEventListener("sent", ({ detail }) => show(detail.receipt));
recorder.addEventListener("recorded", ({ detail }) => detail.blob.size + detail.duration_ms);
recorder.addEventListener("token-needed", ({ detail }) => detail.respondWith(Promise.resolve("new")));
recorder.addEventListener("failed", ({ detail }) => {
  // @ts-expect-error a code is a text
  const code: number = detail.code;
  return code;
});
const state: "idle" | "sent" | string = recorder.state;
console.log(state);
