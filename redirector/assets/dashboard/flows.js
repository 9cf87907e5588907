// Flows are many, so they are read when somebody asks.

import { age, element, say, whole } from "./format.js";

const SHOWN = 200;
const HEAD = ["Client", "Address", "To", "State", "Age"];

const $ = (id) => document.getElementById(id);
const socket = (address, port) => (address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`);

export class Flows {
  constructor() {
    $("flows-read").addEventListener("click", () => this.read());
  }

  async read() {
    $("flows-read").disabled = true;
    say($("flows-shown"), "reading");
    try {
      const answer = await fetch("/api/v1/flows");
      const document = await answer.json();
      if (!answer.ok) throw new Error(document.error);
      this.show(document.flows);
    } catch (error) {
      say($("flows-shown"), error.message);
    }
    $("flows-read").disabled = false;
  }

  show(flows) {
    const young = flows.slice(-SHOWN).reverse();
    say($("flows-shown"), `${whole(flows.length)} flows${flows.length > SHOWN ? `, the ${SHOWN} youngest shown` : ""}`);
    const rows = young.map((flow) => {
      const client = socket(flow.client.address, flow.client.port) + (flow.client.moved_to ? ` as ${flow.client.moved_to}` : "");
      const cells = [`${socket(flow.address, flow.from)}/${flow.protocol}`, flow.to, flow.state, age(flow.age_seconds)];
      return element("tr", {}, element("th", { scope: "row" }, client), ...cells.map((text) => element("td", {}, String(text))));
    });
    $("flow-table").replaceChildren(
      element("caption", { class: "unseen" }, "Flows, the youngest first"),
      element("thead", {}, element("tr", {}, ...HEAD.map((name) => element("th", { scope: "col" }, name)))),
      element("tbody", {}, ...rows));
  }
}
