// The round through the wards: marks of what is done, the first K in print, lines as text.
(() => {
  const part = (id) => document.getElementById(id);
  const ranked = Array.from(document.querySelectorAll(".ranking tbody tr:not(.line, .group)"));
  const rows = [...ranked, ...document.querySelectorAll(".look:not(.swabbed) tbody tr")];
  const boxes = new Map(rows.map((row) => [row, document.createElement("input")]));
  const DAY_MS = 86400000;
  const KEPT_DAYS = 30;
  const PREFIX = "cxrbatch-done-";
  const key = PREFIX + document.body.dataset.report;
  let shown = null;

  // Marks are the places of rows in this very report: no word of a patient is kept.
  function read(name) {
    try { return JSON.parse(stored.get(name)) ?? {}; } catch { return {}; }
  }

  function show() {
    for (const row of rows) row.classList.toggle("done", boxes.get(row).checked);
    const n = rows.filter((row) => boxes.get(row).checked).length;
    part("n-done").textContent = n ? fill(WORDS.n_done, { n, all: rows.length }) : "";
    part("done").checked = boxes.get(shown)?.checked ?? false;
  }

  function load() {
    const done = new Set(read(key).done ?? []);
    rows.forEach((row, place) => { boxes.get(row).checked = done.has(place); });
    show();
  }

  function keep() {
    const done = rows.flatMap((row, place) => (boxes.get(row).checked ? [place] : []));
    stored.set(key, JSON.stringify({ day: Math.floor(Date.now() / DAY_MS), done }));
    show();
  }

  function forgetOld() {
    for (const name of stored.names().filter((name) => name.startsWith(PREFIX))) {
      if (!(read(name).day > Date.now() / DAY_MS - KEPT_DAYS)) stored.remove(name);
    }
  }

  function mark(row, isDone) {
    if (!boxes.has(row)) return;
    boxes.get(row).checked = isDone;
    keep();
  }

  function addBox(row) {
    const box = boxes.get(row);
    const name = row.querySelector("th bdi").textContent;
    Object.assign(box, { type: "checkbox", className: "mark" });
    box.setAttribute("aria-label", fill(WORDS.mark, { name }));
    box.addEventListener("change", keep);
    row.querySelector(".c-rank, th").prepend(box);
  }

  // Paper has the whole list or its first patients, in the order of the list, whatever the screen shows.
  const printed = part("n-printed");
  let back = null;
  function printWhole() {
    back ??= view.whole();
    print();
  }

  function printFirst() {
    if (!printed.reportValidity()) return;
    const n = printed.valueAsNumber;
    ranked.forEach((row, place) => row.classList.toggle("beyond", place >= n));
    const isFewer = n < Number(printed.defaultValue); // fewer than there are swabs
    for (const one of document.querySelectorAll(".line, .todo .first")) one.classList.toggle("beyond", isFewer);
    document.body.classList.add("only-first");
    part("only-first").textContent = fill(WORDS.only_first, { n, all: ranked.length });
    printWhole();
  }

  function afterPrint() {
    for (const one of document.querySelectorAll(".beyond")) one.classList.remove("beyond");
    document.body.classList.remove("only-first");
    part("only-first").textContent = "";
    back?.();
    back = null;
  }

  // A cell that a spreadsheet would take for a formula gets an apostrophe, as in the CSV.
  const asText = (text) => text.replace(/\s+/g, " ").trim().replace(/^(?=[=+\-@])/, "'");
  const cellsOf = (row) => Array.from(row.cells).filter((cell) => !cell.matches(".c-image"));
  const lineOf = (row) => cellsOf(row).map((cell) => asText(textOf(cell))).join("\t");
  function linesOf(list) {
    const head = list[0]?.closest("table").tHead.rows;
    return head ? [lineOf(Array.from(head).at(-1)), ...list.map(lineOf)].join("\n") : "";
  }

  // The ranking as it is shown, then whoever needs a human.
  const shownLines = () => [".ranking", ".look:not(.swabbed)"].map((list) => linesOf(visibleRows(list))).filter(Boolean).join("\n\n");

  async function copy(text, button) {
    try {
      await navigator.clipboard.writeText(text);
    } catch { // a page that is served without TLS
      const area = document.createElement("textarea");
      area.value = text;
      (part("patient").open ? part("patient") : document.body).append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    const name = button.textContent;
    button.textContent = WORDS.copied;
    setTimeout(() => { button.textContent = name; }, 1500);
  }

  forgetOld();
  rows.forEach(addBox);
  load();
  addEventListener("storage", (event) => { if (event.key === key) load(); }); // marked in another tab
  document.addEventListener("patient", ({ detail: row }) => {
    shown = row;
    part("done-label").hidden = !boxes.has(row);
    part("done").checked = boxes.get(row)?.checked ?? false;
  });
  part("done").addEventListener("change", () => mark(shown, part("done").checked));
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.matches("input[type=search], input[type=number]");
    if (event.key !== "x" || event.ctrlKey || event.metaKey || event.altKey || isTyping) return;
    const row = part("patient").open ? shown : document.activeElement.closest("tr");
    if (boxes.has(row)) mark(row, !boxes.get(row).checked);
  });
  part("print").addEventListener("click", printWhole);
  if (printed) {
    part("print-first").addEventListener("click", printFirst);
    printed.addEventListener("keydown", (event) => { if (event.key === "Enter") printFirst(); });
  }
  addEventListener("afterprint", afterPrint);
  part("copy").addEventListener("click", () => copy(shownLines(), part("copy")));
  part("copy-line").addEventListener("click", () => copy(linesOf([shown]), part("copy-line")));
})();
