// The page: what the feed tells, shown. Paused, it goes on collecting.

import { Chart } from "./charts.js";
import { Feed } from "./feed.js";
import { Flows } from "./flows.js";
import { age, say, short } from "./format.js";
import { histograms, interfaces, listeners, skipped, Tiles } from "./panels.js";
import { Rules } from "./rules.js";

const $ = (id) => document.getElementById(id);

const bits = (columns, at) => sum(columns.in_bytes[at], columns.out_bytes[at], 8);
const packets = (columns, at) => sum(columns.in_packets[at], columns.out_packets[at], 1);
const sum = (a, b, times) => (a === null || b === null ? null : (a + b) * times);

const feed = new Feed();
const tiles = new Tiles($("tiles"), feed);
const traffic = new Chart($("traffic"), feed, "Traffic per rule", "bit/s", bits);
const connections = new Chart($("connections"), feed, "Connections per rule", "/s", (columns, at) => columns.connections[at]);
const rules = new Rules(feed);
new Flows();

let paused = false;
let told = 0;

function badge(kind, text) {
  $("state").className = `badge ${kind}`;
  say($("state"), text);
}

function state() {
  const { status, sample } = feed;
  if (!sample) return;
  if (!sample.loaded) {
    badge("bad", "not loaded");
  } else {
    const detached = (status?.interfaces ?? []).filter((each) => !each.attached).length;
    badge(detached ? "warn" : "good", detached ? `${detached} not attached` : "loaded");
  }
  const name = sample.name ?? sample.stats?.name ?? "";
  say($("name"), name);
  document.title = `redirector ${name}`;
  say($("since"), sample.loaded && status?.since ? `for ${age(sample.at - status.since)}` : "");
}

function draw() {
  const { sample } = feed;
  $("nothing").hidden = sample.loaded;
  for (const id of ["rules", "histograms", "skipped", "flows"]) $(id).hidden = !sample.loaded;
  if (!sample.loaded) say($("reason"), sample.reason);
  tiles.draw();
  traffic.draw();
  connections.draw();
  if (!sample.loaded) {
    $("listeners").hidden = true;
    return;
  }
  rules.draw();
  histograms($("histograms"), sample.stats.histograms);
  skipped($("skipped"), sample);
  listeners($("listeners"), sample.stats);
}

/** Once a minute, for those who listen instead of looking. */
function tell() {
  const { sample } = feed;
  if (!sample.loaded || Math.abs(sample.at - told) < 60) return;
  told = sample.at;
  const { rate, live } = sample.total;
  if (!rate) return;
  say($("summary"), `In ${short(rate.in.bytes * 8, "bit/s")}, out ${short(rate.out.bytes * 8, "bit/s")}, ${short(rate.connections)} new connections a second, ${live} live, ${sample.rules_total} rules.`);
}

feed.addEventListener("sample", () => {
  state();
  if (paused) return;
  draw();
  tell();
  document.body.dataset.at = feed.sample.at;
});
feed.addEventListener("status", () => {
  interfaces($("interfaces"), feed.status);
  state();
});
feed.addEventListener("lost", () => badge("bad", "dashboard out of reach, trying again"));

$("pause").addEventListener("click", () => {
  paused = !paused;
  $("pause").setAttribute("aria-pressed", paused);
  say($("pause"), paused ? "Go on" : "Pause");
  if (!paused && feed.sample) draw();
});
$("window").addEventListener("change", (event) => {
  for (const chart of [traffic, connections]) {
    chart.seconds = Number(event.target.value);
    chart.draw();
  }
});
$("traffic").addEventListener("change", (event) => {
  if (event.target.value === "bits") traffic.show("bit/s", bits);
  else traffic.show("packets/s", packets);
});
$("connections").addEventListener("change", (event) => {
  if (event.target.value === "new") connections.show("/s", (columns, at) => columns.connections[at]);
  else connections.show("", (columns, at) => columns.live[at]);
});

feed.start();
