// What the page says: a status that is read out when there is time, and problems with what to do about them.

import { element } from "./dom.js";

const SHOWN_MILLISECONDS = 8000;

export function say(text) {
  element("status").textContent = text;
  element("status").animate({ opacity: [1, 1, 0], offset: [0, 0.9, 1] }, { duration: SHOWN_MILLISECONDS, fill: "forwards" });
}

export function complain({ message, hint = "" }) {
  element("message").textContent = message;
  element("hint").textContent = hint;
  element("problem").hidden = false;
}

// An action, or a handler of an event, whose problems are shown; the last problem goes.
export const tried = (action) => async (...given) => {
  given[0]?.preventDefault?.();
  element("problem").hidden = true;
  try {
    await action(...given);
  } catch (error) {
    complain(error);
  }
};
