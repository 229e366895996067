// One patient: a row opens to its large image, map, figures and notes. Everything is set as text, never as HTML.
(() => {
  const MAP_KEY = "cxrbatch-map";
  const NO_MAP = "none";
  const dialog = document.getElementById("patient");
  const part = (id) => document.getElementById(id);
  const rows = Array.from(document.querySelectorAll(".ranking tbody tr:not(.line, .group), .look tbody tr"));
  const more = new Map(Array.from(document.querySelectorAll("script.patient"), (one) => [rows[one.dataset.row], one]));
  const nRanked = rows.filter((row) => row.closest(".ranking")).length;
  const details = (row) => (more.has(row) ? JSON.parse(more.get(row).textContent) : {});
  const opener = (row) => row.querySelector("th button");
  const inOrder = () => [...visibleRows(".ranking"), ...visibleRows(".look")];
  const image = (id, alt) => Object.assign(new Image(), { id, alt });
  const large = image("large", "Radiograph");
  const map = image("map", "");
  let current = null;

  function element(tag, text) {
    const made = document.createElement(tag);
    made.textContent = text;
    return made;
  }

  function list(id, texts) {
    const place = part(id).querySelector("ul") ?? part(id);
    place.replaceChildren(...texts.map((text) => element("li", text)));
    part(id).hidden = !texts.length;
  }

  function facts(row) {
    const heads = Array.from(row.closest("table").tHead.rows).at(-1).cells;
    const pairs = Array.from(row.cells).map((cell, index) => [heads[index].textContent, cell])
      .filter(([, cell]) => cell.textContent.trim() && !cell.matches(".c-flags, .c-image"));
    part("facts").replaceChildren(...pairs.flatMap(([name, cell]) => [
      element("dt", name),
      element("dd", textOf(cell)),
    ]));
  }

  function viewer(row) {
    const link = row.querySelector("a.viewer");
    part("viewer").hidden = !link;
    part("viewer").replaceChildren(...(link ? [Object.assign(link.cloneNode(true), { className: "button" })] : []));
  }

  function picture(row, found) {
    const small = row.querySelector("img");
    large.hidden = !(found.large || small);
    large.src = found.large || small?.src || "data:,";
    large.title = small?.title ?? "";
    dialog.classList.toggle("small", !found.large);
    part("picture-note").textContent = found.large ? WORDS.large_note : small ? WORDS.small_note : WORDS.no_image;
    part("adjust").hidden = !found.large;
    asItWas();
  }

  // The first lines: rank, score and band, or why there is no score; then what speaks against trusting it.
  function why(row) {
    const text = (cell) => row.querySelector(cell)?.textContent.trim() ?? "";
    const values = { rank: text(".c-rank"), n: nRanked, score: text(".c-score") };
    const reason = row.querySelector(".c-reason")?.firstChild?.textContent.trim() ?? "";
    if (row.closest(".swabbed")) return fill(WORDS.why_waiting, { day: reason });
    if (!values.rank) return fill(WORDS.why_human, { reason });
    const sentence = fill("waited" in row.dataset ? WORDS.why_waited : WORDS.why_ranked, values);
    return [sentence, WORDS.bands[row.dataset.priority]].filter(Boolean).join(", ");
  }

  function notes(row, found) {
    const covid = row.querySelector(".c-score")?.textContent.trim() ?? "";
    const others = Array.from(row.querySelectorAll(".c-finding"), (cell) => cell.textContent.trim());
    const said = [WORDS.pneumonia_higher, WORDS.normal_higher];
    const nCompared = ["urgent", "high"].includes(row.dataset.priority) ? 2 : 1; // of the others a higher normal is usual
    const higher = others.slice(0, nCompared)
      .map((score, place) => (parseFloat(score) > parseFloat(covid) ? fill(said[place], { score }) : ""));
    const flags = Array.from(row.querySelectorAll("span[title]:not(.new)"), (note) => [note.title, note.matches(".strong")]);
    const all = [[found.outside ?? "", found.distrust], ...higher.map((text) => [text, false]), ...flags].filter(([text]) => text);
    list("notes", all.map(([text]) => text));
    all.forEach(([, isStrong], place) => part("notes").children[place].classList.toggle("strong", Boolean(isStrong)));
  }

  // At first the map of the COVID-19 question, which is the last one; then whatever was chosen last.
  function maps(found) {
    const choices = [...(found.maps ?? []).slice().reverse(), [NO_MAP, WORDS.no_map, ""]];
    const buttons = choices.map(([key, name, source]) => {
      const button = element("button", name);
      button.type = "button";
      button.addEventListener("click", () => {
        stored.set(MAP_KEY, key);
        showMap(button, source, buttons);
      });
      return button;
    });
    const chosen = Math.max(choices.findIndex(([key]) => key === stored.get(MAP_KEY)), 0);
    part("maps").replaceChildren(...(choices.length > 1 ? buttons : []));
    showMap(buttons[chosen], choices[chosen][2], buttons);
    part("no-map").textContent = found.no_map ?? "";
    part("no-map").hidden = !found.no_map;
  }

  function showMap(button, source, buttons) {
    map.hidden = part("map-note").hidden = !source;
    if (source) map.src = source;
    for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
  }

  function adjust() {
    large.style.filter = `brightness(${part("brightness").value}%) contrast(${part("contrast").value}%)`;
  }

  function asItWas() {
    part("brightness").value = part("contrast").value = 100;
    adjust();
  }

  function open(row) {
    current = row;
    const found = details(row);
    part("patient-title").textContent = row.querySelector("th bdi").textContent;
    facts(row);
    viewer(row);
    picture(row, found);
    maps(found);
    part("why").textContent = why(row);
    notes(row, found);
    list("images", (found.images ?? []).map((texts) => texts.filter(Boolean).join(": ")));
    list("earlier", (found.earlier ?? []).map(([night, place, score]) => fill(WORDS.earlier_row, { night, place, score })));
    document.dispatchEvent(new CustomEvent("patient", { detail: row }));
    if (!dialog.open) dialog.showModal();
    part("patient-title").focus(); // not the box: a blank would mark the patient as done
    dialog.scrollTop = 0;
  }

  function move(step) {
    const shown = inOrder();
    const from = shown.indexOf(dialog.open ? current : document.activeElement.closest("tr"));
    const row = shown[Math.min(Math.max(from + step, 0), shown.length - 1)];
    if (!row) return;
    if (dialog.open) open(row);
    row.scrollIntoView({ block: "nearest" });
    if (!dialog.open) opener(row).focus();
  }

  // From the words that are sought to the first who has them; Enter opens whoever is the only one.
  function leaveFind(event) {
    if (event.key === "Escape" && !part("find").value) part("find").blur();
    if (event.key !== "Enter" && event.key !== "ArrowDown") return;
    event.preventDefault();
    const [first, ...others] = inOrder();
    if (!first) return;
    opener(first).focus();
    if (event.key === "Enter" && !others.length) open(first);
  }

  function press(event) {
    const isTyping = event.target.matches("input[type=search], input[type=number], input[type=range]");
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping || part("help").open) return;
    const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
    if (step) move(step);
    else if (event.key === "/" && !dialog.open) part("find").focus();
    else if (event.key === "?") part("help").showModal();
    else return;
    event.preventDefault();
  }

  part("frame").append(large, map);
  for (const row of rows) {
    const button = element("button", "");
    button.type = "button";
    const name = row.querySelector("th bdi");
    name.before(button);
    button.append(name);
    row.addEventListener("click", (event) => {
      if (!event.target.closest("a, input, label") && getSelection().isCollapsed) open(row);
    });
  }
  document.addEventListener("keydown", press);
  for (const link of document.querySelectorAll("#check a")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      open(document.getElementById(link.hash.slice(1)));
    });
  }
  part("find").addEventListener("keydown", leaveFind);
  part("keys").addEventListener("click", () => part("help").showModal());
  part("help-close").addEventListener("click", () => part("help").close());
  // The event comes late: who has gone to Find meanwhile stays there.
  dialog.addEventListener("close", () => document.activeElement === part("find") || opener(current)?.focus());
  part("previous").addEventListener("click", () => move(-1));
  part("next").addEventListener("click", () => move(1));
  part("close").addEventListener("click", () => dialog.close());
  part("brightness").addEventListener("input", adjust);
  part("contrast").addEventListener("input", adjust);
  part("as-it-was").addEventListener("click", asItWas);
})();
