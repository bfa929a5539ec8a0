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
  microphone: "M12 14.5a3.5 3.5 0 0 0 3.5-3.5V6a3.5 3.5 0 0 0-7 0v5a3.5 3.5 0 0 0 3.5 3.5Zm6.4-3.5"
    + "a.9.9 0 0 0-1.8 0 4.6 4.6 0 0 1-9.2 0 .9.9 0 0 0-1.8 0 6.4 6.4 0 0 0 5.5 6.3v2.3H8.8a.9.9 0 "
    + "0 0 0 1.8h6.4a.9.9 0 0 0 0-1.8h-2.3v-2.3a6.4 6.4 0 0 0 5.5-6.3Z",
  stop: "M7.5 6h9A1.5 1.5 0 0 1 18 7.5v9a1.5 1.5 0 0 1-1.5 1.5h-9A1.5 1.5 0 0 1 6 16.500v-9A1.5 1.5 "
    + "0 0 1 7.500 6Z",
  pause: "M8 5.500h1.600a1 1 0 0 1 1 1v11a1 1 0 0 1-1 1H8a1 1 0 0 1-1-1v-11a1 1 0 0 1 1-1Zm6.400 "
    + "0H16a1 1 0 0 1 1 1v11a1 1 0 0 1-1 1h-1.600a1 1 0 0 1-1-1v-11a1 1 0 0 1 1-1Z",
  play: "M8 5.600v12.800a.9.9 0 0 0 1.400.800l9.800-6.400a.9.9 0 0 0 0-1.600L9.400 4.800A.9.9 0 0 0 "
    + "8 5.600Z",
  delete: "M10 4h4a1 1 0 0 1 1 1v1h3.500a.9.9 0 0 1 0 1.800h-.6l-.7 10.400A2 2 0 0 1 15.200 20H8.800"
    + "a2 2 0 0 1-2-1.800L6.100 7.800h-.6a.9.9 0 0 1 0-1.800H9V5a1 1 0 0 1 1-1Zm-.1 6.200.3 5.900a.8.8 "
    + "0 0 0 1.600-.1l-.3-5.900a.8.8 0 0 0-1.600.1Zm2.600-.1-.3 5.900a.8.8 0 0 0 1.600.1l.3-5.900a.8.8"
    + " 0 0 0-1.600-.1Z",
  send: "M4.700 19.200 20 12.700a.8.8 0 0 0 0-1.400L4.700 4.800a.8.8 0 0 0-1.100 1l2 5.200 7.400 1-7.4"
    + " 1-2 5.200a.8.8 0 0 0 1.100 1Z",
  done: "m9.600 15.300-3-3a.9.9 0 1 0-1.300 1.300l3.700 3.600a.9.9 0 0 0 1.300 0l8.400-8.300a.9.9 0 1 0"
    + "-1.300-1.300l-7.800 7.700Z",
  warning: "M10.700 4.700a1.500 1.500 0 0 1 2.600 0l7 12.500a1.500 1.500 0 0 1-1.300 2.200H5a1.500 "
    + "1.500 0 0 1-1.300-2.200l7-12.500ZM12 9a.9.9 0 0 0-.9 1l.2 3.600a.7.7 0 0 0 1.400 0l.2-3.600a.9.9"
    + " 0 0 0-.9-1Zm0 6a1 1 0 1 0 0 2 1 1 0 0 0 0-2Z",
};

/** A drawing of 24 by 24. */
export const icon = (name) => svg(`icon ${name}`, "0 0 24 24", ICONS[name]);

/** Minutes and seconds. */
export function clock(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
