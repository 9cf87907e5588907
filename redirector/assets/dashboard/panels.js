// What is true now: tiles, distributions, who listens, what is attached, what was left alone.

import { drawSpark, duration, element, parts, say, short, spark, whole } from "./format.js";

export class Tiles {
  constructor(box, feed) {
    this.feed = feed;
    const past = (key) => (columns) => columns[key].slice(-120);
    this.tiles = [
      tile("In", (s) => parts(s.rate?.in.bytes * 8, "bit/s"), (s) => `${short(s.rate?.in.packets)} packets/s`, past("in_bytes")),
      tile("Out", (s) => parts(s.rate?.out.bytes * 8, "bit/s"), (s) => `${short(s.rate?.out.packets)} packets/s`, past("out_bytes")),
      tile("New connections", (s) => parts(s.rate?.connections, "/s"), (s) => `${whole(s.connections)} since the load`, past("connections")),
      tile("Live", (s) => [whole(s.live), ""], () => "TCP and UDP", past("live")),
      tile("SYNs unanswered", (s) => [whole(s.unanswered_syns), ""], (s) => `of ${whole(s.syns)}`),
      tile("Resets", (s) => [whole(s.in.resets + s.out.resets), ""], (s) => `${whole(s.in.icmp_errors + s.out.icmp_errors)} ICMP errors`),
    ];
    box.replaceChildren(...this.tiles.map((each) => each.card));
  }

  draw() {
    const { sample, total } = this.feed;
    for (const each of this.tiles) {
      const [number, unit] = sample.loaded ? each.value(sample.total) : ["–", ""];
      say(each.number, number);
      say(each.unit, unit);
      say(each.sub, sample.loaded ? each.more(sample.total) : "not loaded");
      if (each.line) drawSpark(each.line, each.past(total));
    }
  }
}

function tile(name, value, more, past) {
  const number = element("span");
  const unit = element("small");
  const sub = element("p", { class: "sub" });
  const line = past ? spark() : null;
  const card = element("div", { class: "tile" }, element("h2", {}, name), element("p", { class: "value" }, number, " ", unit), sub, line);
  return { card, value, more, past, number, unit, sub, line };
}

const HISTOGRAMS = [
  ["syn_ack_delay", "SYN to SYN-ACK", "the application's answer", duration],
  ["ack_delay", "SYN-ACK to ACK", "the clients' round trip", duration],
  ["packet_size", "Packet size", "both directions", (bytes) => (bytes === null ? "more" : short(bytes, "B"))],
];

export function histograms(box, all) {
  HISTOGRAMS.forEach(([key, title, hint, name], index) => {
    const card = box.children[index] ?? box.appendChild(histogram(title, hint));
    drawHistogram(card, title, all[key], name);
  });
}

function histogram(title, hint) {
  const table = element("table");
  return element("article", { class: "card" },
    element("div", { class: "head" }, element("h2", {}, title), element("p", { class: "quiet" }, hint)),
    element("div", { class: "bars", role: "img" }),
    element("div", { class: "axis", "aria-hidden": "true" }, element("span"), element("b"), element("span")),
    element("details", {}, element("summary", {}, "As a table"), element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, table)));
}

function drawHistogram(card, title, { buckets, count }, name) {
  const bars = card.querySelector(".bars");
  const first = buckets.findIndex((bucket) => bucket.count > 0);
  const last = buckets.findLastIndex((bucket) => bucket.count > 0);
  // At least eight, so that a single bucket is not a wall.
  const from = Math.max(0, Math.min(first - 1, buckets.length - 8));
  const used = first < 0 ? [] : buckets.slice(from, Math.max(last + 2, from + 8));
  while (bars.children.length > used.length) bars.lastChild.remove();
  while (bars.children.length < used.length) bars.append(element("i"));
  const top = Math.max(...used.map((bucket) => bucket.count), 1);
  used.forEach((bucket, at) => {
    const bar = bars.children[at];
    bar.style.height = `${(bucket.count / top) * 100}%`;
    bar.className = bucket.count ? "some" : "";
    bar.title = `up to ${name(bucket.le)}: ${whole(bucket.count)}`;
  });
  const [low, middle, high] = card.querySelector(".axis").children;
  const half = quantile(buckets, count, 0.5);
  const most = quantile(buckets, count, 0.99);
  const words = count ? `half ≤ ${name(half)}, 99% ≤ ${name(most)}` : "nothing yet";
  say(low, used.length ? `≤ ${name(used[0].le)}` : "");
  say(middle, words);
  say(high, used.length ? (used.at(-1).le === null ? "more" : `≤ ${name(used.at(-1).le)}`) : "");
  bars.setAttribute("aria-label", `${title}: ${words}, of ${whole(count)}`);
  if (!card.querySelector("details").open) return;
  const rows = buckets.filter((bucket) => bucket.count).map((bucket) =>
    element("tr", {}, element("th", { scope: "row" }, bucket.le === null ? "more" : `≤ ${name(bucket.le)}`), element("td", {}, whole(bucket.count))));
  card.querySelector("table").replaceChildren(element("tbody", {}, ...rows));
}

function quantile(buckets, count, share) {
  let seen = 0;
  const found = buckets.find((bucket) => (seen += bucket.count) >= count * share);
  return found ? found.le : null;
}

export function skipped(card, sample) {
  const reasons = Object.entries(sample.stats.skipped).filter(([, packets]) => packets > 0).sort((a, b) => b[1] - a[1]);
  const most = Math.max(...reasons.map(([, packets]) => packets), 1);
  rows(card, "Left alone", "packets, by reason", "No packet was left alone.", reasons.map(([reason, packets]) => ({
    name: reason.replaceAll("_", " "),
    note: `${whole(packets)} · ${short(sample.skipped_per_second[reason] ?? 0)}/s`,
    share: packets / most,
  })));
}

export function interfaces(card, status) {
  rows(card, "Attached", "what is where", "Nothing is attached.", status.interfaces.map((each) => ({
    name: each.name,
    tag: each.hook ?? undefined,
    note: each.attached ? "attached" : each.ifindex === null ? "waited for" : "not attached",
    kind: each.attached ? "good" : "warn",
    more: [each.help, neighbours(each)].filter(Boolean).join("; "),
  })));
}

function neighbours({ neighbours: others }) {
  if (!others?.length) return "";
  return `beside ${others.map((each) => `${each.name ?? each.kind ?? "a program"} (${each.hook} ${each.direction})`).join(", ")}`;
}

/** Who listens behind the rules, and how full the queues are. Not there where the server may not look. */
export function listeners(card, stats) {
  card.hidden = !stats.listeners;
  if (!stats.listeners) return;
  const { namespace } = stats;
  rows(card, "Listeners", namespace ? `${whole(namespace.overflows)} overflows, ${whole(namespace.drops)} drops` : "", "Nobody listens on a target.", stats.listeners.map((each) => ({
    name: `${each.process ? `${each.process.name} (${each.process.pid})` : "a process"} on ${each.port}`,
    note: `${whole(each.depth)} of ${whole(each.backlog)} waiting${each.drops ? `, ${whole(each.drops)} dropped` : ""}`,
    share: each.depth / Math.max(1, each.backlog),
    full: each.depth >= each.backlog,
    kind: each.drops ? "bad" : undefined,
    more: each.hint ?? undefined,
  })));
}

function rows(card, title, hint, none, items) {
  const list = items.map((item) =>
    element("li", {},
      element("span", {}, item.name, " ", item.tag ? element("span", { class: "tag" }, item.tag) : null),
      element("small", { class: item.kind }, item.note),
      item.share === undefined ? null : meter(item),
      item.more ? element("small", { class: "wide" }, item.more) : null));
  const shown = JSON.stringify(items);
  if (card.dataset.shown === shown) return;
  card.dataset.shown = shown;
  card.replaceChildren(
    element("div", { class: "head" }, element("h2", {}, title), element("p", { class: "quiet" }, hint)),
    list.length ? element("ul", { class: "rows" }, ...list) : element("p", { class: "quiet" }, none));
}

function meter({ share, full }) {
  const bar = element("i");
  bar.style.width = `${Math.min(1, share) * 100}%`;
  return element("div", { class: full ? "meter full" : "meter", "aria-hidden": "true" }, bar);
}
