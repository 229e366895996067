"use strict";
// Uploads files with their progress, small ones several at a time, and shows results as they come. Without this script the
// form works too.
const form = document.getElementById("upload");
const drop = document.getElementById("drop");
const sending = document.getElementById("sending");
const results = document.getElementById("results");
const progress = document.getElementById("progress");
const token = form.querySelector("[name=csrfmiddlewaretoken]").value;
const mostBytes = Number(form.dataset.mostBytes);
const AT_ONCE = 3;
const GROUP_FILES = 16;
const GROUP_BYTES = 4 << 20;
const queue = [];
let active = 0;
const maps = document.getElementById("maps");
let page = form.dataset.upload || "";
let since = "";
let polling = false;

for (const element of document.querySelectorAll(".script")) element.hidden = false;

function say(text) { if (progress.textContent !== text) progress.textContent = text; }

async function open() {
  if (page) return;
  const body = new FormData();
  const answer = await fetch(form.action, { method: "POST", body, headers: { "X-CSRFToken": token, Accept: "application/json" } });
  if (!answer.ok) throw new Error(answer.status === 503 ? "The queue is full: try again later." : "The server did not take the upload.");
  page = (await answer.json()).page;
  history.replaceState(null, "", page);
  document.getElementById("table").href = `${page}results.csv`;
  document.getElementById("tools").hidden = false;
}

function show(html, id) {
  const template = document.createElement("template");
  template.innerHTML = html; // rendered by the server, which escapes every name
  const element = template.content.firstElementChild;
  const there = document.getElementById(`image-${id}`);
  if (there) there.replaceWith(element); else results.append(element);
  offerMaps();
}

function offerMaps() {
  for (const button of maps.querySelectorAll("[data-map]:not([data-map=''])")) button.hidden = !results.querySelector(`.map.${button.dataset.map}`);
  maps.hidden = !results.querySelector(".map");
}

maps.addEventListener("click", (event) => {
  const pressed = event.target.closest("button");
  if (!pressed) return;
  results.dataset.map = pressed.dataset.map;
  for (const button of maps.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button === pressed));
});

function line(name) {
  const item = document.createElement("li");
  const bar = document.createElement("progress");
  bar.max = 1;
  bar.value = 0;
  bar.setAttribute("aria-label", name);
  const text = document.createElement("bdi");
  text.textContent = name;
  item.append(bar, text);
  sending.append(item);
  return { item, bar };
}

function fail(item, why) {
  item.querySelector("progress").remove();
  const text = document.createElement("strong");
  text.textContent = why;
  item.prepend(text);
}

function next() {
  const group = [];
  for (let bytes = 0; queue.length && group.length < GROUP_FILES;) {
    const { file, name } = queue[0];
    if (group.length && bytes + file.size > GROUP_BYTES) break;
    queue.shift();
    const { item, bar } = line(name);
    if (file.size > mostBytes) { fail(item, "too large:"); continue; }
    group.push({ file, name, item, bar, start: bytes });
    bytes += file.size;
  }
  return group;
}

function advance(group, loaded) {
  for (const { file, bar, start } of group) bar.value = Math.min(Math.max((loaded - start) / (file.size || 1), 0), 1);
}

function answered(group, request) {
  let answer = {};
  try { answer = JSON.parse(request.responseText); } catch { /* a page of an error */ }
  if (request.status === 200) {
    for (const row of answer.rows) show(row.html, row.id);
    for (const { item } of group) item.remove();
    poll();
  } else {
    for (const { item } of group) fail(item, answer.error || (request.status === 413 ? "too large:" : "not taken:"));
  }
}

function send(group) {
  if (!group.length) return Promise.resolve();
  return new Promise((done) => {
    const request = new XMLHttpRequest();
    request.open("POST", `${page}files/`);
    request.setRequestHeader("X-CSRFToken", token);
    request.upload.addEventListener("progress", (event) => advance(group, event.loaded));
    request.addEventListener("loadend", () => { answered(group, request); done(); });
    const body = new FormData();
    for (const { file, name } of group) {
      body.append("names", name);
      body.append("files", file);
    }
    request.send(body);
  });
}

async function work() {
  if (active >= AT_ONCE || !queue.length) return;
  active += 1;
  await send(next());
  active -= 1;
  work();
}

async function take(files) {
  if (!files.length) return;
  try {
    await open();
  } catch (error) {
    say(error.message);
    return;
  }
  queue.push(...files);
  for (let n = 0; n < AT_ONCE; n += 1) work();
}

async function poll() {
  if (polling) return;
  polling = true;
  for (let failures = 0; failures < 5;) {
    const answer = await fetch(`${page}news/?since=${encodeURIComponent(since)}`, { headers: { "X-Poll": "1" } }).catch(() => null);
    if (!answer || !answer.ok) {
      failures += 1;
      say("The server does not answer; trying again.");
      await new Promise((done) => { setTimeout(done, 2000); });
      continue;
    }
    failures = 0;
    const news = await answer.json();
    for (const row of news.rows) show(row.html, row.id);
    since = news.since;
    if (news.error) say(news.error);
    else if (news.waiting) say(`${news.waiting} waiting, about ${news.seconds < 90 ? `${news.seconds} s` : `${Math.round(news.seconds / 60)} min`}${news.ready ? "" : "; the network is starting"}`);
    else if (!news.more) {
      say("All files have an answer.");
      if (!news.maps) break;
    }
    // Seldom where it takes long: many pages ask at once.
    if (!news.more) await new Promise((done) => { setTimeout(done, Math.min(Math.max(news.waiting ? 700 : 1500, news.seconds * 333), 8000)); });
  }
  polling = false;
}

function named(list) { return Array.from(list, (file) => ({ file, name: file.webkitRelativePath || file.name })); }

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const input = document.getElementById("files");
  take(named(input.files));
  input.value = "";
});
document.getElementById("folder").addEventListener("change", (event) => {
  take(named(event.target.files));
});

async function entries(entry, prefix) {
  if (entry.isFile) return [{ file: await new Promise((done, no) => { entry.file(done, no); }), name: prefix + entry.name }];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const part = await new Promise((done, no) => { reader.readEntries(done, no); });
    if (!part.length) return found;
    for (const one of part) found.push(...await entries(one, `${prefix}${entry.name}/`));
  }
}

for (const kind of ["dragenter", "dragover"]) {
  drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
}
for (const kind of ["dragleave", "drop"]) {
  drop.addEventListener(kind, () => drop.classList.remove("over"));
}
drop.addEventListener("drop", async (event) => {
  event.preventDefault();
  const items = Array.from(event.dataTransfer.items || [], (item) => item.webkitGetAsEntry && item.webkitGetAsEntry()).filter(Boolean);
  if (!items.length) { take(named(event.dataTransfer.files)); return; }
  const found = [];
  for (const item of items) found.push(...await entries(item, ""));
  take(found);
});

offerMaps();
if (page && results.querySelector(".waiting, .unmapped")) poll();
