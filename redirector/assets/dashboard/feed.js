// What the server tells: the last quarter of an hour, then sample by sample. Comes back by itself.

import { label } from "./format.js";

const POINTS = 900;
const COLUMNS = ["in_bytes", "out_bytes", "in_packets", "out_packets", "connections", "live"];

export class Feed extends EventTarget {
  at = [];
  total = empty(0);
  /** By label. */
  rules = new Map();
  sample = null;
  status = null;
  #source = null;
  #waiting = [];
  #ready = false;

  start() {
    this.#source = new EventSource("/api/v1/events");
    this.#source.addEventListener("open", () => this.#catchUp());
    this.#source.addEventListener("status", (event) => {
      this.status = JSON.parse(event.data);
      this.#tell("status");
    });
    this.#source.addEventListener("sample", (event) => this.#take(JSON.parse(event.data)));
    this.#source.addEventListener("error", () => {
      this.#ready = false;
      this.#tell("lost");
      if (this.#source.readyState === EventSource.CLOSED) this.#again();
    });
  }

  /** The browser gives up where the answer was an error; we do not. */
  #again() {
    setTimeout(async () => {
      const answer = await fetch("/api/v1/status").catch(() => null);
      if (answer?.status === 401) location.assign("/login");
      else this.start();
    }, 2000);
  }

  async #catchUp() {
    try {
      const answer = await fetch("/api/v1/history");
      if (!answer.ok) throw new Error(answer.statusText);
      const past = await answer.json();
      this.at = past.at;
      this.total = pick(past.total);
      this.rules = new Map(past.rules.map((rule) => [rule.label, pick(rule)]));
    } catch {
      // The samples to come still are.
    }
    this.#ready = true;
    const waiting = this.#waiting.splice(0);
    waiting.forEach((sample) => this.#take(sample));
  }

  #take(sample) {
    if (!this.#ready) {
      this.#waiting.push(sample);
      this.#waiting.splice(0, this.#waiting.length - 30);
      return;
    }
    this.sample = sample;
    const last = this.at.at(-1) ?? -Infinity;
    if (sample.at > last) this.#push(sample);
    // The host's clock was set back: the server tells the times by the new one.
    else if (sample.at < last - 1) this.#catchUp();
    this.#tell("sample");
  }

  #push(sample) {
    this.at.push(sample.at);
    append(this.total, sample.loaded ? sample.total : null);
    const told = new Map((sample.stats?.rules ?? []).map((rule) => [label(rule), rule]));
    for (const name of told.keys()) {
      if (!this.rules.has(name)) this.rules.set(name, empty(this.at.length - 1));
    }
    for (const [name, columns] of this.rules) append(columns, told.get(name) ?? null);
    while (this.at.length > POINTS) {
      this.at.shift();
      for (const columns of [this.total, ...this.rules.values()]) COLUMNS.forEach((column) => columns[column].shift());
    }
    if (this.rules.size > 64) {
      for (const [name, columns] of this.rules) {
        if (!told.has(name) && columns.in_packets.every((value) => !value)) this.rules.delete(name);
      }
    }
  }

  #tell(what) {
    this.dispatchEvent(new Event(what));
  }
}

const empty = (length) => Object.fromEntries(COLUMNS.map((column) => [column, Array(length).fill(null)]));
const pick = (from) => Object.fromEntries(COLUMNS.map((column) => [column, from[column]]));
const append = (columns, now) => {
  const rate = now?.rate;
  const values = [rate?.in.bytes, rate?.out.bytes, rate?.in.packets, rate?.out.packets, rate?.connections, now?.live];
  COLUMNS.forEach((column, at) => columns[column].push(values[at] ?? null));
};
