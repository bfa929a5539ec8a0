// Types of <voice-message>. What each member means in full: docs/recorder.md in the repository.

/** Where a recorder stands; `playback` is an element with `src` or `transcript`. */
export type VoiceMessageState =
  | "idle" | "asking" | "recording" | "paused" | "stopping" | "review"
  | "sending" | "delivering" | "sent" | "failed" | "playback";

/** What an agent answered, as the gateway's event stream tells it. */
export interface Reply {
  id: string;
  /** The agent's name, where one is told. */
  from: string | null;
  text: string | null;
  attachments: { url: string; media_type: string | null; file_name: string | null }[];
  /** RFC 3339, UTC. */
  came_at: string;
}

/** The gateway's receipt, as in its OpenAPI document; the members that pages use most. */
export interface Receipt {
  id: string;
  status: "accepted" | "uploaded" | "sent" | "failed" | "cancelled" | "held";
  message_id: string | null;
  conversation_id: string | null;
  media: {
    id: string; media_type: string; codec: string; duration_ms: number; bytes: number;
    sha256: string; converted_from: string | null; notes: string[];
    waveform: number[] | null; silent: boolean | null;
  };
  transcript: { text: string; source: string } | null;
  purge: {
    due_at: string | null;
    state: "scheduled" | "purging" | "purged" | "stuck" | "incomplete" | "given-up";
    copies: { kind: string; state: string }[];
  };
  created_at: string;
  error: { code: string; detail: string } | null;
  [member: string]: unknown;
}

export interface RecordedDetail {
  blob: Blob;
  /** What the bytes are, as the browser names them. */
  type: string;
  duration_ms: number;
  /** 64 peaks, 0 to 255; `undefined` where the browser could not decode its own recording. */
  waveform: number[] | undefined;
}

export interface SentDetail {
  receipt: Receipt;
  blob: Blob;
  duration_ms: number;
  waveform: number[] | undefined;
  transcript: string | undefined;
}

export interface FailedDetail {
  /** A code of the gateway, `offline`, or what keeps the microphone shut, as `denied`. */
  code: string;
  message: string;
  status?: number;
  retryable: boolean;
  /** The message's id where the gateway has one for it. */
  id?: string;
}

export interface VoiceMessageEventMap {
  /** A take is ready. `preventDefault()`: the page goes on with it, and the element forgets it. */
  recorded: CustomEvent<RecordedDetail>;
  progress: CustomEvent<{ loaded: number; total: number }>;
  sent: CustomEvent<SentDetail>;
  failed: CustomEvent<FailedDetail>;
  discarded: CustomEvent<Record<string, never>>;
  /** Each news of the message; with the attribute `follow` until its audio is gone. */
  status: CustomEvent<{ kind: string; receipt: Receipt }>;
  /** What an agent answered, on routes that bring answers. */
  reply: CustomEvent<Reply>;
  /** The guest would rather type. `preventDefault()`: the page has seen to it. */
  type: CustomEvent<Record<string, never>>;
  /** The gateway refused the token; another is given by `respondWith`, at once or as a promise. */
  "token-needed": CustomEvent<{
    respondWith(token: string | undefined | Promise<string | undefined>): void;
  }>;
}

/** Names of the texts that `texts` may replace. */
export type TextName =
  | "record" | "upTo" | "asking" | "recording" | "paused" | "pause" | "resume" | "stop" | "delete"
  | "deleted" | "send" | "cancel" | "retry" | "again" | "another" | "type" | "play" | "halt"
  | "position" | "of" | "speed" | "voiceMessage" | "transcript" | "noAudio" | "audioGone" | "left" | "leftShort"
  | "limit" | "ready" | "offered" | "caption" | "captionWhy" | "sending" | "delivering" | "sent"
  | "unheard" | "silent" | "denied" | "noMicrophone" | "inUse" | "insecure" | "unsupported"
  | "tooShort" | "cut" | "offline" | "busy" | "tooMany" | "storage" | "session" | "ended"
  | "tooLong" | "refused" | "unclear";

export class VoiceMessage extends HTMLElement {
  /** Base address of the gateway; where the script came from, unless the attribute says otherwise. */
  get gateway(): string;
  set gateway(url: string | null | undefined);
  get conversationId(): string | undefined;
  set conversationId(id: string | null | undefined);
  get senderId(): string | undefined;
  set senderId(id: string | null | undefined);
  /** The guest's token from now on. A message that waits for one goes out. */
  set token(token: string | undefined);
  /** Asked where there is no token yet, and (`renew`) where the gateway refused the last one. */
  tokenProvider: ((why: { renew: boolean }) => Promise<string | undefined> | string | undefined)
    | undefined;
  texts: Partial<Record<TextName, string>>;
  readonly state: VoiceMessageState;
  readonly blob: Blob | undefined;
  readonly receipt: Receipt | undefined;

  record(): Promise<void> | undefined;
  pause(): void;
  resume(): void;
  /** Ends the recording and keeps the take. */
  stop(): Promise<void> | undefined;
  /** Deletes the take, as long as the gateway has not got it all. */
  discard(): Promise<void> | undefined;
  send(): Promise<void> | undefined;
  /** Takes back what is being sent, as long as the gateway has not got it all. */
  cancel(): void;
  /** A clip that was not recorded here, to be listened to and sent. */
  offer(blob: Blob, options?: { transcript?: string }): Promise<void> | undefined;
  /** Begins anew, after a message was sent, or where it is not known what became of it. */
  reset(): void;

  addEventListener<Name extends keyof VoiceMessageEventMap>(
    type: Name, listener: (this: VoiceMessage, event: VoiceMessageEventMap[Name]) => unknown,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string, listener: EventListenerOrEventListenerObject,
    options?: boolean | AddEventListenerOptions,
  ): void;
}

declare global {
  interface HTMLElementTagNameMap {
    "voice-message": VoiceMessage;
  }
}
