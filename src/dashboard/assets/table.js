// The table in the browser: new rows wait for a reader, keys walk the flags, a phone shows cards.
(function () {
  "use strict";
  const narrow = window.matchMedia("(max-width: 720px)");
  const cardHeight = 84;
  let shown = null, wide = null;

  const grid = () => document.getElementById("grid");
  const ready = () => window.dash_ag_grid.getApiAsync("grid");

  // Whoever points at the table, is in it, or reads about one of its rows, is aiming at something.
  function isRead() {
    const table = grid();
    return table.matches(":hover") || table.contains(document.activeElement) || window.dash_clientside.panel.isOpen();
  }

  function rows(view, _clicks) {
    const { no_update: unchanged, callback_context: context } = window.dash_clientside;
    if (!view) return [unchanged, unchanged, unchanged];
    if (!shown) ready().then(fit);
    const asked = context.triggered.some((each) => each.prop_id.startsWith("show-new"));
    if (!shown || asked || view.query !== shown.query || !isRead()) {
      shown = view;
      return [view.rows, "", true];
    }
    const now = new Map(view.rows.map((row) => [row.hash, row]));
    const before = new Set(shown.rows.map((row) => row.hash));
    const waiting = view.rows.filter((row) => !before.has(row.hash)).length;
    const kept = shown.rows.map((row) => now.get(row.hash) || row);
    return [kept, `${waiting} new`, !waiting];
  }

  // On a phone one column of cards takes the place of all others.
  function fit(api) {
    wide ||= { row: api.getGridOption("rowHeight"), header: api.getGridOption("headerHeight") };
    const names = api.getColumns().map((column) => column.getColId());
    api.setColumnsVisible(names.filter((name) => name !== "card"), !narrow.matches);
    api.setColumnsVisible(["card"], narrow.matches);
    api.setGridOption("rowHeight", narrow.matches ? cardHeight : wide.row);
    api.setGridOption("headerHeight", narrow.matches ? 0 : wide.header);
    api.resetRowHeights();
  }

  narrow.addEventListener("change", () => ready().then(fit));

  // The hash of the next flagged row after that of the panel, in the table's order; or before it.
  async function neighbour(step) {
    const flagged = [];
    const api = await ready();
    api.forEachNodeAfterFilterAndSort((node) => node.data.flagged && flagged.push(node));
    const here = flagged.findIndex((node) => location.hash.slice(1).startsWith(node.data.hash.slice(0, 16)));
    const next = flagged[here < 0 ? 0 : here + step];
    if (!next) return null;
    api.ensureNodeVisible(next);
    return next.data.hash;
  }

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.table = { rows, neighbour };
})();
