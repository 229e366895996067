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
  (node) => (node.className === "viewer" ? "" : node.textContent.trim())).filter((text) => text && text !== "·").join(", ");
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

// The list as it is shown, for the scripts that follow.
const view = (() => {
  const PRIORITIES = ["urgent", "high", "routine"];
  const part = (id) => document.getElementById(id);
  const ranking = document.querySelector(".ranking");
  // Headings of groups and the line of the capacity mean something in the order of the list only.
  const marks = new Map();
  for (const mark of document.querySelectorAll(".group, .line")) {
    let next = mark.nextElementSibling;
    while (next?.matches(".group, .line")) next = next.nextElementSibling;
    marks.set(next, [...(marks.get(next) ?? []), mark]);
  }
  const collator = new Intl.Collator("en", { numeric: true });
  const number = (text) => (text === "" ? Infinity : parseFloat(text)); // "4.1 %" is a number too
  const KINDS = {
    number: { value: number, compare: (a, b) => a - b || 0 },
    text: { value: (text) => text, compare: collator.compare },
    priority: { value: (text) => PRIORITIES.indexOf(text), compare: (a, b) => a - b },
  };
  const isOrderOfList = (header) => header.cellIndex === 0 && header.getAttribute("aria-sort") === "ascending";
  const sortedBy = (table) => table.querySelector("thead [aria-sort]");

  function arrange(table, rows, header, direction) {
    const body = table.tBodies[0];
    body.remove();
    body.replaceChildren(...rows);
    table.append(body);
    sortedBy(table)?.removeAttribute("aria-sort");
    header?.setAttribute("aria-sort", direction);
    tellOrder();
  }

  function sort(table, header, direction) {
    const { value, compare } = KINDS[header.dataset.sort];
    const sign = direction === "ascending" ? 1 : -1;
    const rows = Array.from(table.tBodies[0].rows).filter((row) => !row.matches(".group, .line"));
    const keyed = rows.map((row) => [value(row.cells[header.cellIndex].textContent.trim()), row]);
    keyed.sort((a, b) => sign * compare(a[0], b[0])); // stable: ties keep the order they were in
    arrange(table, keyed.map(([, row]) => row), header, direction);
    if (isOrderOfList(header)) for (const [next, own] of marks) if (table.contains(next)) next.before(...own);
  }

  function tellOrder() {
    const by = ranking && sortedBy(ranking);
    part("sorted").hidden = !by || isOrderOfList(by);
    document.body.classList.toggle("sorted", !part("sorted").hidden);
    if (by) part("sorted-by").textContent = fill(WORDS.sorted, { column: by.textContent });
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

  const form = part("filter");
  const find = part("find");
  const boxes = Array.from(form.querySelectorAll("[name=priority]"));
  const NAMES = { ranking: "part_ranked", look: "part_human", swabbed: "part_waiting" };
  const lists = Array.from(document.querySelectorAll("#ranking, #look, #swabbed"), (section) => ({
    section,
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
    const wanted = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    const counts = lists.map((list) => {
      for (const row of list.rows) {
        const priority = row.dataset.priority;
        row.hidden = (priority && !wanted.has(priority)) || !words.every((word) => text(row).includes(word));
      }
      const n = list.rows.filter((row) => !row.hidden).length;
      list.section.hidden = !n;
      return { words: list.words, n, all: list.rows.length };
    });
    const isWhole = counts.every(({ n, all }) => n === all);
    const parts = counts.map(({ words: part, n, all }) => fill(part, { n, all })).join(", ");
    const isNobody = counts.every(({ n }) => !n);
    const said = isNobody ? WORDS.no_match : fill(WORDS.filtered, { parts });
    part("shown").textContent = part("filtered").textContent = isWhole ? "" : said;
    for (const mark of [...marks.values()].flat()) mark.hidden = !isWhole;
    document.body.classList.toggle("in-part", !isWhole);
  }

  function setFilter(words, isWanted) {
    find.value = words;
    boxes.forEach((box, place) => { box.checked = isWanted[place] ?? true; });
    filter();
  }

  function showAll() {
    setFilter("", []);
    if (ranking) sort(ranking, ranking.querySelector("thead .c-rank"), "ascending");
  }

  // Show all in the order of the list; the result brings back what was shown before.
  function whole() {
    const before = [find.value, boxes.map((box) => box.checked)];
    const header = ranking && sortedBy(ranking);
    const arranged = ranking && [Array.from(ranking.tBodies[0].rows), header, header?.getAttribute("aria-sort")];
    showAll();
    return () => {
      if (ranking) arrange(ranking, ...arranged);
      setFilter(...before);
    };
  }

  function toTheFirst(event) {
    event.preventDefault();
    showAll();
    part("ranking").scrollIntoView();
    ranking?.querySelector("tbody th button").focus({ preventScroll: true });
  }

  const theme = part("theme");
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
  part("show-all").addEventListener("click", showAll);
  part("in-order").addEventListener("click", showAll);
  document.querySelector(".todo .first").addEventListener("click", toTheFirst);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  document.querySelector(".tools").hidden = false;
  return { whole };
})();
