"use strict";
// All that the page does besides being read. It adds its own controls, so that nothing is dead where no script runs.

function make(tag, properties = {}, ...children) {
  const { data = {}, aria = {}, ...plain } = properties;
  const element = Object.assign(document.createElement(tag), plain);
  Object.assign(element.dataset, data);
  for (const [name, value] of Object.entries(aria)) element.setAttribute(`aria-${name}`, value);
  element.append(...children);
  return element;
}

// ---- The theme: the reader's system decides until the button does. A page from disk may not be let store anything.

function theme() {
  const order = ["auto", "light", "dark"];
  const button = make("button", { type: "button", className: "theme" });
  const show = (name) => {
    if (name === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
    button.textContent = `Theme: ${name}`;
  };
  let now = "auto";
  try { now = localStorage.getItem("theme") || "auto"; } catch { /* stays auto */ }
  if (!order.includes(now)) now = "auto";
  button.addEventListener("click", () => {
    now = order[(order.indexOf(now) + 1) % order.length];
    show(now);
    try { localStorage.setItem("theme", now); } catch { /* holds for this visit */ }
  });
  show(now);
  document.querySelector("header").append(button);
}

// ---- Tables: sorted by a click on a heading (up, down, as it was), and filtered where they are long.

const LONG = 8;

function sortable(table) {
  const body = table.tBodies[0];
  const original = [...body.rows];
  const headings = [...table.tHead.rows[0].cells];
  const key = (row, column) => {
    const cell = row.cells[column];
    const number = cell.querySelector("data");
    const value = Number(number?.value ?? NaN);
    return Number.isNaN(value) ? cell.firstChild?.textContent.trim() ?? "" : value;
  };
  const compare = (a, b) => {
    const missing = (value) => typeof value === "string" && (value === "–" || value === "");
    if (missing(a) || missing(b)) return missing(a) - missing(b);
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), "en", { numeric: true });
  };
  headings.forEach((heading, column) => {
    const button = make("button", { type: "button" });
    button.append(...heading.childNodes);
    heading.append(button);
    heading.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const next = { none: "ascending", ascending: "descending", descending: "none" }[heading.getAttribute("aria-sort")];
      headings.forEach((other) => other.setAttribute("aria-sort", "none"));
      heading.setAttribute("aria-sort", next);
      table.classList.toggle("sorted", next !== "none");
      const rows = [...original];
      const sign = next === "descending" ? -1 : 1;
      if (next !== "none") {
        rows.sort((a, b) => {
          const [x, y] = [key(a, column), key(b, column)];
          const last = [x, y].some((value) => value === "–" || value === "");
          return (last ? 1 : sign) * compare(x, y); // what is missing stands last either way
        });
      }
      body.append(...rows);
    });
  });
}

function filterable(table, box) {
  const rows = [...table.tBodies[0].rows];
  if (rows.length <= LONG) return;
  // The digits of numbers would match nearly any digit that is asked for.
  const worded = (row) => [...row.cells].filter((cell) => !cell.matches(".number, .each")).map((cell) => cell.textContent);
  const texts = rows.map((row) => worded(row).join(" ").toLowerCase());
  const input = make("input", { type: "search" });
  const told = make("span", { role: "status" });
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    rows.forEach((row, place) => { row.hidden = !words.every((word) => texts[place].includes(word)); });
    const shown = rows.filter((row) => !row.hidden).length;
    told.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
  });
  box.before(make("div", { className: "filter" }, make("label", {}, "Filter rows ", input), told));
}

// ---- The viewer: one dialog, for a drawing or for pictures.

const viewer = make("dialog", { id: "viewer" });
let leave = () => {};

function open(title, ...children) {
  const close = make("button", { type: "button", textContent: "Close", autofocus: true });
  close.addEventListener("click", () => viewer.close());
  const heading = make("h2", { id: "viewer-title", textContent: title });
  viewer.setAttribute("aria-labelledby", "viewer-title");
  viewer.replaceChildren(heading, ...children, make("div", { className: "bar" }, close));
  const from = document.activeElement;
  leave = () => from?.focus();
  viewer.showModal();
  return heading;
}

function enlargeable(figure) {
  const drawing = figure.querySelector(".svg");
  const home = drawing.parentElement;
  const title = figure.querySelector("figcaption b").textContent.replace(".", "");
  const button = make("button", { type: "button", className: "enlarge", textContent: "Enlarge", aria: { label: `Enlarge ${title}` } });
  button.addEventListener("click", () => {
    open(title, drawing); // the drawing itself moves, so that no id of it is there twice
    const back = leave;
    leave = () => { home.append(drawing); back(); };
  });
  figure.querySelector("figcaption").prepend(button);
}

// ---- Pictures: a choice of the output; each opens in the viewer, to step through and to lay over another.

function pictures(figure) {
  const grid = figure.querySelector(".grid");
  const columns = [...grid.tHead.rows[0].cells].slice(1).map((cell) => cell.textContent);
  const rows = [...grid.tBodies[0].rows];
  const shown = (cell) => cell.querySelector("img:not([hidden])");
  const cells = rows.map((row) => [...row.cells].slice(1));
  const outputs = grid.dataset.outputs.split(" ").filter(Boolean);
  if (outputs.length > 1) figure.prepend(choice(grid, outputs, figure.id));
  cells.forEach((row, i) => row.forEach((cell, j) => {
    const images = [...cell.querySelectorAll("img")];
    if (!images.length) return;
    const button = make("button", { type: "button" });
    button.append(...images);
    cell.append(button);
    button.addEventListener("click", () => view(i, j));
  }));

  function view(i, j) {
    const lower = make("img"), upper = make("img");
    const stage = make("div", { className: "stage" }, lower, upper);
    const select = make("select");
    columns.forEach((name, place) => select.append(make("option", { value: place, textContent: name })));
    const slider = make("input", { type: "range", min: 0, max: 100, value: 50, aria: { label: "How much of the left picture is uncovered" } });
    const said = make("p", { role: "status" });
    const heading = open("", stage, slider, said);
    const show = () => {
      const [own, other] = [shown(cells[i][j]), shown(cells[i][Number(select.value)])];
      lower.src = own.src;
      lower.alt = own.alt;
      upper.src = (other ?? own).src;
      upper.alt = (other ?? own).alt;
      const output = own.dataset.output ? `, ${own.dataset.output}` : "";
      heading.textContent = `${rows[i].cells[0].textContent}: ${columns[j]}${output}`;
      said.textContent = `Left of the line: ${columns[Number(select.value)]}. Right of it: ${columns[j]}${output}.`;
    };
    const step = (down, right) => {
      const [height, width] = [cells.length, columns.length];
      let [a, b] = [i, j];
      do { // past the places without a picture
        a = (a + down + height) % height;
        b = (b + right + width) % width;
      } while (!shown(cells[a][b]) && (a !== i || b !== j));
      [i, j] = [a, b];
      show();
    };
    const by = (text, down, right) => {
      const button = make("button", { type: "button", textContent: text });
      button.addEventListener("click", () => step(down, right));
      return button;
    };
    slider.addEventListener("input", () => stage.style.setProperty("--share", `${slider.value}%`));
    select.addEventListener("change", show);
    viewer.onkeydown = (event) => {
      if (["INPUT", "SELECT"].includes(event.target.tagName)) return; // they use the arrows themselves
      const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
      if (!steps) return;
      event.preventDefault();
      step(...steps);
    };
    viewer.querySelector(".bar").prepend(
      by("← Method", 0, -1), by("Method →", 0, 1), by("↑ Image", -1, 0), by("Image ↓", 1, 0),
      make("label", {}, "Compare with ", select),
    );
    show();
  }
}

function choice(grid, outputs, name) {
  const set = make("fieldset", { className: "outputs" }, make("legend", { textContent: "Show the output: " }));
  outputs.forEach((output, place) => {
    const radio = make("input", { type: "radio", name, value: output, checked: place === 0 });
    radio.addEventListener("change", () => {
      grid.querySelectorAll("td").forEach((cell) => {
        const images = [...cell.querySelectorAll("img[data-output]")];
        const wanted = images.find((image) => image.dataset.output === output) ?? images[0];
        images.forEach((image) => { image.hidden = image !== wanted; });
      });
    });
    set.append(make("label", {}, radio, ` ${output}`));
  });
  return set;
}

// ---- All of it

document.body.append(viewer);
viewer.addEventListener("close", () => { viewer.onkeydown = null; leave(); viewer.replaceChildren(); });
theme();
document.querySelectorAll(".table table").forEach((table) => { sortable(table); filterable(table, table.parentElement); });
document.querySelectorAll("figure.drawing").forEach(enlargeable);
document.querySelectorAll("figure.pictures").forEach(pictures);
if (matchMedia("(max-width: 40rem)").matches) document.querySelector("nav details").open = false;
const folded = () => [...document.querySelectorAll("details:not([open])")];
let unfolded = [];
addEventListener("beforeprint", () => { unfolded = folded(); unfolded.forEach((one) => { one.open = true; }); });
addEventListener("afterprint", () => unfolded.forEach((one) => { one.open = false; }));
const boxes = new ResizeObserver((entries) => entries.forEach(({ target }) => {
  const wide = target.scrollWidth > target.clientWidth + 1;
  target.classList.toggle("overflows", wide);
  if (wide || target.scrollHeight > target.clientHeight + 1) target.tabIndex = 0;
  else target.removeAttribute("tabindex"); // what does not scroll is no stop for Tab
}));
document.querySelectorAll(".scroll").forEach((box) => boxes.observe(box));
addEventListener("hashchange", unfold);
function unfold() { // a link to a table that is folded away opens it
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  target?.closest("details")?.setAttribute("open", "");
}
unfold();
if (document.getElementById("progress")) { // the study is running: load the page anew, but never under a reader's hands
  let touched = 0;
  const touch = () => { touched = Date.now(); };
  for (const kind of ["pointerdown", "keydown", "scroll"]) addEventListener(kind, touch, { capture: true, passive: true });
  const idle = () => Date.now() - touched > 60_000 && !document.querySelector("dialog[open]");
  setInterval(() => { if (idle()) location.reload(); }, 60_000);
}
