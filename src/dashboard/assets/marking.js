// What people think: the name that they sign with, the bar of selected rows, and the end of a mute.
(function () {
  "use strict";
  const KEY = "author";

  // The name is the same in every place, and the browser remembers it.
  function author(...names) {
    const changed = window.dash_clientside.callback_context.triggered[0];
    const typed = changed && changed.value !== undefined && changed.prop_id.endsWith(".value") ? changed.value : undefined;
    if (typed === undefined || typed === null) {
      const kept = localStorage.getItem(KEY) || "";
      return names.map(() => kept);
    }
    localStorage.setItem(KEY, typed);
    return names.map(() => typed);
  }

  function selection(rows) {
    const count = (rows || []).length;
    if (count) window.dash_clientside.set_props("selection-answer", { children: "" });
    return [!count, `${count} selected: mark as`];
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-end-mute]");
    if (!button) return;
    const data = { id: button.dataset.endMute, at: Date.now() };
    window.dash_clientside.set_props("mute-to-end", { data });
  });

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.marking = { author, selection };
})();
