
// Under the address that always shows the newest list, an old one must not look fresh.
(() => {
  const HOUR_MS = 3600000;
  const FRESH_HOURS = 26; // a night, and a run that starts or takes longer
  const note = document.getElementById("old");
  const hours = Math.floor((Date.now() - Date.parse(document.body.dataset.started)) / HOUR_MS);
  if (!location.pathname.endsWith("/latest.html") || hours < FRESH_HOURS) return;
  note.textContent = fill(WORDS.old, { n: hours });
  note.hidden = false;
})();
