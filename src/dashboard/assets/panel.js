// The panel of a transaction, whose hash is the page's: opens, closes, walks from flag to flag, and
// takes and returns the focus.
(function () {
  "use strict";
  const steps = { j: 1, k: -1 };
  let opener = null, shown = "";

  const panel = () => document.getElementById("drawer");
  const isOpen = () => location.hash.length > 1 && location.hash !== "#transactions";

  function open(hash) {
    history.pushState(null, "", location.pathname + location.search + hash);
    window.dispatchEvent(new PopStateEvent("popstate"));
  }

  function explainRow(row) {
    if (row && row.getAttribute("row-id")) open("#" + row.getAttribute("row-id"));
  }

  async function walk(step) {
    if (document.getElementById("page-activity").hidden) return;
    const hash = await window.dash_clientside.table.neighbour(step);
    if (hash) open("#" + hash);
    else window.dash_clientside.page.showMessage("No further flagged transaction in the table");
  }

  function takeFocus() {
    opener = document.activeElement;
    panel().focus({ preventScroll: true });
  }

  // To the row of the transaction that was shown last; where it is not in the table, back to where it was.
  function returnFocus() {
    if (!panel().contains(document.activeElement) && document.activeElement !== document.body) return;
    const cell = document.querySelector(`#grid .ag-row[row-id="${shown}"] .ag-cell`);
    (cell || opener)?.focus();
  }

  // The row of the panel's transaction stands out, also where the table draws it again.
  const pointer = document.head.appendChild(document.createElement("style"));
  function pointOut(hash) {
    const digits = /^[0-9a-f]{16,64}$/.test(hash) ? hash : "";
    pointer.textContent = digits && `#grid .ag-row[row-id^="${digits}"] { background: var(--accent-soft); }`;
  }

  // The panel's class for a hash. Dash sets it first; then the focus moves.
  function follow(_hash) {
    const before = panel().classList.contains("open"), now = isOpen();
    if (now !== before) setTimeout(now ? takeFocus : returnFocus);
    if (now) shown = location.hash.slice(1);
    pointOut(now ? shown : "");
    return now ? "open" : "closed";
  }

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-copy]")) return;
    const step = event.target.closest("[data-step]");
    if (step) walk(Number(step.dataset.step));
    if (event.target.closest(".close")) open("");
    else if (!event.target.closest("a, [col-id='ag-Grid-SelectionColumn']")) explainRow(event.target.closest("#grid .ag-row"));
  }, true);

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && isOpen()) open("");
    else if (event.key === "Enter" && event.target.classList.contains("ag-cell")) {
      explainRow(event.target.closest(".ag-row"));
    } else if (steps[event.key] && !event.ctrlKey && !event.metaKey && !event.target.matches("input, textarea")) {
      walk(steps[event.key]);
    }
  });

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.panel = { follow, isOpen };
})();
