// Keys, each with what it does; the page's help is made of the same table.

import { make } from "./dom.js";

// table: [keys, help, action] or [keys, help] for what the browser or a button does itself. A key is as in KeyboardEvent.key, with
// "Control+" or "Shift+" before it; actions get it. They are not called while text is typed.
export function listen(table, help) {
  help.replaceChildren(...table.map(([keys, does]) => make("div", {}, make("dt", {}, ...keys.map(shown)), make("dd", {}, does))));
  const actions = new Map(table.flatMap(([keys, , action]) => (action ? keys.map((key) => [key, action]) : [])));
  addEventListener("keydown", (event) => {
    const { target } = event, key = nameOf(event), action = actions.get(key);
    if (!action || target.matches("select, textarea, input:not([type=radio], [type=range], [type=checkbox])")) return;
    if (/^(Arrow|Home|End)/.test(event.key) && target.matches("[type=radio], [type=range]")) return;  // they move themselves
    if (event.key === " " && target.matches("button, summary, [type=radio]")) return;
    if (event.altKey) return;
    event.preventDefault();
    action(key);
  });
}

const nameOf = ({ key, shiftKey, ctrlKey, metaKey }) => {
  const plain = key.length === 1 ? key.toLowerCase() : key;
  return (ctrlKey || metaKey ? "Control+" : "") + (shiftKey && key.length > 1 ? "Shift+" : "") + plain;
};

const NAMES = { " ": "Space", ArrowLeft: "←", ArrowRight: "→", Control: "Ctrl", Escape: "Esc" };
const nameOn = (part) => NAMES[part] ?? (part.length === 1 ? part.toUpperCase() : part);
const shown = (key) => make("kbd", {}, key.split("+").map(nameOn).join(" "));
