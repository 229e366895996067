"use strict";
// Sorting, filtering and the theme. Without it the page is the same list in its own order.
const WORDS = JSON.parse(document.getElementById("words").textContent);
const stored = { // a browser may keep nothing
  get: (key) => { try { return localStorage.getItem(key); } catch { return null; } },
  set: (key, value) => { try { localStorage.setItem(key, value); } catch { /* it is full, or forbidden */ } },
  remove: (key) => { try { localStorage.removeItem(key); } catch { /* forbidden */ } },
  names: () => { try { return Object.keys(localStorage); } catch { return []; } },
};
const visibleRows = (list) => Array.from(document.querySelectorAll(list + " tbody tr:not(.line, .group)")).filter((row) => !row.hidden);
// The text of a cell, its parts separated by commas.
const textOf = (cell) => Array.from(cell.querySelectorAll("bdi, b, code, small, span").length ? cell.childNodes : [cell],
  (node) => (node.className === "viewer" ? "" : node.textContent.trim())).filter(Boolean).join(", ");
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

(() => {
  const PRIORITIES = ["urgent", "high", "routine"];
  // Headings of groups and the line of the capacity mean something in the order of the list only.
  const marks = Array.from(document.querySelectorAll(".group, .line"), (mark) => {
    let next = mark.nextElementSibling;
    while (next?.matches(".group, .line")) next = next.nextElementSibling;
    return [mark, next];
  });
  const collator = new Intl.Collator("en", { numeric: true });
  const number = (text) => (text === "" ? Infinity : parseFloat(text)); // "4.1 %" is a number too
  const KINDS = {
    number: { value: number, compare: (a, b) => a - b || 0 },
    text: { value: (text) => text, compare: collator.compare },
    priority: { value: (text) => PRIORITIES.indexOf(text), compare: (a, b) => a - b },
  };

  function sort(table, header, direction) {
    const { value, compare } = KINDS[header.dataset.sort];
    const sign = direction === "ascending" ? 1 : -1;
    const body = table.tBodies[0];
    const own = marks.filter(([, next]) => body.contains(next));
    for (const [mark] of own) mark.remove();
    const keyed = Array.from(body.rows, (row) => [value(row.cells[header.cellIndex].textContent.trim()), row]);
    keyed.sort((a, b) => sign * compare(a[0], b[0])); // stable: ties keep the order they were in
    body.remove();
    body.append(...keyed.map(([, row]) => row));
    if (header.cellIndex === 0 && direction === "ascending") for (const [mark, next] of own) next.before(mark);
    table.append(body);
    for (const other of header.parentNode.cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", direction);
  }

  function makeSortable(header) {
    const table = header.closest("table");
    const opposite = { ascending: "descending", descending: "ascending" };
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => {
      const now = header.getAttribute("aria-sort");
      sort(table, header, opposite[now] ?? header.dataset.first ?? "ascending");
    });
  }

  const form = document.getElementById("filter");
  const shown = document.getElementById("shown");
  const find = document.getElementById("find");
  const NAMES = { ranking: "part_ranked", look: "part_human", swabbed: "part_waiting" };
  const lists = Array.from(document.querySelectorAll("#ranking, #look, #swabbed"), (section) => ({
    words: WORDS[NAMES[section.id]],
    rows: Array.from(section.querySelectorAll("tbody tr:not(.line, .group)")),
  })).filter(({ rows }) => rows.length);
  const texts = new Map();

  function text(row) {
    if (!texts.has(row)) texts.set(row, `${row.textContent} ${row.querySelector("img")?.title ?? ""}`.toLowerCase());
    return texts.get(row);
  }

  function filter() {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = new Set(Array.from(form.querySelectorAll(":checked"), (box) => box.value));
    const counts = lists.map((list) => {
      for (const row of list.rows) {
        const priority = row.dataset.priority;
        row.hidden = (priority && !wanted.has(priority)) || !words.every((word) => text(row).includes(word));
      }
      return { words: list.words, n: list.rows.filter((row) => !row.hidden).length, all: list.rows.length };
    });
    const isWhole = counts.every(({ n, all }) => n === all);
    const parts = counts.map(({ words: part, n, all }) => fill(part, { n, all })).join(", ");
    shown.textContent = isWhole ? "" : fill(WORDS.filtered, { parts });
  }

  const theme = document.getElementById("theme");
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  function showTheme(chosen) {
    if (chosen) document.documentElement.dataset.theme = chosen;
    theme.setAttribute("aria-pressed", String((chosen ?? (prefersDark.matches ? "dark" : "light")) === "dark"));
  }
  theme.addEventListener("click", () => {
    const chosen = theme.getAttribute("aria-pressed") === "true" ? "light" : "dark";
    stored.set("cxrbatch-theme", chosen);
    showTheme(chosen);
  });
  prefersDark.addEventListener("change", () => showTheme(stored.get("cxrbatch-theme")));
  showTheme(stored.get("cxrbatch-theme"));

  for (const header of document.querySelectorAll("th[data-sort]")) makeSortable(header);
  document.querySelector(".ranking th[data-sort]")?.setAttribute("aria-sort", "ascending");
  form.addEventListener("input", filter);
  form.addEventListener("reset", () => setTimeout(filter));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  document.querySelector(".tools").hidden = false;
})();
