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
  function keepZoom(figure, before) {
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

  // One figure a task, and only those in sight: the page answers between them, and what nobody sees
  // costs nothing.
  const waiting = new Map(), visible = new Set();
  const inSight = new IntersectionObserver((changes) => {
    for (const { target, isIntersecting } of changes) {
      if (isIntersecting) visible.add(target.id);
      else visible.delete(target.id);
    }
    drawNext();
  }, { rootMargin: "200px" });

  function drawNext() {
    const name = [...waiting.keys()].find((each) => visible.has(each));
    if (!name || drawNext.due) return;
    drawNext.due = requestAnimationFrame(() => setTimeout(() => {
      drawNext.due = 0;
      const plot = document.querySelector(`#${name} .js-plotly-plot`);
      const figure = keepZoom(waiting.get(name), (plot && plot.layout) || {});
      waiting.delete(name);
      window.dash_clientside.set_props(name, { figure });
      drawNext();
    }));
  }

  // The page takes the place of the server's first view when its own first figure is drawn, or
  // after a while if that fails.
  function takePlace() {
    const first = document.getElementById("first");
    if (!first) return;
    const plot = document.querySelector("#timeline .js-plotly-plot");
    if ((plot && plot.data && plot.data.length) || performance.now() > 15_000) first.remove();
    else setTimeout(takePlace, 50);
  }

  function open(row) {
    if (row && row.getAttribute("row-id")) go("#" + row.getAttribute("row-id"));
  }

  setTimeout(takePlace, 15_000);

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
    draw: function (figures) {
      for (const [name, figure] of Object.entries(figures || {})) {
        const graph = document.getElementById(name);
        if (!graph) continue;
        waiting.set(name, figure);
        inSight.observe(graph);
      }
      drawNext();
      takePlace();
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
