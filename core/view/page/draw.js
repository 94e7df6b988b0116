// Draws a pipeline of the plan: a graph of boxes and edges, laid out from left to right, or from top to
// bottom where there is no room, and kept current from snapshots.
import { el, svg, rate, count, many, nameOf, reason } from "./format.js";

const narrow = 680; // pixels; below it boxes stand one under the other
const smallest = 0.74; // to which a drawing is scaled down, before they do so too

// graphOf returns the boxes and edges of a pipeline. An edge carries the figures of its scope: those of the
// pipeline, or of the outbound with which its branch begins.
export function graphOf(pipeline, components, words) {
  const boxes = [], edges = [];
  const add = (box) => { box.key = "b" + boxes.length; boxes.push(box); return box; };
  const clients = add({ end: "clients", title: "clients" });
  const whole = { pipeline: pipeline.name };
  // walk adds a chain behind what leads to it, and returns what leads on and its layout.
  const walk = (stages, from, scope, entry) => {
    const line = { items: [] };
    stages.forEach((stage, i) => {
      const box = add({ stage, component: components[stage.component], words: words[stage.component] || {}, group: entry && i === 0 ? entry.group : null, label: i === 0 && entry ? entry.label : "", rule: i === 0 && entry ? entry.rule : "" });
      for (const f of from) edges.push({ from: f.box, to: box, scope: i === 0 ? scope : f.scope, entry: i === 0 ? entry : null, merge: from.length > 1 });
      const item = { box, fan: [] };
      line.items.push(item);
      from = box.words.ends ? [] : [{ box, scope }];
      if (!stage.branches?.length) return;
      from = [];
      const firsts = stage.branches.map((b) => b.stages.find((s) => s.role === "hop")?.component);
      for (const [n, branch] of stage.branches.entries()) {
        const to = firsts[n] ? { pipeline: pipeline.name, component: firsts[n], within: scope, beside: firsts.filter(Boolean) } : scope;
        const group = isGroup(box.component) ? stage.component : null;
        const way = walk(branch.stages, [{ box, scope: to }], to, { label: branch.label, rule: branch.rule, group, only: stage.branches.length === 1 });
        item.fan.push(way.line);
        from.push(...way.out);
      }
    });
    return { line, out: from };
  };
  const { line, out } = walk(pipeline.stages, [{ box: clients, scope: whole }], whole, null);
  if (out.length) {
    const targets = add({ end: "targets", title: "targets" });
    for (const f of out) edges.push({ from: f.box, to: targets, scope: out.length === 1 ? whole : f.scope, merge: out.length > 1 });
    line.targets = targets;
  }
  return { pipeline, boxes, edges, line, clients };
}

const isGroup = (component) => ["failover", "balance", "fastest", "select"].includes(component?.kind);

// ---- layout: from left to right ----

const endHeight = 44, endWidth = 68, rowGap = 18, labelRow = 18;
let boxHeight = 84;

// across places the boxes in columns, and returns the size of the drawing.
function across(graph, room) {
  const columns = depth(graph.line), ends = graph.line.targets ? 2 : 1;
  const weights = new Array(columns).fill(0.88); // boxes of which there is little to say are narrower
  weigh(graph.line, 0, weights);
  const whole = weights.reduce((a, b) => a + b);
  const free = room - ends * endWidth, gaps = columns + ends - 1;
  const gap = Math.max(72, Math.min(120, (free - whole * 172) / gaps));
  const unit = Math.max(136, Math.min(212, (free - gaps * gap) / whole));
  boxHeight = unit < 165 ? 106 : 84;
  const x = (column) => endWidth + gap + weights.slice(0, column).reduce((at, w) => at + w * unit + gap, 0);
  const put = (line, column, top) => { // places a line; returns its middle
    const middle = top + tall(line) / 2;
    let at = column;
    for (const item of line.items) {
      const label = labelled(item.box) ? labelRow : 0;
      Object.assign(item.box, { x: x(at), w: weights[at] * unit, h: boxHeight, y: middle - boxHeight / 2 + label / 2 });
      let y = middle - fanTall(item.fan) / 2;
      for (const branch of item.fan) { put(branch, at + 1, y); y += tall(branch) + rowGap; }
      at += 1 + Math.max(0, ...item.fan.map(depth));
    }
    return middle;
  };
  const height = tall(graph.line) + 34;
  const middle = put(graph.line, 0, 17);
  Object.assign(graph.clients, { x: 1, y: middle - endHeight / 2, w: endWidth - 2, h: endHeight });
  const end = x(columns) - (graph.line.targets ? 0 : gap);
  if (graph.line.targets) Object.assign(graph.line.targets, { x: end, y: middle - endHeight / 2, w: endWidth - 2, h: endHeight });
  for (const e of graph.edges) {
    const x1 = e.from.x + e.from.w, y1 = e.from.y + e.from.h / 2, x2 = e.to.x, y2 = e.to.y + e.to.h / 2;
    const bend = Math.max(x1, x2 - gap), until = e.merge ? x2 : bend + gap * 0.66, c = (until - bend) * 0.6;
    const fan = Math.abs(y1 - y2) >= 1; // edges bend first, so that their figures stand beside a straight line
    e.path = fan ? `M${x1} ${y1}H${bend}C${bend + c} ${y1} ${until - c} ${y2} ${until} ${y2}H${x2}` : `M${x1} ${y1}H${x2}`;
    e.at = e.merge ? null : { x: e.from.stage?.branches ? x2 - 7 : x2 - gap / 2, y: y2, anchor: e.from.stage?.branches ? "end" : "middle", goes: fan ? (y2 - y1 > 40 ? "down" : "up") : "level" };
  }
  return { width: end + (graph.line.targets ? endWidth : 0), height, gap };
}

function weigh(line, column, weights) {
  for (const { box, fan } of line.items) {
    if (box.stage.role === "inbound" || (box.stage.role === "hop" && !box.words.ends && !fan.length)) weights[column] = 1;
    fan.forEach((branch) => weigh(branch, column + 1, weights));
    column += 1 + Math.max(0, ...fan.map(depth));
  }
}

const labelled = (box) => Boolean(box.label && !box.group && ruleText(box));
const depth = (line) => line.items.reduce((n, item) => n + 1 + Math.max(0, ...item.fan.map(depth)), 0);
const fanTall = (fan) => fan.reduce((n, line) => n + tall(line), Math.max(0, fan.length - 1) * rowGap);
const tall = (line) => Math.max(...line.items.map((i) => Math.max(boxHeight + (labelled(i.box) ? labelRow : 0), fanTall(i.fan))), boxHeight);

// ---- layout: from top to bottom ----

// down places the boxes one under the other, branches set in; what leaves branches joins at the right.
function down(graph, room) {
  const inset = 22, gap = 46;
  boxHeight = 84;
  let y = 1;
  const right = room - 1;
  const put = (line, level) => {
    for (const item of line.items) {
      const label = labelled(item.box) ? labelRow : 0;
      y += label;
      Object.assign(item.box, { x: 1 + level * inset, y, w: right - 18 - level * inset, h: boxHeight });
      y += boxHeight + gap;
      for (const branch of item.fan) put(branch, level + 1);
    }
  };
  Object.assign(graph.clients, { x: 1, y, w: 110, h: 40 });
  y += 40 + gap;
  put(graph.line, 0);
  if (graph.line.targets) { Object.assign(graph.line.targets, { x: 1, y, w: 110, h: 40 }); y += 40; } else y -= gap;
  for (const e of graph.edges) {
    const x1 = e.from.x + 11, y1 = e.from.y + e.from.h, x2 = e.to.x, top = e.to.y;
    if (e.merge) {
      const yt = e.to.y + e.to.h / 2, xt = e.to.x + e.to.w, xr = e.from.x + e.from.w, yr = e.from.y + e.from.h / 2;
      e.path = `M${xr} ${yr}H${right - 14}Q${right - 4} ${yr} ${right - 4} ${yr + 10}V${yt - 10}Q${right - 4} ${yt} ${right - 14} ${yt}H${xt}`;
      e.at = null;
    } else if (e.to.x > e.from.x + 1) {
      const yc = e.to.y + e.to.h / 2;
      e.path = `M${x1} ${y1}V${yc - 8}Q${x1} ${yc} ${x1 + 8} ${yc}H${x2}`;
      e.at = { x: x1 + 18, y: e.to.y - (labelled(e.to) ? labelRow : 0) - gap / 2 + 4, anchor: "start", line: true };
    } else {
      e.path = `M${x1} ${y1}V${top}`;
      e.at = { x: x1 + 18, y: y1 + gap / 2 + 4, anchor: "start", line: true };
    }
  }
  return { width: room, height: y + 2, gap };
}

// ---- the drawing ----

// draw returns a drawing with its element, update(state) and resize(width).
export function draw(graph, open) {
  const root = svg("svg", { role: "group", class: "plan", "aria-label": `The way of connections through pipeline ${graph.pipeline.name}` });
  const view = { element: root, graph, last: null, room: 0 };
  view.resize = (room) => {
    if (room === view.room || room < 50) return;
    view.room = room;
    let size = room < narrow ? null : across(graph, room);
    const vertical = !size || room < size.width * smallest;
    if (vertical) size = down(graph, Math.min(room, narrow));
    root.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
    const scale = Math.min(1, room / size.width);
    root.setAttribute("width", size.width * scale);
    root.setAttribute("height", size.height * scale);
    root.classList.toggle("vertical", vertical);
    root.replaceChildren(...graph.edges.map((e) => edge(e, open)), ...graph.boxes.flatMap((b) => box(b, open)));
    if (view.last) view.update(view.last);
  };
  view.update = (state) => {
    view.last = state;
    for (const e of graph.edges) if (e.element) updateEdge(e, state, graph);
    for (const b of graph.boxes) if (b.element) updateBox(b, state, graph);
  };
  return view;
}

// opens makes an element that opens something by click, Enter or space.
function opens(element, act) {
  element.addEventListener("click", act);
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    act();
  });
  return element;
}

function edge(e, open) {
  e.element = svg("g", { class: "edge", role: "button", tabindex: "0", "data-from": e.from.stage?.component || e.from.end, "data-to": e.to.stage?.component || e.to.end });
  e.line = svg("path", { d: e.path, class: "line" });
  e.moving = svg("path", { d: e.path, class: "moving" });
  e.element.append(svg("path", { d: e.path, class: "grip" }), e.line, e.moving);
  e.texts = [];
  if (e.at) {
    const { x, y, anchor, line } = e.at;
    const lines = { level: [-8, 16, 29], up: [-33, -20, -8], down: [17, 30, 43] }[e.at.goes || "level"]; // beside the edge, not on it
    const places = line ? [[x, y]] : lines.map((dy) => [x, y + dy]);
    e.texts = places.map(([tx, ty], i) => svg("text", { x: tx, y: ty, "text-anchor": anchor, class: i === 0 ? "now" : "rate" }));
    e.element.append(...e.texts);
  }
  return opens(e.element, () => open.edge(e));
}

function updateEdge(e, state, graph) {
  const f = state.flow(e.scope);
  const traffic = f.upRate + f.downRate;
  e.line.style.strokeWidth = Math.min(11, 1.5 + 1.7 * Math.log10(1 + traffic / 1000)).toFixed(1) + "px";
  e.element.classList.toggle("busy", traffic >= 1);
  e.element.classList.toggle("used", f.connections > 0);
  e.element.classList.toggle("spare", Boolean(e.entry?.group) && !member(e, state)?.serves && f.connections === 0);
  const now = f.connections ? (f.guessed ? "~" : "") + count(f.connections) + " now" : "";
  const downText = f.downRate >= 1 ? "↓ " + rate(f.downRate) : "", upText = f.upRate >= 1 ? "↑ " + rate(f.upRate) : "";
  const texts = e.texts.length === 1 ? [[now, downText, upText].filter(Boolean).join("  ")] : [now, downText, upText];
  e.texts.forEach((t, i) => { if (t.textContent !== texts[i]) t.textContent = texts[i]; });
  const from = e.from.stage ? nameOf(e.from.stage.component) : e.from.title, to = e.to.stage ? nameOf(e.to.stage.component) : e.to.title;
  e.element.setAttribute("aria-label", `${texts.filter(Boolean).join(" ") || "no connections"} from ${from} to ${to}`);
}

const member = (e, state) => state.components[e.entry.group]?.members?.find((m) => m.name === e.entry.label);

function box(b, open) {
  const { x, y, w, h } = b;
  if (b.end) {
    b.sub = svg("text", { x: x + w / 2, y: y + h / 2 + 14, "text-anchor": "middle", class: "small" });
    b.element = svg("g", { class: "end", "data-end": b.end }, svg("rect", { x, y, width: w, height: h, rx: h / 2 }),
      svg("text", { x: x + w / 2, y: y + h / 2 + 5, "text-anchor": "middle", class: "endname" }, b.title));
    return b.element;
  }
  b.status = el("span");
  b.text = el("div", { class: "boxtext" }, // "…" is the style sheet's, so that the whole text is there for those who search or listen
    el("div", { class: "what" }, [b.words.what || b.component?.kind, w > 165 && b.words.where && b.words.how].filter(Boolean).join(" · ")), " ", el("div", { class: "name" }, nameOf(b.stage.component)), " ",
    el("div", { class: "where" }, (b.words.where || b.words.how || "").split(/(?=:\d+$)/).flatMap((t) => [el("wbr"), t])), " ", el("div", { class: "status" }, el("i", { class: "light" }), b.status));
  b.element = svg("g", { class: "box " + b.stage.role, role: "button", tabindex: "0", "data-component": b.stage.component },
    svg("rect", { x, y, width: w, height: h, rx: 10, class: "frame" }),
    svg("rect", { x, y: y + 12, width: 3.5, height: h - 24, rx: 1.75, class: "mark" }),
    svg("foreignObject", { x: x + 4, y, width: w - 5, height: h }, b.text));
  opens(b.element, () => open.box(b));
  return labelled(b) ? [svg("text", { x: x + 2, y: y - 6, class: "rule", "aria-hidden": "true" }, ruleText(b)), b.element] : b.element;
}

const ruleText = (b) => b.rule ? "if " + nameOf(b.rule) : b.label === "chain" ? "" : b.label;

function updateBox(b, state, graph) {
  if (b.end) return;
  const c = state.components[b.stage.component] || { state: "ok" };
  const m = b.group ? state.components[b.group]?.members?.find((x) => x.name === b.label) : null;
  let health = b.words.ends ? "ok" : c.state || "ok"; // to refuse is its task
  if (m?.state === "out") health = "bad";
  else if (m?.state === "trial" && health === "ok") health = "trouble";
  b.element.dataset.state = health;
  const text = statusText(b, c, m, health, state);
  if (b.status.textContent !== text) { b.status.textContent = text; b.status.parentElement.title = text; }
  const words = { ok: "works", trouble: "has trouble", bad: "fails" };
  const label = [...[...b.text.children].map((t) => t.textContent), labelled(b) ? ruleText(b) : ""].filter(Boolean).join(" ");
  b.element.setAttribute("aria-label", `${label}, ${b.stage.component} ${words[health] || health}`);
}

// statusText is the last line of a box: what is wrong, or else what it does.
function statusText(b, c, m, health, state) {
  if (m && m.state === "out") return "out: " + (m.reason || "fails");
  if (m && m.state === "trial") return "on trial";
  if (health !== "ok") {
    const last = c.last_error?.split(": ").pop();
    return (health === "bad" ? "fails: " : "some fail: ") + (last || worstOf(c) || "see its errors");
  }
  const refused = total(c, (x) => x.metric === "umbra_policy_refusals_total");
  if (b.stage.role === "gate" || b.component?.section === "policy") {
    const why = byReason(c, "umbra_policy_refusals_total").map(([r, n]) => `${count(n)} ${reason(r)}`).join(", ");
    return refused ? `refused ${why}` : "refused nobody";
  }
  if (b.stage.role === "inbound") {
    const shakes = state.pipeline?.handshakes || 0;
    const failed = total(c, (x) => x.metric === "umbra_inbound_handshake_failures_total");
    return [shakes ? many(shakes, "handshake") : "listens", failed && count(failed) + " failed"].filter(Boolean).join(" · ");
  }
  if (m) return (m.serves ? "in use" : "stands by") + (m.delay_ms ? ` · ${Math.round(m.delay_ms)} ms` : "");
  if (c.members?.length) {
    const on = c.members.filter((x) => x.state !== "out").length;
    return on === c.members.length ? `all ${on} well` : `${on} of ${c.members.length} well`;
  }
  const routes = total(c, (x) => x.metric === "umbra_route_decisions_total");
  if (routes) return many(routes, "request");
  if (b.words.ends) {
    const n = total(c, (x) => x.metric === "umbra_dials_total");
    return n ? `refused ${count(n)}` : "refused nobody";
  }
  const dials = total(c, (x) => x.metric === "umbra_dials_total" && x.labels?.result === "ok");
  return dials ? many(dials, "dial") : "works";
}

// total returns the sum of the counts of a component that pass.
export const total = (c, pass) => (c.counts || []).filter(pass).reduce((n, x) => n + x.value, 0);

// byReason returns the counts of a metric by their reason or result, the largest first.
export function byReason(c, metric) {
  const sums = new Map();
  for (const x of c.counts || []) {
    if (x.metric !== metric) continue;
    const r = x.labels?.reason || x.labels?.result || x.labels?.rule || Object.values(x.labels || {}).join(" ") || "all";
    sums.set(r, (sums.get(r) || 0) + x.value);
  }
  return [...sums].filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]);
}

// worstOf returns the most frequent failure in a word.
function worstOf(c) {
  const worst = [...byReason(c, "umbra_dials_total"), ...byReason(c, "umbra_inbound_handshake_failures_total")].find(([r]) => r !== "ok");
  return worst ? `${reason(worst[0])} (${count(worst[1])})` : "";
}
