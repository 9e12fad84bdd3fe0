// Figures that explain themselves: what sets aim at, how sure something is, and by which rules it was computed.

import { element, number } from "./charts.js";
import { counted, isKnown } from "./views.js";

/** An element of nodes and texts; what is null is left out. */
export function part(tag, children, properties = {}) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** A weight in words; one below zero is assistance. */
export function weighed(weight, unit = "kg") {
  if (weight === 0) return "without weight";
  return weight < 0 ? `with ${number(-weight, 4)} ${unit} of assistance` : `at ${number(weight, 4)} ${unit}`;
}

/** What a set aims at, in words. */
export function aim(target, unit = "kg") {
  if (!isKnown(target)) return "no target";
  const { reps, weight, duration_seconds: held, rpe, tempo, rest_seconds: rest } = target;
  const many = typeof reps === "object" ? `${reps?.min} to ${reps?.max} reps` : counted(reps, "rep");
  const first = [isKnown(reps) ? many : null, isKnown(held) ? `${number(held)} s` : null];
  const words = [...first, isKnown(weight) ? weighed(weight, unit) : null].filter(isKnown).join(" ");
  const more = [isKnown(rpe) ? `RPE ${number(rpe)}` : null, tempo ? `tempo ${tempo}` : null];
  return [words || null, ...more, isKnown(rest) ? `${number(rest)} s of rest` : null].filter(isKnown).join(", ");
}

/** Sets that are alike, in words. */
export const sets = (count, target, unit) =>
  `${counted(count, "set")}${isKnown(target) ? ` of ${aim(target, unit)}` : ", without a target"}`;

/** What was done of a set, in words. */
export const performed = ({ reps, weight, unit, hold_seconds: held, duration_seconds = held, rpe }) =>
  aim({ reps: reps || null, weight: weight || null, duration_seconds: duration_seconds || null, rpe }, unit) || "done";

/** How sure the service is, in words that do not take it for a probability. */
export const confidence = (share) => `confidence ${number(share, 2)} of 1`;

/** What can be opened to be read. */
export function more(summary, children) {
  return part("details", [element("summary", summary), ...children]);
}

const spaced = (name) => name.replaceAll("_", " ");

function told(value) {
  if (Array.isArray(value)) return value.map(told).join(", ");
  if (value === null || typeof value !== "object") return String(value);
  return Object.entries(value).map(([name, one]) => `${spaced(name)}: ${told(one)}`).join("; ");
}

/** By which rules it was computed. */
export function rules({ version, rules: said }) {
  const pairs = Object.entries(said).map(([name, value]) =>
    part("div", [element("dt", spaced(name)), element("dd", told(value))]));
  return more(`How this is computed (method ${version})`, [part("dl", pairs, { className: "rules" })]);
}
