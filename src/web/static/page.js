// What the athlete's pages share: the token that is asked for, panels that are filled, and failures said in words.

import { Failure, token, userOf } from "./api.js";
import { clear, element } from "./charts.js";

export const $ = (id) => document.getElementById(id);
const turns = new Map(); // of each panel: an answer that was overtaken by a newer question is dropped
let questions = 0;

/** Fill a panel with the view that `work` makes, or say why it cannot be: `empty` where there is none. */
export async function fill(panel, work, empty) {
  const turn = ++questions;
  turns.set(panel, turn);
  panel.section.ariaBusy = "true";
  try {
    const view = await work();
    if (turns.get(panel) !== turn) return;
    if (view === null) panel.say(empty);
    else await panel.show(view);
  } catch (error) {
    if (turns.get(panel) === turn) failed(error, (words) => panel.say(words, true));
  } finally {
    panel.section.ariaBusy = "false";
  }
}

/** Say why something failed; where it was the token, ask for another. */
export function failed(error, say) {
  if (error.status === 401) return enter(error.message);
  say(error.message);
  if (!(error instanceof Failure)) throw error; // a mistake of ours: for the console too
}

export function options(select, pairs) {
  const before = select.value;
  select.replaceChildren(...pairs.map(([value, name]) => element("option", name, { value })));
  if (pairs.some(([value]) => value === before)) select.value = before;
}

/** Show the report, and no longer the form. */
export function reveal() {
  $("enter").hidden = true;
  $("report").hidden = false;
}

/** Have `read` fill the page whenever there is a token, or another. `first` is where one goes on from the form. */
export function start(read, first) {
  async function show() {
    tell("");
    $("report").ariaBusy = "true";
    try {
      await read();
    } catch (error) {
      failed(error, tell);
    } finally {
      $("report").ariaBusy = "false";
    }
  }
  $("enter").addEventListener("submit", (event) => {
    event.preventDefault(); // so that the token never stands in an address
    const text = $("token").value.trim().replace(/^Bearer\s+/i, "");
    $("token").value = "";
    try {
      userOf(text);
    } catch (error) {
      return enter(error.message);
    }
    token.keep(text);
    show().then(() => $("report").hidden || first.focus());
  });
  $("forget").addEventListener("click", () => enter());
  $("refresh").addEventListener("click", show);
  if (token.get() === null) enter();
  else show();
}

function tell(words) {
  $("message").textContent = words;
  $("message").classList.toggle("bad", Boolean(words));
  $("message").hidden = !words;
}

/** Ask for a token, and say why. */
function enter(why = "") {
  token.forget();
  turns.clear();
  clear();
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  for (const form of document.querySelectorAll("#report form")) form.reset();
  for (const part of document.querySelectorAll(".own, .result, dialog .body")) part.replaceChildren();
  $("report").hidden = true;
  $("enter").hidden = false;
  tell(why);
  $("token").focus();
}
