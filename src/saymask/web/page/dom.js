// Short ways to elements, and files that are chosen or dropped.

export const element = (id) => document.getElementById(id);

// An element with properties, attributes (those with a hyphen, and role) and children.
export function make(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

export function swatch(colour) {
  const made = make("span", { className: "swatch", "aria-hidden": "true" });
  made.style.background = `rgb(${colour})`;
  return made;
}

// Calls action(file) for a file that is chosen in an input or dropped anywhere on the page.
export function onFile(input, action) {
  input.addEventListener("change", () => {
    const [file] = input.files;
    input.value = "";  // else the same file, chosen once more, would be no change
    if (file) action(file);
  });
  const { classList } = document.body;
  addEventListener("dragover", (event) => {
    event.preventDefault();
    classList.add("over");
  });
  addEventListener("dragleave", (event) => event.relatedTarget || classList.remove("over"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    classList.remove("over");
    if (event.dataTransfer.files.length) action(event.dataTransfer.files[0]);
  });
}
