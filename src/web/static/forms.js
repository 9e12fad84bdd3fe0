// What the forms of the plan's page share: what was entered, one attempt at a time, and its faults in words.

/** What was entered, by names: without what was left empty. */
export function values(form) {
  const given = [...form.elements].filter((field) => field.name && field.type !== "checkbox" && field.value.trim());
  return Object.fromEntries(given.map((field) => [field.name, field.value.trim()]));
}

/** An id as the API takes it. Where pages are not served over TLS, browsers make none by themselves. */
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const digits = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** What is being done by a form. `labels` are the names of its fields, by those of the API. */
export class Attempt {
  #sent = {}; // what was sent last to be made, and its id

  constructor(form, labels) {
    this.form = form;
    this.labels = labels;
    this.result = form.querySelector("[role=status]");
  }

  /** The body with an id: the same body gets the same one, so that nothing is made twice where an answer was lost. */
  identified(body) {
    const text = JSON.stringify(body);
    if (this.#sent.text !== text) this.#sent = { text, id: newId() };
    return { id: this.#sent.id, ...body };
  }

  /** Do it, while nothing else can be done; what it answers, or null where it failed, which is said. */
  async make(work, failed) {
    const buttons = [...this.form.querySelectorAll("button:enabled")];
    for (const button of buttons) button.disabled = true;
    this.say("");
    try {
      return await work();
    } catch (error) {
      failed(error, (words) => this.tell(this.#faults(error) || words, true));
      return null;
    } finally {
      for (const button of buttons) button.disabled = false;
    }
  }

  /** Say something about it. */
  say(words, bad = false) {
    this.result.textContent = words;
    this.result.classList.toggle("bad", bad);
  }

  /** Say what became of it, and go there. */
  tell(words, bad = false) {
    this.say(words, bad);
    this.result.focus();
  }

  #faults({ faults = [] }) {
    return faults.map(([name, message]) => `${this.labels[name] ?? name}: ${message.replace(/\.$/, "")}.`).join(" ");
  }
}
