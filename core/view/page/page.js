// The page of a running umbra. The server has written all of it as tables; this draws the pipelines in
// their place and keeps everything current from the stream of events, while somebody looks.
import { el, api, rate, size, count, many, reason } from "./format.js";
import { Flows } from "./flows.js";
import { graphOf, draw } from "./draw.js";
import { Charts } from "./charts.js";
import { Panel } from "./panel.js";
import { connectionsView, journeysView, usersView, bansView, reloadsView, logView } from "./views.js";

const $ = (id) => document.getElementById(id);

class Page {
  async start() {
    document.documentElement.classList.add("drawn");
    this.flows = new Flows();
    this.words = JSON.parse($("words").textContent);
    this.theme();
    [this.status, this.plan] = await Promise.all([api("status"), api("plan")]);
    this.panel = new Panel(this);
    this.charts = new Charts($("charts"));
    this.drawAll();
    this.views = [{ title: "Overview", id: "overview", at: $("view-overview"), show() {}, tick() {} },
      connectionsView(this), journeysView(this), usersView(this), bansView(this), reloadsView(this), logView(this)];
    this.tabs();
    document.addEventListener("visibilitychange", () => document.hidden ? this.close() : this.open());
    addEventListener("pagehide", () => this.close());
    addEventListener("pageshow", (e) => { if (e.persisted) this.open(); });
    if (!document.hidden) this.open();
  }

  // ---- the stream ----

  open() {
    if (this.events) return;
    this.say("connecting", "connecting…");
    this.events = new EventSource("/api/v1/events");
    this.events.addEventListener("snapshot", (event) => this.take(JSON.parse(event.data)));
    this.events.addEventListener("error", () => this.lost());
  }

  close() {
    clearTimeout(this.again);
    this.events?.close();
    this.events = null;
    this.flows.gap();
    this.say("paused", "paused: not looked at");
  }

  // lost says that the stream broke and opens another one, later each time.
  lost() {
    this.events?.close();
    this.events = null;
    this.flows.gap();
    this.tries = Math.min((this.tries || 0) + 1, 5);
    this.say("lost", "connection lost, trying again…");
    document.body.classList.add("stale");
    clearTimeout(this.again);
    this.again = setTimeout(async () => {
      try { await api("status"); } catch { if (!document.hidden && !this.events) this.lost(); return; }
      if (!document.hidden) this.open();
    }, 500 * 2 ** (this.tries - 1));
  }

  say(state, text) {
    const at = $("live");
    at.dataset.state = state;
    if (at.textContent !== text) at.textContent = text;
  }

  async take(snapshot) {
    this.tries = 0;
    document.body.classList.remove("stale");
    this.say(snapshot.ready ? "live" : "lost", snapshot.ready ? "live" : "not ready: " + (snapshot.reason || "starting"));
    const old = this.generation;
    this.generation = snapshot.generation;
    if (old !== undefined && old !== this.generation) {
      try { await this.reload(); } catch (error) { this.generation = old; this.notice(error.message); }
      return;
    }
    this.flows.take(snapshot);
    this.paint();
    this.view.tick();
    this.panel.update();
  }

  // reload takes another file: its plan, its words and its pipelines.
  async reload() {
    const [status, plan, html] = await Promise.all([api("status"), api("plan"), fetch("/", { cache: "no-store" }).then((a) => a.text())]);
    const fresh = new DOMParser().parseFromString(html, "text/html");
    const articles = [...fresh.querySelectorAll("article.pipeline")].map((a) => document.adoptNode(a));
    this.status = status;
    this.plan = plan;
    this.words = JSON.parse(fresh.getElementById("words").textContent);
    document.querySelectorAll("article.pipeline").forEach((a) => a.remove());
    $("charts").before(...articles);
    this.flows.gap();
    this.flows.history = [];
    this.drawAll();
    this.view.show();
  }

  // ---- the overview ----

  drawAll() {
    this.flows.plan(this.plan);
    this.watch?.disconnect();
    this.watch = new ResizeObserver((all) => all.forEach((x) => x.target.drawing?.resize(Math.floor(x.contentRect.width))));
    this.drawn = this.plan.pipelines.map((p, i) => {
      const at = [...document.querySelectorAll("article.pipeline")].find((a) => a.dataset.pipeline === p.name);
      at.classList.add("line" + (i % 6));
      const box = el("div", { class: "drawing" });
      const drawing = draw(graphOf(p, this.plan.components, this.words.components), { box: (b) => this.panel.box(b), edge: (e) => this.panel.edge(e) });
      box.append(drawing.element);
      box.drawing = drawing;
      const now = el("p", { class: "now" }), foot = el("p", { class: "foot" });
      at.querySelector("header").append(now);
      at.querySelectorAll(".static").forEach((s) => s.remove());
      at.append(box, foot);
      drawing.resize(Math.floor(box.clientWidth));
      this.watch.observe(box);
      return { name: p.name, drawing, now, foot };
    });
    this.charts.start(this.plan.pipelines.map((p) => p.name));
  }

  paint() {
    let connections = 0, up = 0, down = 0, moved = 0;
    for (const d of this.drawn) {
      const state = this.flows.state(d.name);
      if (!state.pipeline) continue;
      d.drawing.update(state);
      const f = this.flows.flow({ pipeline: d.name }), p = state.pipeline;
      text(d.now, `${many(f.connections, "connection")} · ↓ ${rate(f.downRate)} · ↑ ${rate(f.upRate)}`);
      text(d.foot, foot(p));
      connections += f.connections; up += f.upRate; down += f.downRate; moved += p.up + p.down;
    }
    const troubled = Object.values(this.flows.last.components).filter((c) => c.state === "bad").length;
    const tiles = [["Connections", count(connections)], ["Down to clients", rate(down)], ["Up to targets", rate(up)], ["Moved since the start", size(moved)],
      ["Components that fail", troubled ? count(troubled) : "none", troubled ? "bad" : ""]];
    const box = $("tiles");
    box.hidden = false;
    if (box.children.length !== tiles.length) box.replaceChildren(...tiles.map(([name]) => el("div", {}, el("dt", {}, name), el("dd"))));
    tiles.forEach(([, value, look], i) => { const dd = box.children[i].lastChild; text(dd, value); dd.className = look || ""; });
    this.charts.update(this.flows.history);
    document.title = `${count(connections)} · umbra`;
  }

  // ---- tabs, colours, notices ----

  tabs() {
    const bar = $("tabs");
    bar.parentElement.hidden = false;
    for (const v of this.views) {
      v.at.setAttribute("role", "tabpanel");
      v.at.setAttribute("aria-labelledby", "tab-" + v.id);
      v.at.removeAttribute("aria-label");
      $("main").append(v.at);
      v.button = el("button", { type: "button", role: "tab", id: "tab-" + v.id, "aria-controls": "view-" + v.id, click: () => this.tab(v.id) }, v.title);
      bar.append(v.button);
    }
    bar.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const at = this.views.indexOf(this.view), to = this.views[(at + step + this.views.length) % this.views.length];
      this.tab(to.id);
      to.button.focus();
    });
    addEventListener("hashchange", () => { if (location.hash.slice(1) !== this.view.id) this.tab(location.hash.slice(1)); });
    this.tab(location.hash.slice(1));
  }

  // tab opens a view, with a filter if one is given.
  tab(id, filter) {
    this.view = this.views.find((v) => v.id === id) || this.views[0];
    for (const v of this.views) {
      const on = v === this.view;
      v.at.hidden = !on;
      v.button.setAttribute("aria-selected", on);
      v.button.tabIndex = on ? 0 : -1;
    }
    this.view.button.scrollIntoView({ block: "nearest", inline: "nearest" });
    history.replaceState(null, "", this.view.id === "overview" ? location.pathname : "#" + this.view.id);
    this.view.show(filter);
  }

  theme() {
    const button = $("theme"), order = ["system", "light", "dark"];
    const set = (name) => {
      if (name === "system") delete document.documentElement.dataset.theme; else document.documentElement.dataset.theme = name;
      try { localStorage.setItem("umbra-theme", name); } catch { /* storage is off */ }
      button.textContent = { system: "◐", light: "☀", dark: "☾" }[name];
      button.setAttribute("aria-label", `Colours: ${name}`);
      button.title = `Colours: ${name}`;
      if (this.plan) { this.charts.start(this.plan.pipelines.map((p) => p.name)); if (this.flows.history.length) this.charts.update(this.flows.history); }
    };
    let name = document.documentElement.dataset.theme || "system";
    button.hidden = false;
    button.addEventListener("click", () => set(name = order[(order.indexOf(name) + 1) % 3]));
    set(name);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => set(name));
  }

  // notice says something for a while.
  notice(message, look = "bad") {
    const at = $("notice");
    at.textContent = message;
    at.className = "notice toast " + look;
    at.hidden = false;
    clearTimeout(this.hush);
    this.hush = setTimeout(() => { at.hidden = true; }, 6000);
  }

  // change waits for a request that changes something, and says how it went.
  async change(request, done) {
    try { await request; this.notice(done, "ok"); } catch (error) { this.notice(error.message); }
  }
}

function text(at, value) { if (at.textContent !== value) at.textContent = value; }

// foot says what a pipeline has done since the start.
function foot(p) {
  const ended = Object.entries(p.ended || {}).filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]);
  const fine = ended.filter(([r]) => r === "ok").map(([, n]) => `${count(n)} ended in order`);
  const rest = ended.filter(([r]) => r !== "ok").map(([r, n]) => `${count(n)} ${reason(r)}`);
  const parts = [`${count(p.accepted)} accepted`, ...fine, ...rest.slice(0, 4)];
  if (p.handshakes) parts.splice(1, 0, many(p.handshakes, "handshake") + " underway");
  return `Since the start: ${parts.join(" · ")} · ↓ ${size(p.down)} · ↑ ${size(p.up)}`;
}

new Page().start().catch((error) => {
  const at = $("notice");
  at.textContent = "The page can't be drawn: " + error.message;
  at.hidden = false;
});
