// Numbers as people read them, and elements.

const PREFIXES = ["", "k", "M", "G", "T", "P"];

/** Three digits that matter, with an SI prefix: [number, prefix and unit]. */
export function parts(value, unit = "") {
  if (value === null || value === undefined || Number.isNaN(value)) return ["–", unit];
  let power = 0;
  while (Math.abs(value) >= 999.5 && power < PREFIXES.length - 1) {
    value /= 1000;
    power += 1;
  }
  const digits = power === 0 && Number.isInteger(value) ? 0 : Math.abs(value) < 9.995 ? (power || value < 1 ? 2 : 1) : Math.abs(value) < 99.95 ? 1 : 0;
  let text = value.toFixed(digits);
  if (text.includes(".")) text = text.replace(/\.?0+$/, "");
  return [text, PREFIXES[power] + unit];
}

export function short(value, unit = "") {
  const [number, suffix] = parts(value, unit);
  return suffix ? `${number} ${suffix}`.trim() : number;
}

/** 1,234,567 */
export const whole = (value) => (value === null || value === undefined ? "–" : Math.round(value).toLocaleString("en"));

export function duration(seconds) {
  if (seconds === null) return "more";
  if (seconds < 1e-3) return `${short(seconds * 1e6)} µs`;
  if (seconds < 1) return `${short(seconds * 1e3)} ms`;
  return `${short(seconds)} s`;
}

export function age(seconds) {
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const at = units.findIndex(([, size]) => seconds >= size);
  if (at < 0) return "0 s";
  const [unit, size] = units[at];
  const rest = units[at + 1];
  const first = Math.floor(seconds / size);
  const second = rest ? Math.floor((seconds % size) / rest[1]) : 0;
  return `${first} ${unit}` + (second ? ` ${second} ${rest[0]}` : "");
}

export const clock = (at) => new Date(at * 1000).toLocaleTimeString("en-GB");

/** A rule as the command line writes it. */
export function label(rule) {
  const address = rule.address === null ? "" : rule.address.includes(":") ? `[${rule.address}]:` : `${rule.address}:`;
  const on = rule.interfaces ? ` on ${rule.interfaces.join(", ")}` : "";
  return `${address}${rule.from}:${rule.to}/${rule.protocol}${on}`;
}

/** An element with attributes and children; text is never HTML. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== null));
  return made;
}

/** Changes text only where it differs, which spares layout and screen readers. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const SVG = "http://www.w3.org/2000/svg";

export function spark(label) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "spark");
  svg.setAttribute("viewBox", "0 0 100 24");
  svg.setAttribute("preserveAspectRatio", "none");
  if (label) {
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", label);
  } else {
    svg.setAttribute("aria-hidden", "true");
  }
  for (const name of ["area", "line"]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", name);
    svg.append(path);
  }
  return svg;
}

/** At most 60 points: the largest of each stretch. */
export function drawSpark(svg, values) {
  const step = Math.max(1, Math.ceil(values.length / 60));
  const points = [];
  for (let at = values.length % step; at < values.length; at += step) {
    points.push(Math.max(0, ...values.slice(at, at + step).map((value) => value ?? 0)));
  }
  const top = Math.max(...points, 1e-9);
  const line = points.map((value, at) => `${((at * 100) / Math.max(1, points.length - 1)).toFixed(1)},${(23 - (value / top) * 21).toFixed(1)}`);
  const [area, stroke] = svg.children;
  stroke.setAttribute("d", line.length > 1 ? `M${line.join("L")}` : "");
  area.setAttribute("d", line.length > 1 ? `M0,24L${line.join("L")}L100,24Z` : "");
}
