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

function button(text, action, label) {
  const element = make("button", { type: "button", textContent: text, aria: label ? { label } : {} });
  element.addEventListener("click", action);
  return element;
}

// ---- The theme: the reader's system decides until the button does. A page from disk may not be let store anything.

function theme() {
  const order = ["auto", "light", "dark"];
  const switched = button("", () => {
    now = order[(order.indexOf(now) + 1) % order.length];
    show(now);
    try { localStorage.setItem("theme", now); } catch { /* holds for this visit */ }
  });
  switched.className = "theme";
  const show = (name) => {
    if (name === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
    switched.textContent = `Theme: ${name}`;
  };
  let now = "auto";
  try { now = localStorage.getItem("theme") || "auto"; } catch { /* stays auto */ }
  if (!order.includes(now)) now = "auto";
  show(now);
  document.querySelector("header").append(switched);
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
    const sort = button("", () => {
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
    sort.append(...heading.childNodes);
    heading.append(sort);
    heading.setAttribute("aria-sort", "none");
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
  const close = button("Close", () => viewer.close());
  const heading = make("h2", { id: "viewer-title", textContent: title });
  viewer.setAttribute("aria-labelledby", "viewer-title");
  viewer.replaceChildren(make("div", { className: "head" }, heading, close), ...children);
  const from = document.activeElement;
  leave = () => from?.focus();
  viewer.showModal(); // the first button gets the focus: it stands at the top, so the dialog opens there
  return heading;
}

function enlargeable(figure) {
  const drawing = figure.querySelector(".svg");
  const home = drawing.parentElement;
  const title = figure.querySelector("figcaption b").textContent.replace(".", "");
  const enlarge = button("Enlarge", () => {
    open(title, drawing); // the drawing itself moves, so that no id of it is there twice
    const back = leave;
    leave = () => { home.append(drawing); back(); };
  }, `Enlarge ${title}`);
  figure.querySelector(".files").prepend(enlarge);
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
    const opens = button("", () => view(i, j));
    opens.append(...images);
    cell.append(opens);
  }));

  function view(i, j) {
    const lower = make("img"), upper = make("img");
    const stage = make("div", { className: "stage" }, lower, upper);
    const select = make("select");
    columns.forEach((name, place) => select.append(make("option", { value: place, textContent: name })));
    const slider = make("input", { type: "range", min: 0, max: 100, value: 50, aria: { label: "How much of the left picture is uncovered" } });
    const said = make("p", { role: "status" });
    const by = (text, down, right) => button(text, () => step(down, right));
    const bar = make("div", { className: "bar" },
      by("← Method", 0, -1), by("Method →", 0, 1), by("↑ Image", -1, 0), by("Image ↓", 1, 0),
      make("label", {}, "Compare with ", select),
    );
    const heading = open("", bar, stage, slider, said);
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
    slider.addEventListener("input", () => stage.style.setProperty("--share", `${slider.value}%`));
    select.addEventListener("change", show);
    viewer.onkeydown = (event) => {
      if (["INPUT", "SELECT"].includes(event.target.tagName)) return; // they use the arrows themselves
      const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
      if (!steps) return;
      event.preventDefault();
      step(...steps);
    };
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
    set.append(make("label", {}, radio, output));
  });
  return set;
}

// Where a repair equals the original, the page stores nothing: each picture is made whole, so that it can be saved.

async function whole(image) {
  const original = image.closest("tr").querySelector("img");
  await Promise.all([image.decode(), original.decode()]);
  image.src = drawn(image.naturalWidth, image.naturalHeight, original, image).toDataURL();
  delete image.dataset.over;
}

function drawn(width, height, ...images) {
  const canvas = make("canvas", { width, height });
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  images.forEach((image) => context.drawImage(image, 0, 0, width, height));
  return canvas;
}

// ---- Copies of a table as it stands: in its order, and without the rows that a filter hides.

function copies(figure) {
  const table = figure.querySelector("table");
  const told = make("span", { role: "status" });
  const name = figure.querySelector("figcaption b").textContent.replace(".", "");
  const copy = (text, as) => button(text, async () => {
    const rows = [...table.rows].filter((row) => !row.hidden);
    told.textContent = await copied(as(rows.map((row) => [...row.cells]))) ? "Copied" : "The browser refused; use CSV";
    setTimeout(() => { told.textContent = ""; }, 3000);
  }, `${text} of ${name}`);
  figure.querySelector(".files").append(copy("Copy TSV", tsv), copy("Copy Markdown", markdown), told);
}

function said(cell) {
  const lines = [...cell.childNodes].map((node) => node.textContent.replace(/\s+/g, " ").trim());
  const text = lines.filter(Boolean).join(" ");
  return cell.querySelector("data") ? text.replaceAll("−", "-") : text;
}

function tsv(rows) { // a spreadsheet would run a text that begins like a formula
  const safe = (text) => /^[=+\-@]/.test(text) && !/^([-+]?[\d.,]+\s*)+$/.test(text) ? `'${text}` : text;
  return rows.map((cells) => cells.map((cell) => safe(said(cell))).join("\t")).join("\n");
}

function markdown(rows) {
  const line = (texts) => `| ${texts.join(" | ")} |`;
  const lines = rows.map((cells) => line(cells.map((cell) => said(cell).replace(/[\\`*_[\]<>|~]/g, "\\$&"))));
  const rule = line(rows[0].map((cell) => (cell.matches(".number") ? "---:" : "---")));
  return [lines[0], rule, ...lines.slice(1)].join("\n");
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch { // a page from disk may not be let use it
    const area = make("textarea", { value: text });
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

// ---- Files: the page holds its own, so that they go where it goes. PNG, and PDF of pictures, are drawn from the SVG.

const DOTS = 160 / 72, FINE = 300 / 72; // dots a point: of a PNG as the folder has it, and of pictures in a PDF

function downloads(files) {
  const figure = files.closest("figure");
  const links = [...files.querySelectorAll("a[download]")];
  const drawing = links.find((link) => link.download.endsWith(".svg"));
  links.forEach((link) => {
    const kind = link.download.split(".").pop();
    if (!link.dataset.packed && !drawing?.dataset.packed) return; // then it leads to the file beside the page
    link.addEventListener("click", async (event) => {
      event.preventDefault();
      let blob = link.dataset.packed && await unpacked(link);
      if (drawing) {
        const svg = await filled(await unpacked(drawing).then((one) => one.text()), figure);
        if (kind === "svg") blob = new Blob([svg], { type: "image/svg+xml" });
        if (kind === "png") blob = await new Promise(async (done) => (await canvas(svg, DOTS)).toBlob(done));
        if (kind === "pdf") blob ||= await paper(await canvas(svg, FINE));
      }
      const saved = make("a", { href: URL.createObjectURL(blob), download: link.download });
      saved.click();
      setTimeout(() => URL.revokeObjectURL(saved.href), 60_000);
    });
  });
}

function unpacked(link) {
  const bytes = Uint8Array.from(atob(link.dataset.packed), (one) => one.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).blob();
}

async function filled(svg, figure) { // with the pictures that the page shows
  const images = [...figure.querySelectorAll(".grid img, svg image")];
  await Promise.all(images.map((image) => (image.hasAttribute("data-over") ? whole(image) : image.decode?.())));
  return svg.replace(/#picture-(\d+)/g, (_, place) => {
    const image = images[place];
    return image.getAttribute("xlink:href") ?? drawn(image.naturalWidth, image.naturalHeight, image).toDataURL();
  });
}

async function canvas(svg, scale) {
  const image = make("img", { src: `data:image/svg+xml,${encodeURIComponent(svg)}` });
  await image.decode();
  const [width, height] = ["width", "height"].map((side) => parseFloat(svg.match(new RegExp(`<svg[^>]* ${side}="([\\d.]+)pt`))[1]));
  return drawn(Math.round(width * scale), Math.round(height * scale), image);
}

async function paper(drawing) { // a PDF of one page, which is one picture
  const { width, height } = drawing;
  const rgba = drawing.getContext("2d").getImageData(0, 0, width, height).data;
  const rgb = rgba.filter((_, place) => place % 4 !== 3);
  const pixels = await new Response(new Blob([rgb]).stream().pipeThrough(new CompressionStream("deflate"))).blob();
  const box = `${width / FINE} ${height / FINE}`;
  const put = `q ${width / FINE} 0 0 ${height / FINE} 0 0 cm /I Do Q`;
  const objects = [
    ["<</Type/Catalog/Pages 2 0 R>>"],
    ["<</Type/Pages/Count 1/Kids[3 0 R]>>"],
    [`<</Type/Page/Parent 2 0 R/MediaBox[0 0 ${box}]/Contents 4 0 R/Resources<</XObject<</I 5 0 R>>>>>>`],
    [`<</Length ${put.length}>>stream\n${put}\nendstream`],
    [`<</Type/XObject/Subtype/Image/Width ${width}/Height ${height}/ColorSpace/DeviceRGB/BitsPerComponent 8/Filter/FlateDecode/Length ${pixels.size}>>stream\n`, pixels, "\nendstream"],
  ];
  let file = new Blob(["%PDF-1.4\n"]);
  const places = objects.map((parts, number) => {
    const place = file.size;
    file = new Blob([file, `${number + 1} 0 obj\n`, ...parts, "\nendobj\n"]);
    return `${String(place).padStart(10, "0")} 00000 n \n`;
  });
  const end = `xref\n0 6\n0000000000 65535 f \n${places.join("")}trailer\n<</Size 6/Root 1 0 R>>\nstartxref\n${file.size}\n%%EOF\n`;
  return new Blob([file, end], { type: "application/pdf" });
}

// ---- Search over the page, also in what is folded. Drawings are left to their captions.

const BLOCKS = "h1, h2, h3, p, li, dt, dd, div, td, th, figcaption, summary";
const UNREAD = "[hidden], noscript, svg, .files, .filter, .outputs, .cue, .self";

function search() {
  const input = make("input", { type: "search", aria: { label: "Search this page" }, placeholder: "Search this page" });
  const told = make("span", { role: "status" });
  const step = (by) => { show(at + by); };
  const form = make("search", {}, input, button("↑", () => step(-1), "Previous match"), button("↓", () => step(1), "Next match"), told);
  let at = 0;

  function show(place) {
    const ranges = input.value.trim() ? matches(input.value.trim()) : [];
    form.classList.toggle("busy", input.value !== "");
    at = ranges.length ? (place + ranges.length) % ranges.length : 0;
    told.textContent = input.value.trim() ? (ranges.length ? `${at + 1} of ${ranges.length}` : "Not found") : "";
    const now = ranges[at];
    if (globalThis.CSS?.highlights) {
      CSS.highlights.set("found", new Highlight(...ranges));
      CSS.highlights.set("current", new Highlight(...(now ? [now] : [])));
    } else if (now && document.activeElement !== input) {
      getSelection().removeAllRanges();
      getSelection().addRange(now);
    }
    if (!now) return;
    reveal(now.startContainer.parentElement);
    now.startContainer.parentElement.scrollIntoView({ block: "center", inline: "nearest", behavior: "instant" });
  }

  input.addEventListener("input", () => show(0));
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") step(event.shiftKey ? -1 : 1);
    if (event.key === "Escape") { input.value = ""; show(0); }
  });
  document.querySelector("nav").prepend(form);
}

function matches(wanted) {
  const nodes = [], starts = [];
  let text = "", block = null;
  const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT, (node) => (
    node.nodeType === Node.ELEMENT_NODE ? (node.matches(UNREAD) ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_SKIP) : NodeFilter.FILTER_ACCEPT
  ));
  while (walker.nextNode()) {
    const node = walker.currentNode, own = node.parentElement.closest(BLOCKS);
    if (own !== block) text += "\0"; // no match goes from one block to the next
    block = own;
    nodes.push(node);
    starts.push(text.length);
    text += node.data;
  }
  const pattern = wanted.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&").replace(/[-−–]/g, "[-−–]").replace(/\s+/g, "\\s+");
  let place = 0;
  const within = (offset) => {
    while (place + 1 < starts.length && starts[place + 1] <= offset) place += 1;
    return [nodes[place], offset - starts[place]];
  };
  return [...text.matchAll(new RegExp(pattern, "giu"))].map((found) => {
    const range = new Range();
    range.setStart(...within(found.index));
    const [node, offset] = within(found.index + found[0].length - 1);
    range.setEnd(node, offset + 1);
    return range;
  });
}

function reveal(element) { // opens whatever it is folded away in
  for (let one = element?.closest("details"); one; one = one.parentElement.closest("details")) one.open = true;
}

// ---- Contents: the section that the reader is in is marked. It is the last that has begun in the top tenth of the window.

function contents() {
  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
  const sections = [...document.querySelectorAll("main section")].filter((section) => links.has(section.id));
  const end = make("div", { className: "end" });
  document.querySelector("main").append(end);
  const mark = () => {
    const bottom = scrollY > 0 && innerHeight + scrollY >= document.documentElement.scrollHeight - 2;
    const begun = sections.filter((section) => section.getBoundingClientRect().top <= innerHeight / 10);
    const now = bottom ? sections.at(-1) : begun.at(-1) ?? sections[0];
    links.forEach((link, id) => {
      if (id === now?.id) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    });
    const link = links.get(now?.id), list = document.querySelector("nav");
    if (link && list.scrollHeight > list.clientHeight) list.scrollTop = link.offsetTop - list.clientHeight / 2;
  };
  const line = new IntersectionObserver(mark, { rootMargin: "-10% 0px -90% 0px" });
  const last = new IntersectionObserver(mark, { threshold: [0, 1] });
  sections.forEach((section) => line.observe(section));
  last.observe(end);
}

// ---- Boxes that scroll say so. What does not scroll is no stop for Tab.

function scrolls(box) {
  const wide = box.scrollWidth > box.clientWidth + 1, tall = box.scrollHeight > box.clientHeight + 1;
  box.classList.toggle("overflows", wide);
  if (wide || tall) box.tabIndex = 0;
  else box.removeAttribute("tabindex");
  let cue = box.previousElementSibling?.matches(".cue") ? box.previousElementSibling : null;
  if (!cue && (wide || tall)) box.before(cue = make("p", { className: "cue" }));
  if (cue) {
    cue.hidden = !(wide || tall);
    cue.textContent = wide && tall ? "Scrolls sideways and down ↔ ↕" : wide ? "Scrolls sideways ↔" : "Scrolls down ↕";
  }
}

// ---- All of it

document.body.append(viewer);
viewer.addEventListener("close", () => { viewer.onkeydown = null; leave(); viewer.replaceChildren(); });
theme();
document.querySelectorAll(".table table").forEach((table) => { sortable(table); filterable(table, table.parentElement); });
document.querySelectorAll("figure.drawing").forEach(enlargeable);
document.querySelectorAll("figure.pictures").forEach(pictures);
document.querySelectorAll("figure.table").forEach(copies);
document.querySelectorAll(".files").forEach(downloads);
document.querySelectorAll("img[data-over]").forEach(whole);
if (matchMedia("(max-width: 40rem)").matches) document.querySelector("nav details").open = false;
search();
contents();
const folded = () => [...document.querySelectorAll("details:not([open])")];
let unfolded = [];
addEventListener("beforeprint", () => { unfolded = folded(); unfolded.forEach((one) => { one.open = true; }); });
addEventListener("afterprint", () => unfolded.forEach((one) => { one.open = false; }));
const boxes = new ResizeObserver((entries) => entries.forEach(({ target }) => scrolls(target)));
document.querySelectorAll(".scroll").forEach((box) => boxes.observe(box));
addEventListener("hashchange", visit);
document.addEventListener("click", (event) => { // also a link to where the page is already
  if (event.target.closest("a")?.hash === location.hash) visit();
});
function visit() { // a link to what is folded away opens it
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  target.querySelector(":scope > details.section")?.setAttribute("open", "");
  reveal(target);
  target.scrollIntoView();
}
visit();
if (document.getElementById("progress")) { // the study is running: load the page anew, but never under a reader's hands
  let touched = 0;
  const touch = () => { touched = Date.now(); };
  for (const kind of ["pointerdown", "keydown", "scroll"]) addEventListener(kind, touch, { capture: true, passive: true });
  const idle = () => Date.now() - touched > 60_000 && !document.querySelector("dialog[open]");
  setInterval(() => { if (idle()) location.reload(); }, 60_000);
}
