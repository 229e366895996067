
// Under the address that always shows the newest list, an old one must not look fresh.
(() => {
  const HOUR_MS = 3600000;
  const FRESH_HOURS = 24; // the next night has begun: if its run failed, readers see it the same morning
  const note = document.getElementById("old");
  const hours = Math.floor((Date.now() - Date.parse(document.body.dataset.started)) / HOUR_MS);
  if (!location.pathname.endsWith("/latest.html") || hours < FRESH_HOURS) return;
  note.textContent = fill(WORDS.old, { n: hours });
  note.hidden = false;
})();
