// Dark and light. Canvases cannot see style sheets, so their colours are read from one here.

const THEME_KEY = "earhook.theme";
const root = document.documentElement;
const listeners = new Set();
let colours = null;

/** Colours by the name of their custom property, without the dashes: `colour("customer")`. */
export function colour(name) {
  colours ??= new Map();
  if (!colours.has(name)) {
    probe.style.color = `var(--${name})`;
    colours.set(name, getComputedStyle(probe).color);
  }
  return colours.get(name);
}

/** Call `listener` when colours have changed; returns what ends that. */
export function onTheme(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Whether the page is dark now. */
const isDark = () =>
  root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;

/** Go to the other one, and remember that. */
export function toggleTheme() {
  root.dataset.theme = isDark() ? "light" : "dark";
  localStorage.setItem(THEME_KEY, root.dataset.theme);
  tell();
}

function tell() {
  colours = null;
  for (const listener of listeners) listener();
}

// light-dark() is resolved only for an element's own property, hence an element to ask.
const probe = document.createElement("i");
probe.hidden = true;
document.body.append(probe);
const remembered = localStorage.getItem(THEME_KEY);
if (remembered === "dark" || remembered === "light") root.dataset.theme = remembered;
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tell);
