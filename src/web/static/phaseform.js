// The form of a phase: lays workouts on weeks, moves or changes that, or deletes it; and before that says what it does.

import { mine } from "./api.js";
import { element, table } from "./charts.js";
import { more, part, rules } from "./explain.js";
import { Attempt, values } from "./forms.js";
import { $, failed, options } from "./page.js";
import { WEEKDAYS, counted, moved, said } from "./views.js";

const NEW = "";
const BACK = { days: -28 }; // phases that ended before are not offered to be changed
const MOST = 200; // phases, and workouts, that can be chosen
const LENGTH = { days: 27 }; // of a phase, until something else is said
const LABELS = {
  name: "Name", kind: "Kind", parent_id: "Part of", first: "First day", last: "Last day", timezone: "Time zone",
  deload: "Deload", schedule: "Its week",
};
const ACTIONS = { create: "made", move: "moved", change: "changed", delete: "deleted", keep: "left as they are" };

/** The form; `saved` is called after each phase that was written or deleted. */
export class PhaseForm {
  #phases = [];
  #workouts = [];
  #stored = null; // the phase that is changed
  #wanted = null; // what was previewed, and is done next: a request, and how it is told

  constructor(form, saved) {
    this.form = form;
    this.saved = saved;
    this.attempt = new Attempt(form, LABELS);
    this.preview = form.querySelector(".preview");
    $("phase-which").addEventListener("change", () => this.#show($("phase-which").value));
    $("slot-add").addEventListener("click", () => this.#slot().querySelector("select").focus());
    for (const event of ["input", "change"]) form.addEventListener(event, () => this.#want(null));
    $("phase-kind").addEventListener("change", () => this.#asked());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.attempt.make(() => this.#see(this.#request()), failed);
    });
    $("phase-delete").addEventListener("click", () =>
      this.attempt.make(() => this.#see({ method: "DELETE", version: this.#stored.version }), failed));
    $("phase-do").addEventListener("click", () => this.#do());
  }

  /** Read what can be chosen by `day`, and be empty: for a phase that begins on `first`. What fails is said. */
  async anew(day, first) {
    [this.day, this.begin] = [day, first];
    try {
      const [phases, workouts] = await Promise.all([
        mine("phases", { query: { from: moved(day, BACK), limit: MOST } }), mine("workouts", { query: { limit: MOST } }),
      ]);
      [this.#phases, this.#workouts] = [phases.items, workouts.items];
    } catch (error) {
      return failed(error, (words) => this.attempt.say(words, true));
    }
    options($("phase-which"), [[NEW, "A new phase"], ...this.#phases.map(({ id, name, first: begin, last }) =>
      [id, `${name}, ${said(begin)} to ${said(last)}`])]);
    this.#show(NEW);
  }

  #show(id) {
    this.form.reset();
    this.attempt.say("");
    $("phase-which").value = id;
    this.#stored = this.#phases.find((phase) => phase.id === id) ?? null;
    const phase = this.#stored ?? {
      kind: "mesocycle", first: this.begin, last: moved(this.begin, LENGTH), schedule: [],
      timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    };
    const cycles = this.#phases.filter(({ kind, id: one }) => kind === "mesocycle" && one !== id);
    options($("phase-parent"), [["", "No mesocycle"], ...cycles.map(({ id: one, name }) => [one, name])]);
    for (const name of ["name", "kind", "parent_id", "first", "last", "timezone"]) {
      this.form.elements[name].value = phase[name] ?? "";
    }
    this.form.elements.deload.checked = phase.deload ?? false;
    $("phase-delete").hidden = this.#stored === null;
    $("slots").replaceChildren();
    for (const slot of phase.schedule) this.#slot(slot);
    if (!this.#stored) this.#slot();
    this.#asked();
    this.#want(null);
  }

  #asked() {
    $("phase-parent").closest("label").hidden = $("phase-kind").value === "mesocycle";
  }

  /** One more line of the week. */
  #slot({ workout_id: workout = NEW, weekday = 1, time = "18:00", weeks = [] } = {}) {
    const field = (name, input) => part("label", [name, input]);
    const which = document.createElement("select");
    const pairs = [[NEW, "Choose a workout"], ...this.#workouts.map(({ id, name }) => [id, name])];
    if (!pairs.some(([id]) => id === workout)) pairs.push([workout, "A workout that is not listed"]);
    options(which, pairs);
    which.value = workout;
    const on = document.createElement("select");
    options(on, WEEKDAYS.map((name, index) => [index + 1, name]));
    on.value = weekday;
    const at = element("input", "", { type: "time", value: time, required: true });
    const in_ = element("input", "", {
      type: "text", value: weeks.join(", "), placeholder: "all", inputMode: "numeric", autocomplete: "off",
      pattern: "\\s*\\d{1,2}(\\s*,\\s*\\d{1,2})*\\s*", title: "Numbers of weeks, with commas between; empty for all",
    });
    const remove = element("button", "Remove", { type: "button" });
    const line = part("li", [
      field("Workout", which), field("Day", on), field("Time", at), field("Weeks, like 1, 2, 4", in_), remove,
    ]);
    remove.addEventListener("click", () => {
      line.remove();
      this.#want(null);
      $("slot-add").focus();
    });
    $("slots").append(line);
    return line;
  }

  #schedule() {
    const lines = [...$("slots").children].map((line) => [...line.querySelectorAll("select, input")]);
    return lines.filter(([which]) => which.value !== NEW).map(([which, on, at, in_]) => {
      const weeks = [...new Set((in_.value.match(/\d+/g) ?? []).map(Number))].toSorted((a, b) => a - b);
      return { workout_id: which.value, weekday: Number(on.value), time: at.value, ...(weeks.length ? { weeks } : {}) };
    });
  }

  /** What saving the form asks of the API. What the form does not ask for stays as it is stored. */
  #request() {
    const { goal, goal_id, notes } = this.#stored ?? {};
    const { parent_id: parent, ...given } = values(this.form);
    const body = {
      ...Object.fromEntries(Object.entries({ goal, goal_id, notes }).filter(([, value]) => value !== undefined)),
      ...given, deload: this.form.elements.deload.checked, schedule: this.#schedule(),
    };
    if (parent && given.kind === "microcycle") body.parent_id = parent;
    return this.#stored
      ? { method: "PUT", body, version: this.#stored.version }
      : { method: "POST", body: this.attempt.identified(body) };
  }

  /** Show what a request would do, and be ready to do it. */
  async #see(request) {
    const path = this.#stored ? `phases/${this.#stored.id}` : "phases";
    const { counts, trainings, microcycles, method } = await mine(path, { ...request, query: { dry_run: true } });
    const parts = Object.keys(ACTIONS).filter((action) => counts[action]).map((action) =>
      `${action === "keep" ? counts[action] : counted(counts[action], "training")} ${ACTIONS[action]}`);
    if (microcycles.length) parts.push(`${counted(microcycles.length, "microcycle")} moved along`);
    const did = parts.join(", ") || "no training changed";
    const deletes = request.method === "DELETE";
    this.#want({ path, request, told: `${deletes ? "Deleted" : "Saved"}: ${did}.` });
    $("phase-do").textContent = deletes ? "Delete the phase" : "Save the phase";
    const rows = trainings.map(({ action, day, from_day: from, title, reason }) =>
      [said(day), title ?? "Training", `${ACTIONS[action]}${from ? `, from ${said(from)}` : ""}`, reason]);
    const columns = [["Day", false, "day"], ["Training", false], ["It is", false], ["Why", false]];
    const all = part("div", [table("What becomes of each training", columns, rows)], {
      className: "scroll", tabIndex: 0, role: "region", ariaLabel: "What becomes of each training",
    });
    this.preview.replaceChildren(...(rows.length ? [more("Training by training", [all])] : []), rules(method));
    this.attempt.tell(`${deletes ? "Deleting it" : "Saving it"} would do this: ${did}. Nothing is written yet.`);
  }

  /** Be ready to do that; null where nothing was previewed, or something else was entered since. */
  #want(wanted) {
    this.#wanted = wanted;
    $("phase-do").disabled = wanted === null;
    if (wanted !== null) return;
    $("phase-do").textContent = "Do it";
    this.preview.replaceChildren();
    this.attempt.result.textContent = "";
  }

  async #do() {
    const { path, request, told } = this.#wanted;
    const words = await this.attempt.make(async () => {
      await mine(path, request);
      return told;
    }, failed);
    if (words === null) return;
    await this.anew(this.day, this.begin);
    this.attempt.tell(words);
    this.saved();
  }
}
