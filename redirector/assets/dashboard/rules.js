// The table of rules. The server tells of the busiest; a search asks for all.

import { drawSpark, element, label, say, short, spark, whole } from "./format.js";

const COLUMNS = [
  ["Rule", (row) => row.label],
  ["In", (row) => row.rate?.in.bytes * 8, "bit/s"],
  ["Out", (row) => row.rate?.out.bytes * 8, "bit/s"],
  ["Packets", (row) => row.rate && row.rate.in.packets + row.rate.out.packets, "/s"],
  ["New", (row) => row.rate?.connections, "/s"],
  ["Live", (row) => row.live],
  ["Connections", (row) => row.connections],
  ["Packets", (row) => row.in.packets + row.out.packets],
  ["Bytes", (row) => row.in.bytes + row.out.bytes, "B"],
  ["Unanswered", (row) => row.unanswered_syns],
  ["Resets", (row) => row.in.resets + row.out.resets],
];
const TREND = 1;
const SHOWN = 100;
const SEARCH_EVERY = 3000;

const $ = (id) => document.getElementById(id);

export class Rules {
  constructor(feed) {
    this.feed = feed;
    this.sort = null;
    this.down = true;
    this.found = null;
    this.asked = 0;
    this.table = $("rule-table");
    this.head = COLUMNS.map(([name, , unit], at) => {
      const button = element("button", { type: "button" }, unit && unit !== "B" ? `${name} ${unit}` : name);
      button.addEventListener("click", () => this.order(at));
      return element("th", { scope: "col" }, button);
    });
    const head = [...this.head];
    head.splice(TREND, 0, element("th", { scope: "col", class: "left" }, "Trend"));
    this.body = element("tbody");
    this.table.append(element("caption", { class: "unseen" }, "Rules"), element("thead", {}, element("tr", {}, ...head)), this.body);
    $("filter").addEventListener("input", () => {
      this.asked = 0;
      this.draw();
    });
  }

  order(at) {
    if (this.sort === at) this.down = !this.down;
    else [this.sort, this.down] = [at, at > 0];
    this.head.forEach((cell, index) => {
      if (index === at) cell.setAttribute("aria-sort", this.down ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    });
    this.draw();
  }

  draw() {
    const { sample } = this.feed;
    if (!sample?.loaded) return;
    const told = sample.stats.rules.map((rule) => ({ ...rule, label: label(rule) }));
    const wanted = $("filter").value.trim().toLowerCase();
    const isPart = told.length < sample.rules_total;
    let rows = told;
    if (wanted) {
      if (isPart) this.search();
      if (isPart && this.found) {
        const rates = new Map(told.map((row) => [row.label, row]));
        rows = this.found.map((row) => rates.get(row.label) ?? row);
      }
      rows = rows.filter((row) => row.label.toLowerCase().includes(wanted));
    }
    const matching = rows.length;
    if (this.sort !== null) {
      const [, value] = COLUMNS[this.sort];
      const sign = this.down ? -1 : 1;
      rows = [...rows].sort((a, b) => sign * compare(value(a), value(b)));
    }
    rows = rows.slice(0, SHOWN);
    const all = `${whole(sample.rules_total)} rules`;
    if (wanted) say($("shown"), `${whole(matching)} of ${all}${matching > SHOWN ? `, the first ${SHOWN} shown` : ""}`);
    else say($("shown"), isPart ? `the ${told.length} busiest of ${all}; a search finds any` : all);
    this.fill(rows, wanted);
  }

  fill(rows, wanted) {
    const places = new Map([...this.body.children].map((row) => [row.dataset.label, row]));
    const shown = rows.map((row) => this.row(places.get(row.label), row));
    if (shown.length === 0) {
      const none = wanted ? "No rule has this in it." : "There are no rules.";
      shown.push(element("tr", {}, element("td", { class: "none", colspan: COLUMNS.length + 1 }, none)));
    }
    const isSame = shown.length === this.body.children.length && shown.every((row, at) => row === this.body.children[at]);
    if (!isSame) this.body.replaceChildren(...shown);
  }

  /** Made once and then changed, so that what is selected or focused stays. */
  row(made, row) {
    if (!made) {
      const cells = COLUMNS.map((_, at) => (at ? element("td") : element("th", { scope: "row" }, row.label)));
      cells.splice(TREND, 0, element("td", { class: "left" }, spark(`Traffic of ${row.label}`)));
      made = element("tr", { "data-label": row.label }, ...cells);
    }
    const cells = [...made.children].filter((_, at) => at !== TREND);
    COLUMNS.forEach(([, value, unit], at) => {
      if (at === 0) return;
      const number = value(row);
      say(cells[at], unit ? short(number, unit === "B" ? "B" : "") : whole(number));
      cells[at].classList.toggle("zero", !number);
    });
    const past = this.feed.rules.get(row.label);
    if (past) {
      const from = Math.max(0, past.in_bytes.length - 300);
      drawSpark(made.children[TREND].firstChild, past.in_bytes.slice(from).map((value, at) => value + past.out_bytes[from + at]));
    }
    return made;
  }

  async search() {
    if (Date.now() - this.asked < SEARCH_EVERY) return;
    this.asked = Date.now();
    const answer = await fetch("/api/v1/stats").catch(() => null);
    if (!answer?.ok) return;
    const document = await answer.json();
    this.found = document.rules.map((rule) => ({ ...rule, label: label(rule) }));
    this.draw();
  }
}

function compare(a, b) {
  if (typeof a === "string") return a.localeCompare(b, "en", { numeric: true });
  return (a ?? -1) - (b ?? -1);
}
