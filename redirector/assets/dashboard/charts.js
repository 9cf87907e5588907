// Lines over time: all rules together as an area, the busiest as lines.

import { clock, element, say, short } from "./format.js";

const LINES = 6;
/** Points of a line: more would only be noise. */
const POINTS = 180;
/** Seconds between two times at the axis. */
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 180, 300, 600];

/** A rule has one colour in every chart, as long as it is shown in one. */
const colors = new Map();

function color(name, shown) {
  if (!colors.has(name)) {
    for (const [other, at] of colors) if (!shown.has(other)) colors.delete(other);
    const free = [...Array(2 * LINES).keys()].find((at) => ![...colors.values()].includes(at));
    colors.set(name, free % LINES);
  }
  return colors.get(name);
}

const charts = [];

export class Chart {
  /** `value(columns, at)` is what is drawn of a moment. */
  constructor(card, feed, name, unit, value) {
    Object.assign(this, { card, feed, name, unit, value });
    this.box = card.querySelector(".chart");
    this.legend = card.querySelector(".legend");
    this.table = card.querySelector("details");
    this.shown = [];
    charts.push(this);
    this.seconds = 900;
    this.box.setAttribute("role", "img");
    this.box.setAttribute("aria-label", `${name}, no data yet`);
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(this.box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.rebuild());
    this.table.addEventListener("toggle", () => this.tell());
  }

  show(unit, value) {
    Object.assign(this, { unit, value });
    this.rebuild();
  }

  size() {
    return { width: this.box.clientWidth, height: this.box.clientHeight };
  }

  draw() {
    const from = this.first();
    const busiest = this.busiest(from);
    if (!this.plot || busiest.join("\n") !== this.shown.join("\n")) {
      this.shown = busiest;
      this.rebuild();
      return;
    }
    this.plot.setData(this.data(from));
    this.caption(null);
    this.tell();
  }

  first() {
    const { at } = this.feed;
    const since = (at.at(-1) ?? 0) - this.seconds;
    const first = at.findIndex((time) => time >= since);
    return Math.max(0, first);
  }

  /** Keeps its order while nobody new is among them, so that no colour changes without a reason. */
  busiest(from) {
    const weigh = ([name, columns]) => {
      let sum = 0;
      for (let at = from; at < this.feed.at.length; at += 1) sum += this.value(columns, at) ?? 0;
      return [name, sum];
    };
    const weighed = [...this.feed.rules].map(weigh).sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
    const names = weighed.slice(0, LINES).map(([name]) => name);
    const kept = this.shown.filter((name) => names.includes(name));
    return [...kept, ...names.filter((name) => !kept.includes(name))];
  }

  /** Means of stretches that begin at whole multiples of their length, so that what is drawn stays as it is. */
  data(from) {
    const { at: times, total, rules } = this.feed;
    const length = Math.max(1, Math.round(this.seconds / POINTS));
    const stretches = [];
    for (let at = from; at < times.length; at += 1) {
      if (at === from || Math.floor(times[at] / length) !== Math.floor(times[at - 1] / length)) stretches.push([]);
      stretches.at(-1).push(at);
    }
    const line = (columns) => stretches.map((stretch) => (columns ? mean(stretch.map((at) => this.value(columns, at))) : null));
    return [stretches.map((stretch) => times[stretch.at(-1)]), line(total), ...this.shown.map((name) => line(rules.get(name)))];
  }

  rebuild() {
    this.plot?.destroy();
    const shown = new Set(charts.flatMap((chart) => chart.shown));
    const colors = this.shown.map((name) => color(name, shown));
    const style = getComputedStyle(document.documentElement);
    const paint = (name) => style.getPropertyValue(name).trim();
    const axis = { stroke: paint("--quiet"), grid: { stroke: paint("--grid"), width: 1 }, ticks: { show: false }, font: "12px Inter, system-ui, sans-serif" };
    const options = {
      ...this.size(),
      padding: [8, 8, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
      scales: { y: { range: (_, __, max) => [0, Math.max(max * 1.12, 1)] } },
      axes: [
        { ...axis, space: 56, size: 32, incrs: STEPS, values: (_, splits) => splits.map((at) => (Number.isInteger(at / 60) ? clock(at).slice(0, 5) : clock(at))) },
        { ...axis, size: 64, values: (_, splits) => splits.map((value) => short(value)) },
      ],
      series: [
        {},
        { stroke: paint("--quiet"), width: 1, fill: paint("--area"), points: { show: false } },
        ...colors.map((at) => ({ stroke: paint(`--series-${at}`), width: 2, points: { show: false } })),
      ],
      hooks: { setCursor: [(plot) => this.caption(plot.cursor.idx)] },
    };
    this.plot = new uPlot(options, this.data(this.first()), this.box);
    this.legend.replaceChildren(
      this.entry("total", "all rules"),
      ...this.shown.map((name, at) => this.entry(`s${colors[at]}`, name)),
    );
    this.when = element("li", { class: "quiet" });
    this.legend.append(this.when);
    this.caption(null);
    this.tell();
  }

  entry(swatch, name) {
    return element("li", {}, element("i", { class: `swatch ${swatch}` }), element("span", {}, name), element("b"));
  }

  /** The values of a moment; without one those of now. */
  caption(index) {
    if (!this.plot || !this.when) return;
    const [times, ...lines] = this.plot.data;
    const at = index ?? times.length - 1;
    [...this.legend.querySelectorAll("b")].forEach((node, line) => say(node, short(lines[line]?.[at] ?? null, this.unit)));
    say(this.when, index === null || index === undefined ? "" : `at ${clock(times[at])}`);
  }

  /** The same for those who do not see it. */
  tell() {
    const lines = this.plot?.data ?? [[]];
    const last = lines[0].length - 1;
    const now = this.shown.slice(0, 3).map((name, at) => `${name} ${short(lines[at + 2]?.[last] ?? null, this.unit)}`);
    const all = short(lines[1]?.[last] ?? null, this.unit);
    this.box.setAttribute("aria-label", `${this.name}: now ${all}${now.length ? `; ${now.join(", ")}` : ""}`);
    if (this.table.open) this.table.querySelector("div").replaceChildren(this.minutes(lines));
  }

  minutes([times, ...lines]) {
    const rows = new Map();
    times.forEach((time, at) => {
      const minute = Math.floor(time / 60);
      if (!rows.has(minute)) rows.set(minute, lines.map(() => [0, 0]));
      lines.forEach((line, column) => {
        if (line[at] === null || line[at] === undefined) return;
        const cell = rows.get(minute)[column];
        cell[0] += line[at];
        cell[1] += 1;
      });
    });
    const head = element("tr", {}, ...["Minute", "All rules", ...this.shown].map((name) => element("th", { scope: "col" }, name)));
    const body = [...rows].reverse().map(([minute, cells]) =>
      element("tr", {}, element("th", { scope: "row" }, clock(minute * 60).slice(0, 5)),
        ...cells.map(([sum, count]) => element("td", {}, short(count ? sum / count : null, this.unit)))));
    return element("table", {}, element("caption", { class: "unseen" }, `${this.name}, mean of each minute`), element("thead", {}, head), element("tbody", {}, ...body));
  }
}

/** Of what is known. */
function mean(values) {
  const known = values.filter((value) => value !== null && value !== undefined);
  return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
}
