// One style sheet for all elements of a page; constructed, so that a strict CSP has nothing against it.

const CSS = `
:host {
  --accent: var(--voice-accent, #2457c5);
  --on-accent: var(--voice-on-accent, #fff);
  --text: var(--voice-text, #1a2233);
  --quiet: var(--voice-quiet, #56607a);
  --surface: var(--voice-surface, #fff);
  --line: var(--voice-line, #d9deea);
  --danger: var(--voice-danger, #b3261e);
  --warn: var(--voice-warn, #8a4b00);
  --good: var(--voice-good, #17693f);
  --radius: var(--voice-radius, 1.25rem);
  display: block;
  box-sizing: border-box;
  max-width: 30rem;
  color: var(--text);
  font: var(--voice-font, 400 1rem/1.4 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif);
  container-type: inline-size;
}
:host([hidden]) { display: none; }
@media (prefers-color-scheme: dark) {
  :host(:not([theme="light"])) {
    --accent: var(--voice-accent, #9db9ff); --on-accent: var(--voice-on-accent, #0c1a3d);
    --text: var(--voice-text, #e8ecf6); --quiet: var(--voice-quiet, #a6b0c6);
    --surface: var(--voice-surface, #1c212d); --line: var(--voice-line, #363d4e);
    --danger: var(--voice-danger, #ffb4ab); --warn: var(--voice-warn, #ffc078);
    --good: var(--voice-good, #7fdbaa);
  }
}
:host([theme="dark"]) {
  --accent: var(--voice-accent, #9db9ff); --on-accent: var(--voice-on-accent, #0c1a3d);
  --text: var(--voice-text, #e8ecf6); --quiet: var(--voice-quiet, #a6b0c6);
  --surface: var(--voice-surface, #1c212d); --line: var(--voice-line, #363d4e);
  --danger: var(--voice-danger, #ffb4ab); --warn: var(--voice-warn, #ffc078);
  --good: var(--voice-good, #7fdbaa);
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
.panel {
  padding: .5rem; background: var(--surface); border: 1px solid var(--line);
  border-radius: var(--radius); overflow-wrap: break-word;
}
.row { display: flex; align-items: center; gap: .5rem; flex-wrap: wrap; min-height: 2.75rem; }
.grow { flex: 1 1 9rem; min-width: 0; }
.end, .row > .main { margin-inline-start: auto; }
.row > .end ~ .main { margin-inline-start: 0; }
button {
  font: inherit; color: inherit; border: 0; background: none; cursor: pointer; margin: 0;
  min-height: 2.75rem; border-radius: 1.375rem; padding: .25rem .75rem;
  -webkit-tap-highlight-color: transparent;
}
button:focus-visible, summary:focus-visible, textarea:focus-visible, .row:focus-visible {
  outline: 3px solid var(--accent); outline-offset: 2px;
}
.seek:focus-visible { outline: 3px solid var(--accent); outline-offset: 1px; border-radius: .5rem; }
.round { width: 2.75rem; padding: 0; flex: none; display: grid; place-items: center; }
.round:hover, .quiet:hover, .pace:hover { background: var(--line); }
.icon { width: 1.5rem; height: 1.5rem; fill: currentColor; flex: none; display: block; }
.main {
  display: inline-flex; align-items: center; justify-content: center; gap: .4rem;
  background: var(--accent); color: var(--on-accent); font-weight: 600; padding-inline: .9rem 1.1rem;
}
.main:hover { filter: brightness(1.08); }
.main.round { padding: 0; }
.start {
  width: 100%; display: flex; align-items: center; gap: .75rem; text-align: start; padding: .1rem;
  border-radius: calc(var(--radius) - .5rem); font-weight: 600;
}
.start .disc {
  width: 2.75rem; height: 2.75rem; border-radius: 50%; background: var(--accent);
  color: var(--on-accent); display: grid; place-items: center; flex: none;
}
.start:hover .disc { filter: brightness(1.08); }
.start > span { min-width: 0; }
.start .small { margin-inline-start: auto; padding-inline-end: .6rem; font-weight: 400; }
.small { color: var(--quiet); font-size: .875rem; }
.others { display: flex; flex-wrap: wrap; gap: 0 .5rem; margin-top: .15rem; }
.others .quiet { min-height: 1.75rem; font-size: .875rem; font-weight: 400; padding-block: .1rem; }
.quiet { color: var(--quiet); font-weight: 600; font-size: .9375rem; padding-inline: .5rem; }
.quiet.danger, .round.danger { color: var(--danger); }
.time { font-variant-numeric: tabular-nums; font-size: .9375rem; }
.time .small { font-size: inherit; }
.dot { width: .75rem; height: .75rem; border-radius: 50%; background: var(--danger); flex: none;
  margin-inline: .6rem .1rem; }
.dot.live { animation: breathe 1.6s ease-in-out infinite; }
.dot.still { background: none; border: 2px solid var(--quiet); }
@keyframes breathe { 50% { opacity: .35; } }
.level { flex: 1 1 4rem; min-width: 3rem; height: 2rem; display: block; overflow: hidden; }
.level path, .wave path {
  stroke: var(--accent); stroke-width: 2.4; stroke-linecap: round; fill: none;
  vector-effect: none;
}
.level.still path { stroke: var(--quiet); }
.warns .time, .warns .small { color: var(--warn); font-weight: 700; }
.warns .level path { stroke: var(--warn); }
.player { display: flex; align-items: center; gap: .35rem; flex: 1 1 12rem; min-width: 0; }
.track { position: relative; flex: 1 1 4rem; min-width: 3.5rem; height: 2.25rem; --played: 100%; }
.wave { position: absolute; inset: 0; width: 100%; height: 100%; pointer-events: none; }
.wave path { stroke: var(--quiet); opacity: .75; }
.wave.played { clip-path: inset(0 var(--played) 0 0); }
.wave.played path { stroke: var(--accent); opacity: 1; }
.seek { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; cursor: pointer;
  appearance: none; background: none; }
.seek::-webkit-slider-thumb { appearance: none; width: 4px; height: 2.25rem; border-radius: 2px;
  background: var(--accent); }
.seek::-moz-range-thumb { width: 4px; height: 2.25rem; border: 0; border-radius: 2px;
  background: var(--accent); }
.seek::-moz-range-track { background: none; }
.play { color: var(--accent); }
.pace { font-size: .875rem; font-weight: 600; min-width: 2.9rem; padding: 0 .35rem; color: var(--quiet);
  font-variant-numeric: tabular-nums; }
.note { display: flex; gap: .5rem; align-items: start; margin: .1rem .35rem .4rem; font-size: .9375rem;
  outline-offset: 4px; border-radius: .5rem; }
.note > span { min-width: 0; }
.note .icon { width: 1.35rem; height: 1.35rem; }
.note.bad .icon { color: var(--danger); }
.note.warn .icon { color: var(--warn); }
.note.good { color: var(--good); font-weight: 600; align-items: center; margin-block: 0; }
.bar { flex: 1 1 6rem; height: .5rem; border-radius: .25rem; overflow: hidden; border: 0;
  background: var(--line); appearance: none; }
.bar::-webkit-progress-bar { background: var(--line); border-radius: .25rem; }
.bar::-webkit-progress-value { background: var(--accent); border-radius: .25rem; }
.bar::-moz-progress-bar { background: var(--accent); border-radius: .25rem; }
.bar:indeterminate, .bar:indeterminate::-webkit-progress-bar { background: var(--accent); }
.bar:indeterminate { animation: breathe 1.6s ease-in-out infinite; }
.lead { padding-inline-start: .5rem; }
details { margin: .15rem .35rem .1rem; }
details[open] { margin-bottom: .5rem; }
summary { cursor: pointer; color: var(--quiet); font-size: .9375rem; padding: .4rem .15rem;
  border-radius: .4rem; min-height: 1.75rem; }
summary:hover { color: var(--text); }
textarea {
  display: block; width: 100%; margin-top: .25rem; font: inherit; color: inherit; resize: vertical;
  background: var(--surface); border: 1px solid var(--quiet); border-radius: .75rem; padding: .5rem .7rem;
  field-sizing: content; min-height: 4.5rem; max-height: 10rem;
}
.said { margin: .1rem .15rem .35rem; white-space: pre-wrap; overflow-wrap: anywhere; }
[dir="rtl"] .icon.send { transform: scaleX(-1); }
.heard {
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
  white-space: nowrap;
}
@container (max-width: 17.5rem) {
  .player { flex-wrap: wrap; }
  .main .word { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; }
  .main { width: 2.75rem; padding: 0; }
  .start { flex-wrap: wrap; gap: 0 .4rem; }
  .start > span { flex: 1 1 0; min-width: 0; }
  .start > .disc { flex: none; }
  .start > .small { flex-basis: 100%; padding-inline-start: .75rem; }
}
@media (prefers-reduced-motion: reduce) { .dot.live, .bar { animation: none !important; } }
@media (forced-colors: active) {
  .panel, button { border: 1px solid; }
  .dot { background: Mark; forced-color-adjust: none; }
  .level path, .wave path { stroke: CanvasText; }
  .wave.played path { stroke: Highlight; }
  .icon { fill: currentColor; }
}
`;

let sheet;

/** The sheet, made when the first element needs it. */
export function style() {
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(CSS);
  }
  return sheet;
}
