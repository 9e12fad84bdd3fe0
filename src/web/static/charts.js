// A panel is a section of the page with a heading, a chart, what it shows in words, and its data as a table.
// Texts of users (names of exercises) are written as text nodes only, and never given to plotly, which reads markup.

const CONFIG = { displayModeBar: false, responsive: true, doubleClick: false, showTips: false };
const COLOURS = ["surface", "ink", "muted", "line", "grid", "accent", "band", "bars", "empty", "low", "high"];
const dark = matchMedia("(prefers-color-scheme: dark)");
const narrow = matchMedia("(max-width: 40rem)");
const panels = [];

export const DASH = "–";

export function number(value, digits = 1) {
  if (value === null || value === undefined) return DASH;
  return new Intl.NumberFormat("en", { maximumFractionDigits: digits }).format(value);
}

export function element(tag, text, properties = {}) {
  const made = Object.assign(document.createElement(tag), properties);
  made.textContent = text;
  return made;
}

/** Fill a description list with pairs of a term and its value; a third item names a class. */
export function facts(list, pairs) {
  list.replaceChildren(...pairs.map(([term, value, look = ""]) => {
    const pair = document.createElement("div");
    pair.append(element("dt", term), element("dd", value, { className: look }));
    return pair;
  }));
}

/** A table. `columns` are [heading, whether its cells are numbers, a class]; the first cell of each row heads it. */
export function table(caption, columns, rows) {
  const made = document.createElement("table");
  made.append(element("caption", caption));
  const kind = (index) => `${columns[index][1] ? "number" : ""} ${columns[index][2] ?? ""}`.trim();
  const head = made.createTHead().insertRow();
  columns.forEach(([heading], index) => head.append(element("th", heading, { scope: "col", className: kind(index) })));
  const body = made.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    row.forEach((value, index) => {
      const text = typeof value === "number" ? number(value, 2) : value ?? DASH;
      line.append(element(index ? "td" : "th", text, { className: kind(index), ...(index ? {} : { scope: "row" }) }));
    });
  }
  return made;
}

function colours() {
  const style = getComputedStyle(document.documentElement);
  const named = Object.fromEntries(COLOURS.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  const series = [1, 2, 3, 4, 5, 6].map((index) => style.getPropertyValue(`--series-${index}`).trim());
  return { ...named, series };
}

function layoutOf(colour, layout) {
  const axis = {
    gridcolor: colour.grid, linecolor: colour.line, zerolinecolor: colour.line, tickcolor: colour.line,
    fixedrange: true, automargin: true,
  };
  const made = {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", dragmode: false, hovermode: "x unified",
    font: { family: "system-ui, sans-serif", size: 13, color: colour.ink },
    hoverlabel: { bgcolor: colour.surface, bordercolor: colour.line, font: { color: colour.ink } },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", traceorder: "normal" },
    margin: { l: 48, r: 8, t: 8, b: 32 },
    ...layout,
  };
  for (const name of ["xaxis", "yaxis", "yaxis2"]) {
    if (name !== "yaxis2" || layout[name]) made[name] = { ...axis, ...layout[name] };
  }
  return made;
}

export class Panel {
  /** Of the section with this id, which holds `words`, and of `summary`, `chart`, `body` and `data` what it shows. */
  constructor(id) {
    this.section = document.getElementById(id);
    this.chart = this.section.querySelector(".chart");
    this.summary = this.section.querySelector(".summary");
    this.data = this.section.querySelector(".data");
    this.words = this.section.querySelector(".words");
    this.body = this.section.querySelector(".body");
    this.shown = null;
    this.data?.addEventListener("toggle", () => this.#table());
    panels.push(this);
  }

  /** Say in words why there is no chart. */
  say(text, bad = false) {
    this.shown = null;
    this.words.textContent = text;
    this.words.classList.toggle("bad", bad);
    this.#visible(false);
  }

  /** Hold nothing of whom it showed. */
  clear() {
    this.say("It is read …");
    for (const part of this.section.querySelectorAll(".summary, .facts, .body, .scroll")) part.replaceChildren();
    if (this.chart) globalThis.Plotly?.purge(this.chart);
  }

  /**
   * Show a view: `figure` makes traces and layout of colours and narrowness, `parts` are the nodes of the body,
   * `columns` and `rows` the table.
   */
  async show({ summary = "", figure, parts = [], columns, rows }) {
    this.shown = { figure, columns, rows };
    if (this.summary) this.summary.textContent = summary;
    this.body?.replaceChildren(...parts);
    this.words.textContent = "";
    this.#visible(true);
    this.#table();
    await this.draw();
  }

  async draw() {
    if (this.shown === null || !this.chart) return;
    if (!globalThis.Plotly) return void (this.chart.hidden = true); // it did not load: words and table remain
    const colour = colours();
    const { traces, layout } = this.shown.figure(colour, narrow.matches);
    await Plotly.react(this.chart, traces, layoutOf(colour, layout), CONFIG);
    // Heading, summary and table tell of the chart; not plotly's pictures, one of which only measures texts.
    for (const picture of document.querySelectorAll(".chart svg, #js-plotly-tester")) picture.ariaHidden = "true";
  }

  #visible(there) {
    this.words.hidden = there;
    for (const part of [this.chart, this.summary, this.body, this.data]) if (part) part.hidden = !there;
  }

  #table() { // made when it is opened: some have thousands of rows
    if (!this.data?.open || this.shown === null) return;
    const { columns, rows } = this.shown;
    const title = this.section.querySelector("h2").textContent;
    this.data.querySelector(".scroll").replaceChildren(table(title, columns, rows));
  }
}

/** Have no panel hold anything any more. */
export const clear = () => panels.forEach((panel) => panel.clear());

for (const query of [dark, narrow]) query.addEventListener("change", () => panels.forEach((panel) => panel.draw()));
