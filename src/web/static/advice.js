// Advice of the day: what, why, from which figures, and what accepting it changes; what was accepted; and the load.

import { mine } from "./api.js";
import { DASH, element, facts, number, table } from "./charts.js";
import { confidence, more, part, rules, sets } from "./explain.js";
import { named } from "./movements.js";
import { counted, isKnown, said, short } from "./views.js";

const KINDS = {
  rest: "Rest", deload: "Deload", regress: "Step back", hold: "Stay", progress: "Progress", balance: "Balance",
  prefer: "Replace",
};
const POSITIONS = {
  below: "Below the usual range", inside: "Inside the usual range", above: "Above the usual range",
  unknown: "Not known",
};
const MEASURES = {
  session_rpe: "session RPE × minutes", external_load: "external load", system_load: "system load",
  time_under_tension: "time under tension",
};

const ACCEPT = { name: "Accept", did: "Accepted", became: "changed", className: "first" };
const UNDO = { name: "Undo", did: "Undone", became: "as before" };

/** The view of a day's advice. `act` is called with the button that was pressed, and what `change` takes. */
export function adviceView(report, { items: accepted }, act) {
  const { day, advice, reason, not_advised: others = [], risk, preferences, method } = report;
  const cards = advice.map((one) =>
    card(one, button({ verb: ACCEPT, path: `advice/${one.id}/accept`, query: { day }, title: one.title }, act)));
  return {
    summary: `${said(day)}: ${advice.length ? `${counted(advice.length, "piece")} of advice` : "no advice"}. ${reason}`,
    parts: [
      cards.length ? part("ul", cards, { className: "cards" }) : null,
      others.length ? more("What else was looked at", [part("ul", others.map((one) =>
        element("li", `${KINDS[one.kind] ?? one.kind}: ${one.reason}`)))]) : null,
      ...(accepted.length ? [element("h3", "Accepted so far"), part("ul", accepted.map((one) => taken(one, act)))] : []),
      ...loaded(risk),
      preferred(preferences),
      rules(method),
    ].filter(isKnown),
  };
}

/** A piece of advice, and the button that accepts it after what that would change. */
function card({ kind, title, reason, evidence, confidence: share, confidence_parts: parts, changes }, accept) {
  return part("li", [
    part("p", [element("span", KINDS[kind] ?? kind, { className: "tag" }), ` ${confidence(share)}`]),
    element("h3", title),
    element("p", reason),
    element("h4", "What accepting it changes"),
    changes.length
      ? part("ul", changes.flatMap(changed))
      : element("p", "Nothing that is planned: no training ahead is about it. Accepting it only notes that."),
    more("What it rests on", [figures(title, evidence), element("h4", "Why this confidence"),
      part("ul", parts.map((one) => element("li", `${one.what} (${number(one.share, 2)}): ${one.reason}`)))]),
    accept,
  ], { className: `card ${kind}` });
}

function figures(title, evidence) {
  const usual = (range) => {
    if (!isKnown(range)) return null;
    const { least, most } = range;
    if (!isKnown(most)) return isKnown(least) ? `${number(least, 2)} or more` : null;
    return isKnown(least) ? `${number(least, 2)} to ${number(most, 2)}` : `up to ${number(most, 2)}`;
  };
  const days = ({ from, to }) => [from, to].filter(isKnown).map(short).filter((one, at, all) => one !== all[at - 1]);
  const value = ({ value: figure, unit }) =>
    isKnown(figure) ? `${typeof figure === "number" ? number(figure, 2) : figure} ${unit ?? ""}`.trim() : "unknown";
  const columns = [["What", false], ["Value", false], ["Usual", false], ["Days", false, "spare"]];
  return table(`Figures behind: ${title}`, columns, evidence.map((one) => [
    one.what, value(one), usual(one.usual), days(one).join(" to ") || null,
  ]));
}

const planned = ({ planned: groups }) =>
  groups.map((one) => sets(one.sets, one.target, one.unit)).join(", then ") || "no set";

/** What becomes of a training: a line for its day, and one for each exercise. */
function changed({ title, day, day_after: after, exercises }) {
  const name = title ?? "Training";
  const move = isKnown(after) ? [element("li", `${name}: from ${said(day)} to ${said(after)}`)] : [];
  return [...move, ...exercises.map(({ before, after: then }) => {
    const same = then.name === before.name && then.exercise === before.exercise;
    const other = same ? "" : `${then.exercise ? named(then.exercise) : then.name}: `;
    return part("li", [
      `${name} on ${said(day)}, ${before.name}: `, element("del", planned(before)), " → ",
      element("ins", `${other}${planned(then)}`),
    ]);
  })];
}

function button(wanted, act) {
  const { verb: { name, className = "" }, title } = wanted;
  const made = element("button", name, { type: "button", className, ariaLabel: `${name}: ${title}` });
  made.addEventListener("click", () => act(made, wanted));
  return made;
}

/** Accepted advice, with what it changed. */
function taken(one, act) {
  const versions = one.changes.map(({ title, day, version, version_after: after, version_restored: back, stays }) =>
    element("li", `${title ?? "Training"} on ${said(day)}: version ${version} became ${after}` +
      `${isKnown(back) ? `, and ${back}, which is as before` : ""}.${stays ? ` It stays so. ${stays}` : ""}`));
  return part("li", [
    part("p", [element("strong", one.title), ` for ${said(one.day)} `,
      element("span", one.undone ? "Undone" : "In force", { className: "tag" })], { className: "head" }),
    more("What it changed", [part("ul", [...one.changes.flatMap(changed), ...versions]), element("p", one.reason)]),
    one.undone ? null : button({ verb: UNDO, path: `advice/${one.id}/undo`, title: one.title }, act),
  ]);
}

/** The load beside what is usual, with what is disputed about it. */
function loaded(risk) {
  const list = element("dl", "", { className: "facts" });
  facts(list, [
    ["Load of the last days", POSITIONS[risk.position] ?? risk.position],
    ["Ratio of 7 to 28 days", number(risk.ratio, 2)],
    ["Usual ratio", `${number(risk.usual.least, 2)} to ${number(risk.usual.most, 2)}`],
    ["Load up to", said(risk.until)],
    ["Measure", isKnown(risk.measure) ? MEASURES[risk.measure] ?? risk.measure : DASH],
    ["Days with training, of 28", number(risk.observed_days_28)],
  ]);
  return [
    element("h3", "Load indicator"), element("p", `What it looks for: ${risk.indicator}. ${risk.reason}`), list,
    element("p", risk.not_a_diagnosis, { className: "note" }), element("p", risk.disputed, { className: "note" }),
  ];
}

function preferred({ often, skipped, replaced, reason }) {
  const lines = [...often, ...skipped, ...replaced].map((one) => element("li", `${one.name}: ${one.reason}`));
  return more("What you prefer, as your log has it", [element("p", reason), part("ul", lines)]);
}

/** Accept advice, or undo that; answers in words what was done, and what could not be undone. Raises `Failure`. */
export async function change({ verb, path, query, title }) {
  const { changes } = await mine(path, { method: "POST", query });
  const [left, done] = [changes.filter((one) => one.stays), changes.filter((one) => !one.stays)];
  const stay = left.map((one) => ` ${one.title ?? "Training"} on ${said(one.day)} stays. ${one.stays}`);
  return `${verb.did}, ${counted(done.length, "planned training")} ${verb.became}: ${title}.${stay.join("")}`;
}
