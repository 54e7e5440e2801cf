// What the browser does by itself: theme, pages, pause, the drawer, copying. No request is made here.
(function () {
  "use strict";
  const root = document.documentElement;
  const me = Math.random().toString(36).slice(2) + Date.now().toString(36);

  function go(hash) {
    history.pushState(null, "", location.pathname + location.search + hash);
    window.dispatchEvent(new PopStateEvent("popstate"));
  }

  function say(words) {
    const said = document.getElementById("said");
    if (!said) return;
    said.textContent = words;
    said.classList.add("shown");
    clearTimeout(say.timer);
    say.timer = setTimeout(() => said.classList.remove("shown"), 1800);
  }

  function copy(text) {
    const done = () => say("Hash copied");
    if (navigator.clipboard && window.isSecureContext) {
      navigator.clipboard.writeText(text).then(done, () => say("The browser refused to copy"));
      return;
    }
    const box = document.createElement("textarea");
    box.value = text;
    document.body.append(box);
    box.select();
    document.execCommand("copy");
    box.remove();
    done();
  }

  // The graph component writes the reader's zoom into its own figure, by which Plotly's uirevision
  // loses it: so the ranges of the same view are carried over here.
  function keepZoom(figure, shown) {
    const before = (shown && shown.layout) || {};
    if (!figure.layout || before.uirevision !== figure.layout.uirevision) return figure;
    for (const name of Object.keys(figure.layout).filter((key) => /^[xy]axis/.test(key))) {
      const axis = figure.layout[name], old = before[name] || {};
      const zoomed = axis.range ? "" + old.range !== "" + axis.range : old.autorange === false;
      if (old.range && zoomed && !axis.fixedrange) {
        axis.range = old.range;
        axis.autorange = false;
      }
    }
    return figure;
  }

  function open(row) {
    if (row && row.getAttribute("row-id")) go("#" + row.getAttribute("row-id"));
  }

  document.addEventListener("click", (event) => {
    const copied = event.target.closest("[data-copy]");
    if (copied) {
      event.stopPropagation();
      copy(copied.dataset.copy);
      return;
    }
    if (event.target.closest(".close")) go("");
    else if (!event.target.closest("a")) open(event.target.closest("#grid .ag-row"));
  }, true);

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && location.hash.length > 16) {
      const hash = location.hash.slice(1);
      go("");
      const cell = document.querySelector(`#grid .ag-row[row-id^="${hash}"] .ag-cell`);
      if (cell) cell.focus();
    } else if (event.key === "Enter" && event.target.classList.contains("ag-cell")) {
      open(event.target.closest(".ag-row"));
    }
  });

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.page = {
    client: function (clicks) {
      if (clicks) {
        root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
        localStorage.setItem("theme", root.dataset.theme);
      }
      const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
      return { theme: root.dataset.theme, zone: zone, id: me };
    },
    show: function (path) {
      const pages = ["/", "/try", "/model"];
      const here = pages.includes(path) ? path : "/";
      setTimeout(() => window.dispatchEvent(new Event("resize")), 50);
      return [
        ...pages.map((page) => page !== here),
        ...pages.map((page) => (page === here ? "here" : "")),
      ];
    },
    pause: function (clicks) {
      return clicks % 2 ? [true, "Resume"] : [false, "Pause"];
    },
    draw: function (figures, ...shown) {
      return Object.entries(figures).map(([_, figure], i) => keepZoom(figure, shown[i]));
    },
    exported: function (search) {
      return "/export.csv" + (search || "");
    },
    pointed: function (click) {
      const point = click && click.points && click.points[0];
      return point && point.customdata ? "#" + point.customdata : window.dash_clientside.no_update;
    },
  };
})();
