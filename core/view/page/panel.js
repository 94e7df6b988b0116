// What opens beside the drawing: a box with its options and errors, an edge with what goes through it.
import { el, api, query, size, rate, count, many, ago, nameOf, reason, table, replace } from "./format.js";
import { byReason } from "./draw.js";
import { journeyTable, connectionTable, histogram } from "./rows.js";

// Panel is the dialog at the side.
export class Panel {
  constructor(page) {
    this.page = page;
    this.live = null;
    this.title = el("h2", { id: "panel-title", tabindex: "-1", autofocus: true }); // where a screen reader begins
    this.body = el("div", { class: "panelbody" });
    this.dialog = el("dialog", { class: "panel", "aria-labelledby": "panel-title", close: () => { this.live = null; } },
      el("header", {}, this.title, el("button", { type: "button", class: "plain", "aria-label": "Close", click: () => this.dialog.close() }, "✕")), this.body);
    this.dialog.addEventListener("click", (event) => { if (event.target === this.dialog) this.dialog.close(); });
    document.body.append(this.dialog);
  }

  show(title, ...content) {
    this.title.textContent = title;
    this.body.replaceChildren(...content);
    this.body.scrollTop = 0;
    if (!this.dialog.open) this.dialog.showModal();
  }

  // update is called with each snapshot.
  update() { this.live?.(); }

  // box opens a component.
  box(b) {
    const id = b.stage.component, c = b.component || { options: [], references: [] };
    const now = el("div"), dials = el("div"), way = el("div");
    this.show(c.title || id, el("p", { class: "help" }, c.help || ""), now, way,
      section("Options", options(c, this.page)), references(c, this.page, (to) => this.component(to)), dials);
    this.live = () => replace(now, ...nowOf(this.page, id));
    this.live();
    if (c.section === "outbound") this.outbound(id, dials, way);
  }

  // component opens a component that stands in no chain of its own.
  component(id) {
    this.box({ stage: { component: id, role: "" }, component: this.page.plan.components[id], words: this.page.words.components[id] || {} });
  }

  async outbound(id, dials, way) {
    way.append(el("p", { class: "actions" },
      el("button", { type: "button", click: () => this.go("connections", { outbound: id }) }, "Its connections"),
      el("button", { type: "button", click: () => this.go("journeys", { outbound: id }) }, "Its journeys")));
    try {
      const journeys = await api(query("journeys", { outbound: id, limit: 256 }));
      const times = journeys.flatMap((j) => j.steps.filter((s) => s.kind === "dial" && s.name === id && !s.error).map((s) => s.took_ms));
      if (times.length) dials.append(section("Time to dial", histogram(times)));
    } catch (error) { dials.append(el("p", { class: "error" }, error.message)); }
  }

  // edge opens what goes through an edge.
  async edge(e) {
    const from = e.from.stage?.component || "clients", to = e.to.stage?.component || "targets";
    const now = el("p", { class: "big" }), rest = el("div", {}, "…");
    const filter = { pipeline: e.scope.pipeline, outbound: e.scope.component || "" };
    this.show(`${from} → ${to}`, now,
      el("p", { class: "help" }, e.scope.component ? `What goes from pipeline ${e.scope.pipeline} through ${e.scope.component}.` : `All that goes through pipeline ${e.scope.pipeline}.`),
      el("p", { class: "actions" },
        el("button", { type: "button", click: () => this.go("connections", filter) }, "All connections"),
        el("button", { type: "button", click: () => this.go("journeys", filter) }, "All journeys")), rest);
    this.live = () => {
      const f = this.page.flows.flow(e.scope);
      now.textContent = `${f.guessed ? "about " : ""}${many(f.connections, "connection")} · ↓ ${rate(f.downRate)} · ↑ ${rate(f.upRate)}`;
    };
    this.live();
    try {
      const [live, journeys] = await Promise.all([api(query("connections", { ...filter, sort: "-since", limit: 10 })), api(query("journeys", { ...filter, limit: 20 }))]);
      rest.replaceChildren(section("Live", connectionTable(live.connections, { brief: true, caption: `${live.connections.length} of ${live.total} live connections` })),
        section("Journeys", journeyTable(journeys.reverse(), "The latest journeys")));
    } catch (error) { rest.replaceChildren(el("p", { class: "error" }, error.message)); }
  }

  go(tab, filter) { this.dialog.close(); this.page.tab(tab, filter); }

  // confirm asks before a change; act is called on yes.
  confirm(title, content, yes, act) {
    this.live = null;
    const button = el("button", { type: "button", class: "primary", click: async () => {
      button.disabled = true;
      try { await act(); this.dialog.close(); } catch (error) { this.page.notice(error.message); this.dialog.close(); }
    } }, yes);
    this.show(title, content, el("p", { class: "actions" }, button, el("button", { type: "button", click: () => this.dialog.close() }, "Cancel")));
  }
}

const section = (title, ...content) => el("section", {}, el("h3", {}, title), ...content);

const stateWords = { ok: "works", trouble: "some fail", bad: "fails" };

// nowOf returns how a component fares.
function nowOf(page, id) {
  const c = page.flows.last?.components[id];
  if (!c) return [];
  const all = [el("p", {}, el("span", { class: "badge " + c.state }, stateWords[c.state] || c.state),
    c.connections || c.up || c.down ? ` ${many(c.connections, "connection")} now · ↓ ${size(c.down)} · ↑ ${size(c.up)} since the start` : "")];
  if (c.last_error) all.push(el("p", { class: "error" }, c.last_error, " ", el("small", {}, ago(c.last_error_at))));
  const groups = [...new Set((c.counts || []).map((x) => x.metric))];
  for (const metric of groups) {
    const rows = byReason(c, metric);
    if (rows.length && !metric.startsWith("umbra_group_member")) all.push(section(metricWords[metric] || metric, bars(rows)));
  }
  if (c.members?.length) all.push(section("Members", members(page, id, c.members)));
  return all;
}

const metricWords = {
  umbra_policy_refusals_total: "Refused, by reason", umbra_dials_total: "Dials, by result", umbra_route_decisions_total: "Requests, by rule",
  umbra_inbound_handshake_failures_total: "Failed handshakes, by reason", umbra_inbound_accepted_total: "Clients accepted", umbra_bans: "Banned now",
  umbra_bans_total: "Bans, by reason", umbra_inbound_handshakes: "In their handshake", umbra_group_switches_total: "Changes of the member",
  umbra_resolver_queries_total: "Queries, by result", umbra_resolver_cache_hits_total: "Answers remembered", umbra_store_up: "Store is there", umbra_store_lag_seconds: "Store lags, seconds", umbra_cipher_trials_total: "Searches for a user", umbra_datagrams_dropped_total: "Datagrams dropped",
};

// bars returns counts as lines with bars.
function bars(rows) {
  const most = Math.max(...rows.map(([, n]) => n));
  return el("ul", { class: "bars" }, rows.map(([name, n]) => {
    const bar = el("i", { "aria-hidden": "true" });
    bar.style.width = (n / most) * 100 + "%";
    return el("li", {}, el("span", {}, reason(name)), el("b", {}, count(n)), bar);
  }));
}

function members(page, id, list) {
  const chosen = page.plan.components[id]?.kind === "select" && page.status.write;
  return table("Members of " + id, [
    { title: "Member", cell: (m) => el("b", {}, m.name) },
    { title: "State", cell: (m) => el("span", { class: "badge " + ({ in: "ok", out: "bad", trial: "trouble" }[m.state] || "") }, { in: "well", out: "out", trial: "on trial" }[m.state] || m.state) },
    { title: "Takes", cell: (m) => m.serves ? "new requests" : "" },
    { title: "Delay", class: "number", cell: (m) => m.delay_ms ? Math.round(m.delay_ms) + " ms" : "" },
    { title: "Running", class: "number", cell: (m) => count(m.running) },
    { title: "Why", cell: (m) => m.reason || "" },
    ...(chosen ? [{ title: "Choose", cell: (m) => m.serves ? "chosen" : el("button", { type: "button", click: () => page.change(api("groups/" + encodeURIComponent(nameOf(id)), "PUT", { member: m.name }), `${nameOf(id)} takes ${m.name}`) }, "Choose") }] : []),
  ], list);
}

function options(c, page) {
  const rows = c.options.map((o) => [o.key, o.value + (o.like ? `  (like ${o.like})` : "")]);
  if (!rows.length) return el("p", { class: "help" }, "none");
  return el("dl", { class: "options" }, rows.flatMap(([k, v]) => [el("dt", {}, k), el("dd", {}, v)]));
}

const uses = { wire: "its wire goes through it", targets: "finds the targets' addresses", server: "finds its server's address", asks: "is asked for names", via: "name servers are asked through it", branch: "stands in a branch", rule: "decides on a branch", for: "its requests are told apart" };

function references(c, page, open) {
  const list = (c.references || []).filter((r) => page.plan.components[r.component]);
  if (!list.length) return "";
  return section("Uses", el("ul", { class: "uses" }, list.map((r) => el("li", {},
    el("button", { type: "button", class: "link", click: () => open(r.component) }, r.component), " ", uses[r.use] || ""))));
}

