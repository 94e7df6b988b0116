// Small things that all parts of the page use. What comes from outside becomes text, never markup.

// el makes an element. Attributes that are null or false are left out; functions listen to events.
export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

// svg makes an element of a drawing.
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function fill(to, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") to.addEventListener(key, value);
    else to.setAttribute(key, value === true ? "" : value);
  }
  to.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return to;
}

// size returns a number of bytes for people.
export function size(n) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (n >= 999.5 && unit < units.length - 1) { n /= 1000; unit++; }
  return (n < 9.95 && unit > 0 ? n.toFixed(1) : Math.round(n)) + " " + units[unit];
}

// rate returns bytes a second for people.
export const rate = (n) => size(n) + "/s";

// count returns a number with separators.
export const count = (n) => Math.round(n).toLocaleString("en");

// many returns a number with its noun.
export const many = (n, one, more = one + "s") => `${count(n)} ${n === 1 ? one : more}`;

// took returns milliseconds for people.
export function took(ms) {
  if (ms < 10) return ms > 0 && ms < 0.05 ? "<0.1 ms" : ms.toFixed(ms ? 1 : 0) + " ms";
  if (ms < 1000) return Math.round(ms) + " ms";
  if (ms < 60e3) return (ms / 1000).toFixed(ms < 10e3 ? 1 : 0) + " s";
  if (ms < 3600e3) return Math.floor(ms / 60e3) + " min " + Math.round((ms % 60e3) / 1000) + " s";
  if (ms < 86400e3) return Math.floor(ms / 3600e3) + " h " + Math.round((ms % 3600e3) / 60e3) + " min";
  return Math.floor(ms / 86400e3) + " d " + Math.round((ms % 86400e3) / 3600e3) + " h";
}

// ago returns how long a moment is past.
export const ago = (when, now = Date.now()) => when ? took(Math.max(0, now - Date.parse(when))) + " ago" : "never";

// clock returns a moment of today, or of another day with its date.
export function clock(when) {
  if (!when) return "";
  const d = new Date(when);
  return d.toDateString() === new Date().toDateString() ? d.toLocaleTimeString("en-GB") : d.toLocaleString("en-GB");
}

// short cuts a text.
export const short = (text, most) => text.length > most ? text.slice(0, most - 1) + "…" : text;

// nameOf returns the name in the ID of a component.
export const nameOf = (id) => id.slice(id.indexOf(".") + 1);

// Reasons of the log in the words of a person; others stand as they are.
const reasons = {
  ok: "in order", refused: "connection refused", timeout: "timed out", unreachable: "not reachable", name: "name not found", reset: "reset",
  auth: "wrong key or password", identity: "wrong identity key", clock: "clock is off", replay: "replayed", short: "sent too little", malformed: "not understood",
  proxy_header: "bad PROXY header", untrusted: "certificate not trusted", denied: "denied", crowded: "too many at once", banned: "banned",
  idle: "idle for too long", gone: "client went", shutdown: "cut by a shutdown", tls: "TLS failed", other: "other reasons",
  client_connections: "connections of a client", client_rate: "new ones of a client", user_connections: "connections of a user", user_rate: "new ones of a user", quota: "quota used up",
};
export const reason = (word) => reasons[word] || word;

// api asks the API; it throws an Error with the reason for people.
export async function api(path, method = "GET", body) {
  const options = { method, headers: { Accept: "application/json" }, cache: "no-store" };
  if (method !== "GET") options.headers["Content-Type"] = "application/json";
  if (body !== undefined) options.body = JSON.stringify(body);
  const answer = await fetch("/api/v1/" + path, options);
  if (answer.status === 401) { location.reload(); throw new Error("the token is asked for again"); }
  const text = await answer.text();
  let data = null;
  try { data = text ? JSON.parse(text) : null; } catch { /* an error of something on the way */ }
  if (!answer.ok) throw new Error(data?.error || `${answer.status} ${answer.statusText}`);
  return data;
}

// query returns a path with the parameters that are not empty.
export function query(path, parameters) {
  const q = new URLSearchParams(Object.entries(parameters).filter(([, v]) => v !== "" && v !== false && v !== undefined && v !== null && v !== 0));
  return q.size ? path + "?" + q : path;
}

// table makes a table in a box of its own that scrolls. Columns have title, cell(row), and sort.
export function table(caption, columns, rows, { sort = "", onSort, empty = "none", key } = {}) {
  const heads = columns.map((c) => {
    if (!c.sort || !onSort) return el("th", { scope: "col", role: "columnheader", class: c.class }, c.title);
    const on = sort.replace("-", "") === c.sort;
    const back = sort.startsWith("-"), down = back !== Boolean(c.turned); // turned: the column shows the opposite of what is sorted by
    return el("th", { scope: "col", role: "columnheader", class: c.class, "aria-sort": on ? (down ? "descending" : "ascending") : "none" },
      el("button", { type: "button", class: "sort", "data-sort": c.sort, click: () => onSort(on && back ? c.sort : "-" + c.sort) },
        c.title, el("span", { "aria-hidden": "true" }, on ? (down ? " ↓" : " ↑") : "")));
  });
  const body = rows.map((row) => el("tr", { role: "row", "data-key": key ? key(row) : null }, columns.map((c) => {
    const cell = c.cell(row);
    return el("td", { role: "cell", class: c.class, "data-label": c.title }, cell === "" || cell === undefined ? "–" : cell);
  })));
  if (!rows.length) body.push(el("tr", { role: "row" }, el("td", { role: "cell", colspan: columns.length, class: "empty" }, empty)));
  return el("div", { class: "scroll", role: "region", "aria-label": caption, tabindex: "0" },
    el("table", { role: "table" }, el("caption", {}, caption),
      el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, heads)), el("tbody", { role: "rowgroup" }, body)));
}

// replace puts new content into a box and keeps the focus and the scrolled place of what stood there.
export function replace(box, ...content) {
  if (box.querySelector("button:active")) return; // a click has begun; the next second brings the news
  const focused = box.contains(document.activeElement) ? document.activeElement : null;
  const path = focused ? place(box, focused) : null;
  const scrolled = [...box.querySelectorAll(".scroll")].map((e) => e.scrollLeft);
  box.replaceChildren(...content);
  box.querySelectorAll(".scroll").forEach((e, i) => { e.scrollLeft = scrolled[i] || 0; });
  if (!path) return;
  let to = box;
  for (const step of path) to = to?.children[step];
  to?.focus?.({ preventScroll: true });
}

function place(box, element) {
  const path = [];
  for (let e = element; e !== box; e = e.parentElement) path.unshift([...e.parentElement.children].indexOf(e));
  return path;
}
