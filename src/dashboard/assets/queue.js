// The queue by keyboard: j and k walk the cases, s marks one as seen, a assigns it to the viewer,
// n and e open the form for it.
// And the name that a person signs with, which the browser remembers.
(function () {
  "use strict";
  const KEY = "author", steps = { j: 1, k: -1 };
  const at = (id) => document.getElementById(id);
  let target = null;

  const isHere = () => { const page = at("page-queue"); return page && !page.hidden; };
  const rows = () => [...document.querySelectorAll("#queue-list li[data-case]")];
  const rowOf = (element) => element && element.closest && element.closest("#queue-list li[data-case]");
  const link = (row) => row.querySelector("a");

  // The row that has the focus, or had it before it was drawn anew, or else the one of the form.
  function current() {
    const here = rowOf(document.activeElement);
    return here || rows().find((row) => row.dataset.case === (walked ?? target)) || null;
  }

  // A row that is drawn anew has lost the focus: whoever walks by keyboard goes on where they were.
  let walked = null;
  document.addEventListener("focusin", (event) => { walked = rowOf(event.target)?.dataset.case ?? null; });
  document.addEventListener("pointerdown", (event) => { if (!rowOf(event.target)) walked = null; });
  function keepFocus() {
    if (!walked || !isHere() || document.activeElement !== document.body) return;
    const row = rows().find((each) => each.dataset.case === walked);
    if (row) link(row).focus({ preventScroll: true });
  }

  function walk(step) {
    const all = rows(), here = all.indexOf(current());
    const next = all[here < 0 ? 0 : here + step];
    if (next) link(next).focus();
    else window.dash_clientside.page.showMessage(step > 0 ? "This is the last case here" : "This is the first case");
  }

  function aim(row) {
    target = row.dataset.case;
    window.dash_clientside.set_props("queue-target", { data: Number(target) });
    at("queue-form-title").textContent = `Work on case ${target}`;
    for (const each of rows()) each.classList.toggle("aimed", each === row);
    const closed = row.dataset.state === "closed";
    for (const name of ["seen", "closed", "assign"]) at(`queue-do-${name}`).hidden = closed;
    at("queue-do-reopened").hidden = !closed;
  }

  function open(row, focus) {
    aim(row);
    at("queue-answer").textContent = "";
    at("queue-work").hidden = false;
    setTimeout(() => document.querySelector(focus)?.focus());
  }

  function close() {
    at("queue-work").hidden = true;
    const row = current() || rows()[0];
    if (row) link(row).focus();
  }

  // Presses a button of the form without opening it, unless the name is missing.
  function press(row, button, words) {
    aim(row);
    if (!localStorage.getItem(KEY) && !at("queue-author").value.trim()) return open(row, "#queue-author");
    if (row.dataset.state === "closed") return window.dash_clientside.page.showMessage("It is closed");
    setTimeout(() => at(`queue-do-${button}`).click());
    window.dash_clientside.page.showMessage(`Case ${target}: ${words}`);
  }

  document.addEventListener("keydown", (event) => {
    if (!isHere() || event.ctrlKey || event.metaKey || event.altKey) return;
    const form = at("queue-work"), typing = event.target.matches("input, textarea, select");
    if (event.key === "Escape" && !form.hidden && !location.hash) return close();
    if (typing) return;
    if (steps[event.key]) return walk(steps[event.key]);
    const row = current();
    if (!row || form.contains(event.target)) return;
    if (event.key === "s") press(row, "seen", "seen");
    else if (event.key === "a") press(row, "mine", "yours");
    else if (event.key === "n") open(row, "#queue-note");
    else if (event.key === "e") open(row, "#queue-label input");
    else return;
    event.preventDefault();
  });

  // The name is the same in every form; what is typed in one is written to the others.
  function author(...names) {
    const changed = window.dash_clientside.callback_context.triggered[0];
    const typed = changed && changed.prop_id.endsWith(".value") ? changed.value : null;
    if (typed) localStorage.setItem(KEY, typed);
    const given = at("queue-form-title").dataset.viewer;
    const name = given || typed || localStorage.getItem(KEY) || "";
    return names.map(() => name);
  }

  // Dash's choices call themselves a list box with options, which may hold no inputs.
  function nameLabels() {
    for (const id of ["case-label", "queue-label"]) {
      const group = at(id);
      if (!group) continue;
      group.setAttribute("role", "radiogroup");
      group.setAttribute("aria-labelledby", `${id}-caption`);
      group.removeAttribute("aria-multiselectable");
      for (const option of group.querySelectorAll("[role=option], [aria-selected]")) {
        option.removeAttribute("role");
        option.removeAttribute("aria-selected");
      }
    }
  }

  let naming = 0;
  new MutationObserver(() => {
    naming ||= requestAnimationFrame(() => { naming = 0; nameLabels(); keepFocus(); });
  }).observe(document.documentElement, {
    childList: true, subtree: true, attributeFilter: ["aria-selected", "aria-multiselectable"],
  });

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.queue = { author };
})();
