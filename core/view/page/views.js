// The views beside the overview: connections, journeys, users, bans, reloads and the log.
import { el, api, query, size, took, count, many, ago, clock, table, replace } from "./format.js";
import { connectionTable, journeyTable } from "./rows.js";

// A view has a title, show(filter) when it is opened, and tick() with each snapshot while it is open.

// box returns the section of a view, with the place for what changes.
function box(id, title, ...before) {
  const at = document.getElementById("view-" + id) || el("section", { id: "view-" + id, class: "view", "aria-label": title });
  const body = el("div", { class: "viewbody" });
  at.replaceChildren(el("h2", {}, title), ...before, body);
  return { at, body };
}

// fetching returns a function that runs one request at a time, and shows an error in the box.
function fetching(body, get) {
  let running = false, again = false;
  return async function run() {
    if (running) { again = true; return; }
    running = true;
    try { await get(); } catch (error) { replace(body, el("p", { class: "error", role: "alert" }, error.message)); }
    running = false;
    if (again) { again = false; run(); }
  };
}

// filters returns a form whose fields are read by values(); changed is called when one changes.
function filters(fields, changed) {
  const form = el("form", { class: "filters", role: "search", submit: (e) => e.preventDefault() });
  for (const f of fields) {
    const id = f.form + "-" + f.name;
    const input = f.options ? el("select", { id, name: f.name }) : el("input", { id, name: f.name, type: f.type || "search", placeholder: f.hint || null, autocomplete: "off", spellcheck: "false" });
    if (f.type === "checkbox") form.append(el("label", { class: "check" }, input, " ", f.title));
    else form.append(el("label", { for: id }, f.title, input));
    f.input = input;
  }
  let later;
  form.addEventListener("input", () => { clearTimeout(later); later = setTimeout(changed, 150); });
  return {
    form,
    values: () => Object.fromEntries(fields.map((f) => [f.name, f.type === "checkbox" ? f.input.checked : f.input.value.trim()])),
    set: (values) => fields.forEach((f) => { if (f.type === "checkbox") f.input.checked = Boolean(values[f.name]); else f.input.value = values[f.name] || ""; }),
    fill: () => fields.filter((f) => f.options).forEach((f) => {
      const old = f.input.value;
      f.input.replaceChildren(...f.options().map(([v, t]) => el("option", { value: v }, t)));
      f.input.value = old;
      if (f.input.selectedIndex < 0) f.input.selectedIndex = 0;
    }),
  };
}

const pipelines = (page) => () => [["", "all"], ...page.plan.pipelines.map((p) => [p.name, p.name])];
const outbounds = (page) => () => [["", "all"], ...Object.values(page.plan.components).filter((c) => c.section === "outbound").map((c) => [c.id, c.name]).sort()];

export function connectionsView(page) {
  const limit = 50;
  let offset = 0, sort = "-since", ticks = 0;
  const f = filters([
    { form: "c", name: "pipeline", title: "Pipeline", options: pipelines(page) },
    { form: "c", name: "network", title: "Network", options: () => [["", "all"], ["tcp", "TCP"], ["udp", "UDP"]] },
    { form: "c", name: "outbound", title: "Outbound", options: outbounds(page) },
    { form: "c", name: "user", title: "User" },
    { form: "c", name: "text", title: "Client or target", hint: "part of an address" },
  ], () => { offset = 0; load(); });
  const { at, body } = box("connections", "Connections", f.form);
  const load = fetching(body, async () => {
    const answer = await api(query("connections", { ...f.values(), sort, limit, offset }));
    const list = answer.connections || [];
    if (offset >= answer.total && offset > 0) { offset = Math.max(0, Math.floor((answer.total - 1) / limit) * limit); return load(); }
    const cut = page.status.write ? (c) => page.change(api("connections/" + c.id, "DELETE"), `connection ${c.id} was cut`).then(load) : null;
    const to = Math.min(answer.total, offset + list.length);
    replace(body,
      connectionTable(list, { caption: answer.total ? `${count(offset + 1)} to ${count(to)} of ${many(answer.total, "live connection")}` : "no live connections", sort, onSort: (s) => { sort = s; offset = 0; load(); }, cut }),
      el("p", { class: "pages" },
        el("button", { type: "button", disabled: offset === 0, click: () => { offset = Math.max(0, offset - limit); load(); } }, "← Earlier page"),
        el("button", { type: "button", disabled: to >= answer.total, click: () => { offset += limit; load(); } }, "Next page →")));
  });
  return { title: "Connections", id: "connections", at, show: (filter) => { f.fill(); if (filter) { f.set(filter); offset = 0; } load(); }, tick: () => { if (ticks++ % 2 === 0) load(); } };
}

export function journeysView(page) {
  const most = 200;
  let list = [], last = 0, serial = 0;
  const f = filters([
    { form: "j", name: "pipeline", title: "Pipeline", options: pipelines(page) },
    { form: "j", name: "outbound", title: "Outbound", options: outbounds(page) },
    { form: "j", name: "user", title: "User" },
    { form: "j", name: "failed", title: "failed only", type: "checkbox" },
  ], () => { serial++; list = []; last = 0; body.replaceChildren(); load(); });
  const { at, body } = box("journeys", "Journeys", el("p", { class: "help" }, "Connections that have ended, with each step on their way. All failures and the slowest are kept, and some of the rest."), f.form);
  const load = fetching(body, async () => {
    const mine = serial;
    const fresh = await api(query("journeys", { ...f.values(), after: last, limit: 100 })) || [];
    if (mine !== serial) return load();
    if (!fresh.length && body.firstChild) return;
    const first = !body.querySelector(".journeys");
    list = [...list, ...fresh].slice(-most);
    last = list.at(-1)?.number || last;
    if (first) { replace(body, journeyTable([...list].reverse(), "Journeys, the latest first")); return; }
    const box = body.querySelector(".journeys"); // open ones stay open: new ones are put before them
    box.prepend(...journeyTable([...fresh].reverse(), "").children);
    while (box.children.length > most) box.lastChild.remove();
  });
  return { title: "Journeys", id: "journeys", at, show: (filter) => { f.fill(); if (filter) { f.set(filter); serial++; list = []; last = 0; body.replaceChildren(); } load(); }, tick: () => load() };
}

export function usersView(page) {
  const { at, body } = box("users", "Users");
  let ticks = 0;
  const load = fetching(body, async () => {
    const list = await api("users") || [];
    if (!list.length) return replace(body, el("p", { class: "empty" }, page.status.users ? "No users yet." : "Names of users are not shown: [admin] has no users = true."));
    replace(body, table("Users", [
      { title: "User", cell: (u) => el("b", {}, u.name) },
      { title: "Connections", class: "number", cell: (u) => count(u.connections) },
      { title: "Up", class: "number", cell: (u) => size(u.up) },
      { title: "Down", class: "number", cell: (u) => size(u.down) },
      { title: "Quota", cell: quota },
      { title: "Last seen", cell: (u) => u.connections ? "now" : ago(u.last_seen) },
    ], list, { key: (u) => u.name }));
  });
  return { title: "Users", id: "users", at, show: load, tick: () => { if (ticks++ % 3 === 0) load(); } };
}

function quota(u) {
  if (!u.quota) return "no quota";
  const part = Math.min(1, u.used / u.quota);
  const bar = el("i");
  bar.style.width = part * 100 + "%";
  const text = `${size(u.used)} of ${size(u.quota)}`;
  return el("span", { class: "quota" + (part >= 1 ? " full" : part > 0.8 ? " near" : "") }, text,
    el("span", { class: "meter", role: "meter", "aria-label": `quota of ${u.name}`, "aria-valuemin": "0", "aria-valuemax": "100", "aria-valuenow": Math.round(part * 100), "aria-valuetext": text }, bar),
    u.resets ? el("small", {}, "until " + clock(u.resets)) : "");
}

export function bansView(page) {
  const { at, body } = box("bans", "Bans");
  let ticks = 0;
  const load = fetching(body, async () => {
    const list = await api("bans") || [];
    const lift = (b) => page.change(api(query("bans", { policy: b.policy, client: b.client }), "DELETE"), `${b.client} is banned no longer`).then(load);
    replace(body, table(list.length ? many(list.length, "client is", "clients are") + " banned" : "Bans", [
      { title: "Client", cell: (b) => el("b", { class: "mono" }, b.client) },
      { title: "Why", cell: (b) => b.failures },
      { title: "Policy", cell: (b) => b.policy },
      { title: "Since", cell: (b) => ago(b.since) },
      { title: "Ends", cell: (b) => "in " + took(Math.max(0, Date.parse(b.until) - Date.now())) },
      { title: "Times", class: "number", cell: (b) => count(b.times) },
      { title: "Refused", class: "number", cell: (b) => count(b.refused) },
      ...(page.status.write ? [{ title: "Lift", cell: (b) => el("button", { type: "button", class: "lift", "aria-label": `Lift the ban of ${b.client}`, click: () => lift(b) }, "Lift") }] : []),
    ], list, { empty: "Nobody is banned.", key: (b) => b.client }));
  });
  return { title: "Bans", id: "bans", at, show: load, tick: () => { if (ticks++ % 2 === 0) load(); } };
}

export function reloadsView(page) {
  const act = el("p", { class: "actions" });
  const { at, body } = box("reloads", "Reloads", act);
  const compare = async () => {
    try {
      const change = await api("reload/compare", "POST");
      page.panel.confirm("Reload " + page.status.file, changes(change), "Apply", () => page.change(api("reload", "POST", { digest: change.digest, by: "page" }), "the file was read anew").then(load));
    } catch (error) { page.panel.show("This file can't be served", el("p", { class: "error mistakes" }, error.message)); }
  };
  const load = fetching(body, async () => {
    const list = await api("reloads") || [];
    replace(body, table("Reloads, the latest first", [
      { title: "When", cell: (r) => clock(r.time) },
      { title: "By", cell: (r) => r.by },
      { title: "Result", cell: (r) => r.mistakes?.length ? el("span", { class: "badge bad" }, "refused") : el("span", { class: "badge ok" }, "file " + r.generation) },
      { title: "What changed", cell: (r) => r.mistakes?.length ? el("span", { class: "error mistakes" }, r.mistakes.join("\n")) : r.change ? changes(r.change) : "the first file" },
    ], [...list].sort((a, b) => Date.parse(b.time) - Date.parse(a.time))));
  });
  const show = () => {
    act.replaceChildren(page.status.write ? el("button", { type: "button", class: "primary", click: compare }, "Reload…") : el("span", { class: "help" }, "Read only: [admin] has no write = true."));
    load();
  };
  return { title: "Reloads", id: "reloads", at, show, tick: () => {} };
}

// changes lists what differs between two files.
function changes(c) {
  const lists = [
    ["opens", c.opened, "ok"], ["closes", c.closed, "bad"], ["adds", c.added, "ok"], ["removes", c.removed, "bad"],
    ["changes", c.changed?.map((d) => d.options?.length ? `${d.id}: ${d.options.join(", ")}` : d.id), "trouble"], ["keeps", c.kept, ""], ["warns", c.warnings, "trouble"],
  ].filter(([, list]) => list?.length);
  const differs = lists.some(([name]) => name !== "keeps" && name !== "warns");
  return el("div", { class: "changes" }, !differs && el("p", {}, "Nothing changes."),
    el("ul", {}, lists.flatMap(([name, list, look]) => list.map((x) => el("li", {}, el("span", { class: "badge " + look }, name), " ", x)))));
}

export function logView() {
  const text = el("pre", { class: "log", tabindex: "0", "aria-label": "The last lines of the log" });
  const { at, body } = box("log", "Log");
  const load = fetching(body, async () => {
    const { lines } = await api("log?lines=200");
    if (!body.contains(text)) body.replaceChildren(text);
    const atEnd = text.scrollHeight - text.scrollTop - text.clientHeight < 40;
    const all = (lines || []).map((l) => el("span", { class: /level=(ERROR|WARN)|"level":"(ERROR|WARN)"| (ERROR|WARN) /.exec(l)?.[0].includes("ERROR") ? "bad" : /WARN/.test(l) ? "trouble" : null }, l + "\n"));
    if (text.textContent !== (lines || []).join("\n") + "\n") text.replaceChildren(...all);
    if (atEnd) text.scrollTop = text.scrollHeight;
  });
  let ticks = 0;
  return { title: "Log", id: "log", at, show: load, tick: () => { if (ticks++ % 2 === 0) load(); } };
}
