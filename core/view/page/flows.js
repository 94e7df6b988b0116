// Keeps what the last snapshots said: rates from the differences of counters, and a history for the charts.

const kept = 300; // seconds of history

export class Flows {
  constructor() { this.last = null; this.rates = new Map(); this.history = []; this.placed = new Map(); }

  // plan takes another plan: in how many places each component stands.
  plan(plan) {
    this.placed.clear();
    const walk = (stages) => stages.forEach((s) => {
      this.placed.set(s.component, (this.placed.get(s.component) || 0) + 1);
      s.branches?.forEach((b) => walk(b.stages));
    });
    plan.pipelines.forEach((p) => walk(p.stages));
  }

  // gap forgets the last snapshot, after a pause of the stream: no rate spans it.
  gap() {
    this.last = null;
    this.rates.clear();
    if (this.history.length) this.history.push({ time: Date.now() / 1000, pipelines: new Map() });
  }

  // take takes a snapshot.
  take(snapshot) {
    const seconds = this.last ? (Date.parse(snapshot.time) - Date.parse(this.last.time)) / 1000 : 0;
    const rates = new Map();
    const add = (key, now, before) => {
      if (!before || seconds <= 0) return;
      const old = this.rates.get(key);
      const next = (field) => {
        const fresh = Math.max(0, now[field] - before[field]) / seconds;
        const mixed = old ? old[field] * 0.4 + fresh * 0.6 : fresh;
        return mixed < 1 ? 0 : mixed;
      };
      rates.set(key, { up: next("up"), down: next("down") });
    };
    for (const p of snapshot.pipelines) add("p " + p.name, p, this.last?.pipelines.find((x) => x.name === p.name));
    for (const [id, c] of Object.entries(snapshot.components)) add("c " + id, c, this.last?.components[id]);
    this.rates = rates;
    this.last = snapshot;
    const point = { time: Date.parse(snapshot.time) / 1000, pipelines: new Map() };
    for (const p of snapshot.pipelines) {
      const r = rates.get("p " + p.name);
      point.pipelines.set(p.name, { rate: r ? r.up + r.down : null, connections: p.streams + p.associations });
    }
    this.history.push(point);
    while (this.history[0].time < point.time - kept) this.history.shift();
  }

  // flow returns what goes through a pipeline, or a branch of it, now. What an outbound carries is known for
  // all places together where it stands: a branch with one that stands elsewhere too has its part of what
  // comes to the branches, by what the outbounds beside it carry.
  flow(scope) {
    if (!scope.component) {
      const p = this.last.pipelines.find((x) => x.name === scope.pipeline), r = this.rates.get("p " + scope.pipeline);
      return { connections: p ? p.streams + p.associations : 0, upRate: r?.up || 0, downRate: r?.down || 0 };
    }
    const own = this.outbound(scope.component);
    if (!scope.within || (this.placed.get(scope.component) || 0) < 2) return own;
    const comes = this.flow(scope.within), beside = scope.beside.map((id) => this.outbound(id));
    const part = (field) => {
      const all = beside.reduce((n, f) => n + f[field], 0);
      return all > 0 ? Math.min(comes[field], (comes[field] * own[field]) / all) : 0;
    };
    const several = beside.filter((f) => f.connections > 0).length > 1;
    return { connections: Math.round(part("connections")), upRate: part("upRate"), downRate: part("downRate"), guessed: Boolean(comes.guessed) || several };
  }

  // outbound returns what an outbound carries, wherever it stands.
  outbound(id) {
    const r = this.rates.get("c " + id);
    return { connections: this.last.components[id]?.connections || 0, upRate: r?.up || 0, downRate: r?.down || 0 };
  }

  // state is what a drawing of a pipeline is kept current from.
  state(pipeline) {
    return {
      components: this.last.components,
      pipeline: this.last.pipelines.find((p) => p.name === pipeline),
      flow: (scope) => this.flow(scope),
    };
  }
}
