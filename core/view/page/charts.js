// The lines of the last minutes, one for each pipeline.
import { el, rate, count } from "./format.js";

// Charts draws bytes a second and connections, by uPlot.
export class Charts {
  constructor(box) { this.box = box; this.plots = []; }

  // start takes the names of the pipelines.
  start(names) {
    this.names = names;
    this.stop();
    if (!globalThis.uPlot) return;
    this.box.hidden = false;
    const make = (title, value, text) => {
      const figure = el("figure", { class: "chart" }, el("figcaption", {}, title, legend(names)));
      this.box.append(figure);
      this.plots.push({ figure, value, plot: new uPlot(options(names, text, width(figure)), [[], ...names.map(() => [])], figure) });
      figure.querySelector("canvas").setAttribute("aria-hidden", "true");
    };
    make("Bytes a second, both ways", (p) => p?.rate ?? null, rate);
    make("Connections", (p) => p?.connections ?? null, count);
    this.watch = new ResizeObserver(() => this.plots.forEach(({ figure, plot }) => {
      if (width(figure) > 50 && width(figure) !== plot.width) plot.setSize({ width: width(figure), height: 150 });
    }));
    this.watch.observe(this.box);
  }

  stop() {
    this.watch?.disconnect();
    this.plots.forEach(({ plot }) => plot.destroy());
    this.plots = [];
    this.box.replaceChildren();
  }

  // update draws the history.
  update(history) {
    for (const { value, plot } of this.plots) {
      const end = history.at(-1).time;
      const start = Math.max(history[0].time, end - 300);
      plot.setData([history.map((h) => h.time), ...this.names.map((n) => history.map((h) => value(h.pipelines.get(n))))], false);
      plot.batch(() => {
        plot.setScale("x", { min: Math.min(start, end - 20), max: end });
        plot.setScale("y", { min: 0, max: Math.max(1, ...plot.data.slice(1).flat().filter((v) => v !== null)) * 1.15 });
      });
    }
  }
}

const width = (figure) => Math.floor(figure.clientWidth - 2);

// colour returns a colour of the style sheet as it is now.
function colour(name) {
  const probe = el("span", { class: name });
  document.body.append(probe);
  const c = getComputedStyle(probe).color;
  probe.remove();
  return c;
}

function legend(names) {
  return el("span", { class: "legend" }, names.map((n, i) => el("span", {}, el("i", { class: "line" + (i % 6) }), n)));
}

function options(names, text, wide) {
  const axis = { stroke: colour("ink-muted"), grid: { stroke: colour("ink-line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
  return {
    width: Math.max(200, wide), height: 150, legend: { show: false },
    cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
    padding: [10, 28, 0, 0],
    scales: { x: { time: true, auto: false }, y: { auto: false } },
    axes: [
      { ...axis, space: 90, size: 26, values: (u, at) => at.map((t) => new Date(t * 1000).toLocaleTimeString("en-GB")) },
      { ...axis, size: 74, space: 34, values: (u, at) => at.map((v) => v === 0 || Number.isInteger(v) || text !== count ? text(v) : "") },
    ],
    series: [{}, ...names.map((n, i) => ({ label: n, stroke: colour("line" + (i % 6)), width: 2, points: { show: false }, spanGaps: false }))],
  };
}
