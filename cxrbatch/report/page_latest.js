
// Under the address that always shows the newest list, an old one must not look fresh; nor one in a tab left open.
(() => {
  const HOUR_MS = 3600000;
  const FRESH_HOURS = 24; // the next night has begun: if its run failed, readers see it the same morning
  const note = document.getElementById("old");

  function check() {
    const hours = Math.floor((Date.now() - Date.parse(document.body.dataset.started)) / HOUR_MS);
    note.hidden = hours < FRESH_HOURS;
    note.textContent = fill(WORDS.old, { n: hours });
  }

  if (!location.pathname.endsWith("/latest.html")) return;
  check();
  document.addEventListener("visibilitychange", check);
})();
