// The list of what was asked and found: which object is chosen, and buttons to rename, to delete and to ask again.

import { make, swatch } from "./dom.js";
import { DRAWN, keyOf } from "./session.js";

// actions: choose(key), rename(object, phrase), drop(query, objId or null), askAll(query).
export class Panel {
  constructor(list, actions) {
    Object.assign(this, { list, actions, renamed: null });
  }

  draw(session) {
    this.session = session;
    if (this.renamed) return;  // what is being typed would be lost
    const focused = document.activeElement?.dataset.name;
    const asked = session.queries.map((query) => this.group(query));
    this.list.replaceChildren(this.row(null), ...asked);
    if (focused) this.list.querySelector(`[data-name=${CSS.escape(focused)}]`)?.focus();
  }

  group(query) {
    const { session } = this, answer = session.answers.get(query), objects = session.of(query);
    const title = make("div", { className: "title" }, make("strong", {}, query === DRAWN ? "Drawn by hand" : query));
    if (query !== DRAWN) title.prepend(swatch(session.colourOf({ query })));
    title.append(this.button("Delete", `Delete ${query}`, () => this.actions.drop(query, null)));
    const group = make("div", { className: "group", role: "group", "aria-label": query }, title);
    if (answer?.window) {
      const [first, last] = answer.window;
      const ask = this.button("Ask all frames", `Ask all frames: ${query}`, () => this.actions.askAll(query));
      group.append(make("div", { className: "note" }, `only frames ${first} to ${last}`, ask));
    }
    if (answer && !objects.length) group.append(make("p", { className: "quiet" }, "Nothing in the video answers to this."));
    group.append(...objects.map((object) => this.row(object)));
    return group;
  }

  row(object) {
    const { session, actions } = this, key = object ? keyOf(object) : null;
    const name = object ? session.nameOf(object) : "a new object";
    const radio = make("input", { type: "radio", name: "object", checked: key === session.chosen });
    radio.dataset.name = `choose ${key}`;
    radio.addEventListener("change", () => actions.choose(key));
    const label = make("label", {}, radio, ...(object?.query === DRAWN ? [swatch(session.colourOf(object))] : []), name);
    const row = make("div", { className: "object" }, label);
    if (object) {
      const whole = `${name} of ${object.query}`;
      const rename = this.button("Rename", `Rename ${whole}`, () => this.beginRename(object, row));
      row.append(rename, this.button("Delete", `Delete ${whole}`, () => actions.drop(object.query, object.objId)));
    }
    return row;
  }

  button(text, label, action) {
    const made = make("button", { type: "button", className: "small", "aria-label": label }, text);
    made.dataset.name = label;
    made.addEventListener("click", action);
    return made;
  }

  beginRename(object, row) {
    const name = this.session.nameOf(object);
    const input = make("input", { value: object.phrase, placeholder: name, maxLength: 200, "aria-label": `New name of ${name}` });
    const form = make("form", { className: "object" }, input, make("button", { className: "small" }, "Keep"));
    const end = () => {
      this.renamed = null;
      this.draw(this.session);
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.renamed = null;
      this.actions.rename(object, input.value.trim());
    });
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      end();
    });
    form.addEventListener("focusout", (event) => this.renamed === object && !form.contains(event.relatedTarget) && end());
    this.renamed = object;
    row.replaceWith(form);
    input.select();
  }
}
