// The form of the watch list: a name in the list opens its entry there, and Clear empties it.
(function () {
  "use strict";
  const empty = { entry: "", name: "", reason: "", severity: "medium" };

  function fill(form) {
    const set = window.dash_clientside.set_props;
    for (const [name, value] of Object.entries(form)) set(`watch-${name}`, { value });
    set("watch-chosen", { data: form.entry });
    set("watch-answer", { children: [] });
  }

  document.addEventListener("click", (event) => {
    const opened = event.target.closest("[data-watch]");
    if (opened) fill(JSON.parse(opened.dataset.watch));
    else if (event.target.closest("#watch-clear")) fill(empty);
    else return;
    const box = document.getElementById(opened ? "watch-name" : "watch-entry");
    box.focus({ preventScroll: true });
    box.scrollIntoView({ block: "center", behavior: "instant" });
  });
})();
