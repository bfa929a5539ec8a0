// Elements without markup: nothing here needs `unsafe-inline`, and no text becomes HTML.

/** Makes an element; `on…` properties become listeners, the rest attributes. */
export function h(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== null));
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

/** An SVG element with one path. */
export function svg(className, viewBox, d) {
  const root = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  root.setAttribute("class", className);
  root.setAttribute("viewBox", viewBox);
  root.setAttribute("aria-hidden", "true");
  root.setAttribute("focusable", "false");
  path.setAttribute("d", d);
  root.append(path);
  return root;
}

const ICONS = {
  microphone: "M12 14.5a3.5 3.5 0 0 0 3.5-3.5V6a3.5 3.5 0 0 0-7 0v5a3.5 3.5 0 0 0 3.5 3.5ZM5.6 11h1.8"
    + "a4.6 4.6 0 0 0 9.2 0h1.8a6.4 6.4 0 0 1-5.5 6.3V20.5h-1.8v-3.2A6.4 6.4 0 0 1 5.6 11Z",
  stop: "M6 6h12v12H6Z",
  pause: "M7 5.5h3.6v13H7Zm6.4 0H17v13h-3.6Z",
  resume: "M12 6a6 6 0 1 0 0 12 6 6 0 0 0 0-12Z",
  play: "M7.5 4.9v14.2L20 12Z",
  delete: "M9 4h6v2h4v1.8H5V6h4ZM6.5 9h11l-.9 11H7.4Z",
  send: "M4.7 19.2 20 12.7a.8.8 0 0 0 0-1.4L4.7 4.8a.8.8 0 0 0-1.1 1l2 5.2 7.4 1-7.4"
    + " 1-2 5.2a.8.8 0 0 0 1.1 1Z",
  done: "m9.6 15.3-3-3a.9.9 0 1 0-1.3 1.3l3.7 3.6a.9.9 0 0 0 1.3 0l8.4-8.3a.9.9 0 1 0"
    + "-1.3-1.3l-7.8 7.7Z",
  warning: "M12 4 2.8 20h18.4ZM11.1 9.5h1.8V14h-1.8Zm0 6h1.8v1.8h-1.8Z",
};

/** A drawing of 24 by 24. */
export const icon = (name) => svg(`icon ${name}`, "0 0 24 24", ICONS[name]);

/** Minutes and seconds. */
export function clock(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
