// Tables of connections and journeys, the waterfall of a journey, and a histogram.
import { el, svg, size, took, count, clock, nameOf, reason, table } from "./format.js";

// connectionTable returns live connections. With cut, each has a button that calls it.
export function connectionTable(list, { brief, caption, sort, onSort, cut } = {}) {
  const way = (c) => (c.path || []).map(nameOf).join(" → ");
  const columns = [
    { title: "Client", cell: (c) => [el("span", { class: "mono" }, c.client), brief && c.user ? el("small", { class: "below" }, c.user) : ""] },
    !brief && { title: "User", cell: (c) => c.user || "" },
    { title: "Target", cell: (c) => el("span", { class: "mono long" }, c.target || (c.network === "udp" ? "many" : "")) },
    !brief && { title: "Pipeline", cell: (c) => `${c.pipeline} · ${c.network}` },
    !brief && { title: "Way", cell: way },
    !brief && { title: "State", cell: (c) => c.state },
    { title: "Up", class: "number", sort: "up", cell: (c) => size(c.up) },
    { title: "Down", class: "number", sort: "down", cell: (c) => size(c.down) },
    { title: "For", class: "number", sort: "since", turned: true, cell: (c) => took(Math.max(0, Date.now() - Date.parse(c.since))) },
    cut && { title: "Cut", cell: (c) => el("button", { type: "button", class: "danger", "aria-label": `Cut connection ${c.id} of ${c.client} to ${c.target || "many"}`, click: () => cut(c) }, "Cut") },
  ].filter(Boolean);
  return table(caption, columns, list, { sort, onSort, empty: "no live connections", key: (c) => c.id });
}

// journeyTable returns journeys, each with its waterfall.
export function journeyTable(list, caption) {
  if (!list.length) return el("p", { class: "empty" }, "no journeys");
  return el("div", { class: "journeys", role: "list", "aria-label": caption }, list.map(journey));
}

function journey(j) {
  const failed = j.result !== "ok";
  const head = el("summary", {},
    el("span", { class: "badge " + (failed ? "bad" : "ok") }, failed ? reason(j.result) : "ok"),
    el("span", { class: "mono to" }, j.target || (j.network === "udp" ? "UDP" : "no target")),
    el("span", { class: "muted" }, [j.user, j.client, (j.path || []).map(nameOf).join(" → ")].filter(Boolean).join(" · ")),
    el("span", { class: "muted end" }, `${clock(j.began)} · ${took(j.took_ms)} · ↓ ${size(j.down)} ↑ ${size(j.up)}`), strip(j));
  const all = el("details", { role: "listitem", "data-journey": j.number }, head);
  all.addEventListener("toggle", () => { if (all.open && all.children.length === 1) all.append(waterfall(j)); });
  return el("div", { role: "listitem", class: "journey" + (failed ? " failed" : "") }, stripRole(all));
}

const stripRole = (details) => { details.removeAttribute("role"); return details; };

const kinds = { admit: "admitted", handshake: "handshake", rule: "rule", resolve: "name found", dial: "dial", answer: "first answer", end: "end" };

// span returns the time that the steps before the end take: what a drawing of them shows whole.
const span = (j) => Math.max(0.001, ...j.steps.filter((s) => s.kind !== "end").map((s) => s.at_ms + s.took_ms));

// strip is the waterfall in one line.
function strip(j) {
  const whole = span(j);
  return svg("svg", { class: "strip", viewBox: "0 0 1000 6", preserveAspectRatio: "none", "aria-hidden": "true" },
    j.steps.filter((s) => s.kind !== "end").map((s) => svg("rect", { x: (s.at_ms / whole) * 1000, y: 0, height: 6, width: Math.max(4, (s.took_ms / whole) * 1000), class: "step " + s.kind + (s.error ? " failed" : "") })));
}

// waterfall draws each step at its time.
function waterfall(j) {
  const whole = span(j);
  const rows = j.steps.map((s) => {
    const bar = el("i", { class: "step " + s.kind + (s.error ? " failed" : ""), "aria-hidden": "true" });
    const at = s.kind === "end" ? 100 : Math.min(100, (s.at_ms / whole) * 100);
    bar.style.left = Math.min(at, 99.4) + "%";
    bar.style.width = Math.max(0.6, Math.min(100 - at, (s.took_ms / whole) * 100)) + "%";
    return el("li", {},
      el("span", { class: "kind" }, kinds[s.kind] || s.kind), el("span", { class: "who" }, [s.name, s.detail].filter(Boolean).join(" · ")),
      el("span", { class: "track" }, bar), el("span", { class: "number" }, s.kind === "end" ? "at " + took(s.at_ms) : took(s.took_ms)),
      s.error && el("span", { class: "error" }, s.error));
  });
  return el("div", { class: "waterfall" }, j.error && el("p", { class: "error" }, j.error), el("ol", {}, rows));
}

// histogram draws times in milliseconds, in steps that double.
export function histogram(times) {
  const low = Math.floor(Math.log2(Math.max(0.25, Math.min(...times))));
  const high = Math.max(low + 3, Math.ceil(Math.log2(Math.max(...times) + 0.001)));
  const counts = Array.from({ length: high - low }, () => 0);
  for (const t of times) counts[Math.max(0, Math.min(counts.length - 1, Math.floor(Math.log2(Math.max(0.25, t))) - low))]++;
  const most = Math.max(...counts), wide = 320 / counts.length;
  const sorted = [...times].sort((a, b) => a - b);
  const text = `${count(times.length)} dials: half within ${took(sorted[Math.floor(sorted.length / 2)])}, the slowest ${took(sorted.at(-1))}`;
  return el("figure", { class: "histogram" },
    svg("svg", { viewBox: "0 0 320 90", role: "img", "aria-label": text }, counts.map((n, i) => [
      svg("rect", { x: i * wide + 1.5, width: wide - 3, y: 70 - (n / most) * 64, height: (n / most) * 64, rx: 2 }),
      i % Math.ceil(counts.length / 6) === 0 && svg("text", { x: i * wide + 1.5, y: 85 }, took(2 ** (low + i))),
    ]).flat().filter(Boolean)), el("figcaption", {}, text));
}
