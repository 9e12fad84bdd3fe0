// Readiness of the last 28 days, with what it is made of; and the check-in of a day, which it is computed from.

import { mine } from "./api.js";
import { DASH, element, facts, number } from "./charts.js";
import { confidence, part, rules } from "./explain.js";
import { failed } from "./page.js";
import { isKnown, said } from "./views.js";

const COMPONENTS = {
  hooper: "Hooper index",
  hrv: "Heart rate variability",
  performance: "Planned against done",
  resting_heart_rate: "Resting heart rate",
  sleep_hours: "Sleep",
  bodyweight: "Body mass",
};
const score = (value) => (isKnown(value) ? `${number(value, 0)} of 100` : DASH);

/** A component: its score, which is no value of its own scale; how much it counts, and why it is so. */
function component({ name, score: value, weight, reason }) {
  const title = element("strong", COMPONENTS[name] ?? name);
  const counts = element("span", `weight ${number(weight, 2)}`, { className: "note" });
  const line = part("p", [title, `: ${isKnown(value) ? `score ${score(value)}` : "no score"}, `, counts], {
    className: "head",
  });
  return part("li", [line, element("p", reason)]);
}

/** The view of a report of readiness; null where no day of it has a score. */
export function readinessView({ items, method }) {
  const known = items.filter((item) => isKnown(item.score));
  if (!known.length) return null;
  const last = items.at(-1);
  const days = items.map((item) => item.day);
  const list = element("dl", "", { className: "facts" });
  facts(list, [
    [`Readiness on ${said(last.day)}`, score(last.score)],
    ["Confidence", `${number(last.confidence, 2)} of 1`],
    ["Check-ins in the 28 days before", number(last.observed_days)],
  ]);
  const components = part("ul", last.components.map(component), { className: "components" });
  return {
    summary: `${said(last.day)}: ${isKnown(last.score) ? score(last.score) : "no score"}, ` +
      `${confidence(last.confidence)}. ${last.reason}`,
    parts: [list, element("h3", "What it is made of"), components, rules(method)],
    columns: [["Day", false, "day"], ["Score", true], ["Confidence", true], ["Hooper index (4 to 28)", true, "spare"], ["Why", false]],
    rows: items.toReversed().map((item) => [said(item.day), item.score, item.confidence, item.hooper, item.reason]),
    figure: (colour) => ({
      traces: [
        {
          type: "scatter", mode: "lines+markers", name: "Score", x: days, y: items.map((item) => item.score),
          connectgaps: false, line: { color: colour.series[0], width: 2 }, marker: { size: 7 },
          hovertemplate: "%{y:.0f}",
        },
        {
          type: "bar", name: "Confidence", x: days, y: items.map((item) => item.confidence), yaxis: "y2",
          marker: { color: colour.bars }, hovertemplate: "%{y:.2f}",
        },
      ],
      layout: {
        xaxis: { type: "date", anchor: "y2", hoverformat: "%-d %b %Y", tickformat: "%-d %b" },
        yaxis: { domain: [0.38, 1], range: [0, 104], tickvals: [0, 25, 50, 75, 100], title: { text: "score" } },
        yaxis2: { domain: [0, 0.26], range: [0, 1.05], tickvals: [0, 0.5, 1], title: { text: "conf." } },
        shapes: [{ // the athlete's usual day
          type: "line", xref: "paper", x0: 0, x1: 1, y0: 50, y1: 50, line: { color: colour.line, dash: "dot" },
        }],
      },
    }),
  };
}

/** The form of one day's check-in; `saved` is called after each that was written. */
export class CheckIn {
  #stored = null; // of the day that is chosen
  #turn = 0;

  constructor(form, saved) {
    this.form = form;
    this.result = form.querySelector("[role=status]");
    this.values = form.querySelector("fieldset");
    this.fields = [...this.values.querySelectorAll("[name]")];
    form.elements.day.addEventListener("change", () => this.show(form.elements.day.value));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (await this.#save()) saved();
    });
  }

  /** Show what was said of the day. Raises nothing: what fails is said in the form. */
  async show(day) {
    const turn = ++this.#turn;
    this.form.elements.day.value = day;
    this.values.disabled = true; // until it is known what is changed
    this.#fill(null);
    this.#say("");
    if (!day) return;
    try {
      const { items } = await mine("check-ins", { query: { from: day, to: day } });
      if (turn !== this.#turn) return;
      this.#fill(items[0] ?? null);
      this.values.disabled = false;
    } catch (error) {
      if (turn === this.#turn) this.#failed(error);
    }
  }

  #fill(stored) {
    this.#stored = stored;
    for (const field of this.fields) field.value = stored?.[field.name] ?? "";
  }

  async #save() {
    const day = this.form.elements.day.value;
    const given = this.fields.filter(({ value }) => value.trim());
    const body = Object.fromEntries(given.map(({ name, value }) => [name, name === "notes" ? value : Number(value)]));
    if (!Object.keys(body).some((name) => name !== "notes")) {
      this.#say("Give one value or more: notes alone say nothing that can be compared.", true);
      return false;
    }
    try {
      this.#fill(await mine(`check-ins/${day}`, { method: "PUT", body, version: this.#stored?.version }));
      this.#say(`Saved for ${said(day)}.`);
      return true;
    } catch (error) {
      this.#failed(error);
      return false;
    }
  }

  #failed(error) {
    failed(error, (words) => this.#say(words, true));
  }

  #say(words, bad = false) {
    this.result.textContent = words;
    this.result.classList.toggle("bad", bad);
  }
}
