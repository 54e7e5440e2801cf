// What the browser does without the server: theme, pages, pause, copying, figures.
(function () {
  "use strict";
  const root = document.documentElement;
  const browserId = Math.random().toString(36).slice(2) + Date.now().toString(36);

  function showMessage(message) {
    const toast = document.getElementById("toast");
    if (!toast) return;
    toast.textContent = message;
    toast.classList.add("shown");
    clearTimeout(showMessage.timer);
    showMessage.timer = setTimeout(() => toast.classList.remove("shown"), 1800);
  }

  function copy(text) {
    const done = () => showMessage("Copied");
    if (navigator.clipboard && window.isSecureContext) {
      navigator.clipboard.writeText(text).then(done, () => showMessage("The browser refused to copy"));
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

  // What keeps the page from being renewed: callbacks without a good answer, by their output, each
  // with the time of its first failure and the reason; and the pause.
  const failing = new Map(), patience = 20_000;
  let pausedAt = null;

  function tellWhyHalted() {
    const clock = (time) => time.toLocaleTimeString("en-GB");
    const [first] = failing.values();
    const since = first ? first.since : pausedAt;
    const word = first ? first.word : "Paused";
    const reason = first ? first.reason : "press Resume to go on";
    document.getElementById("halted").textContent = word;
    document.getElementById("halted-reason").textContent = since
      ? `${word} since ${clock(since)}: ${reason}. What is shown is from before.` : "";
    for (const id of ["halted", "halted-reason"]) document.getElementById(id).hidden = !since;
    root.toggleAttribute("data-halted", Boolean(since));
  }

  // A failure of what is not renewed, as what a reader has pressed once or has left, is also over when
  // the server answers others and was not asked for it again.
  function note(output, word, reason) {
    const before = failing.get(output), now = Date.now(), had = failing.size;
    if (word) failing.set(output, { since: before ? before.since : new Date(), last: now, word, reason });
    else {
      const isOver = (each, last) => each === output || (!each.includes("pill.children") && now - last > patience);
      for (const [each, { last }] of failing) if (isOver(each, last)) failing.delete(each);
    }
    if (had || word) tellWhyHalted();
  }

  function outputOf(address, options) {
    if (!String(address).includes("_dash-update-component")) return null;
    try {
      return JSON.parse(options.body).output;
    } catch {
      return "unknown";
    }
  }

  // The requests whose answers are on their way. Dash drops an answer when its callback has been
  // asked again meanwhile: where answers take longer than a tick, none would ever be shown.
  const underWay = new Set();

  // Every answer carries the version of the page's code. After an upgrade it differs from that of
  // an open page, whose requests the new server may no longer understand.
  const send = window.fetch;
  window.fetch = async function (...request) {
    const output = outputOf(...request);
    const asked = { body: String(request[1]?.body || "") };
    const end = () => underWay.delete(asked);
    const silent = () => {
      end();
      if (output) note(output, "Not connected", "the server does not answer");
    };
    const late = setTimeout(silent, patience);
    underWay.add(asked);
    try {
      const answer = await send.apply(this, request);
      answer.clone().blob().then(end, end);
      const failure = `the server has failed (${answer.status}), and its log says why`;
      if (output) note(output, answer.ok ? "" : "Not refreshed", failure);
      const version = answer.headers.get("Dashboard-Version");
      if (version && version !== root.dataset.version) askToReload();
      return answer;
    } catch (error) {
      silent();
      throw error;
    } finally {
      clearTimeout(late);
    }
  };

  function askToReload() {
    if (document.getElementById("reload")) return;
    const button = Object.assign(document.createElement("button"), {
      id: "reload",
      textContent: "The dashboard has been upgraded: reload this page",
      onclick: () => location.reload(),
    });
    button.setAttribute("role", "alert");
    document.body.append(button);
  }

  // Plotly's uirevision would keep the reader's zoom, but the graph component writes the zoom into
  // its own figure, where the next figure replaces it. So the ranges are copied to the next figure.
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

  // Draws one figure a task, so that the page responds between them, and only the visible ones.
  const waiting = new Map(), visible = new Set();
  const visibility = new IntersectionObserver((changes) => {
    for (const { target, isIntersecting } of changes) {
      if (isIntersecting) visible.add(target.id);
      else visible.delete(target.id);
    }
    drawNext();
  }, { rootMargin: "200px" });

  // A graph is on the page only when Plotly is there; what is to be drawn waits for it.
  function watchGraphs() {
    for (const name of waiting.keys()) {
      const graph = document.getElementById(name);
      if (graph) visibility.observe(graph);
    }
  }

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

  // Removes the server's first view when Dash has drawn the first chart or, where that is still to be
  // loaded, the table; or after 15 s without both.
  function replaceFirstView() {
    const view = document.getElementById("first-view");
    if (!view) return;
    const plot = document.querySelector("#timeline .js-plotly-plot");
    const drawn = (plot && plot.data && plot.data.length) || document.querySelector("#grid .ag-row");
    if (drawn || performance.now() > 15_000) view.remove();
    else setTimeout(replaceFirstView, 50);
  }

  setTimeout(replaceFirstView, 15_000);

  document.addEventListener("click", (event) => {
    const copied = event.target.closest("[data-copy]");
    if (!copied) return;
    event.stopPropagation();
    copy(copied.dataset.copy || location.href);
  }, true);

  // Dash's choices call themselves a list box with options, which may hold no inputs, and its slider
  // has no name. They are groups of inputs with the caption beside them as their name.
  const groups = {
    range: ["radiogroup", "Time range"],
    order: ["radiogroup", "Order of the table"],
    axis: ["radiogroup", "What the scatter shows upwards"],
    flagged: ["group", "Show"],
    flagged_by: ["group", "Only flagged by"],
    muted: ["group", "In the table"],
    "watch-severity": ["radiogroup", "Severity"],
    "watch-days": ["radiogroup", "How far to look back"],
  };

  function nameControls() {
    for (const [id, [role, name]] of Object.entries(groups)) {
      const group = document.getElementById(id);
      if (!group) continue;
      group.setAttribute("role", role);
      group.setAttribute("aria-label", name);
      group.removeAttribute("aria-multiselectable");
      for (const option of group.querySelectorAll("[role=option], [aria-selected]")) {
        option.removeAttribute("role");
        option.removeAttribute("aria-selected");
      }
    }
    const slider = document.querySelector("#threshold [role=slider]");
    if (slider) slider.setAttribute("aria-label", "Anomaly threshold");
    const file = document.querySelector("#watch-file input[type=file]");
    if (file) file.setAttribute("aria-label", "File to import");
    for (const hidden of document.querySelectorAll(".dash-dropdown-focus-target")) hidden.tabIndex = -1;
  }

  let naming = 0;
  const nameSoon = () => {
    naming ||= requestAnimationFrame(() => {
      naming = 0;
      nameControls();
      watchGraphs();
    });
  };

  new MutationObserver(nameSoon).observe(document.documentElement, {
    childList: true, subtree: true, attributeFilter: ["aria-selected", "aria-multiselectable"],
  });

  const pageOf = (path) => (path || "").slice(root.dataset.prefix.length).split("/")[0];
  const isAddress = (path) => path.startsWith(root.dataset.prefix + "address/");

  // The activity's pill is on every page, and so is the panel.
  function isRead(name, path) {
    if (name === "panel") return location.hash.length > 1;
    return name === "activity" || pageOf(path) === name;
  }

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.page = {
    showMessage,
    client: function (clicks) {
      if (clicks) {
        root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
        localStorage.setItem("theme", root.dataset.theme);
      }
      const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
      return { theme: root.dataset.theme, zone: zone, id: browserId };
    },
    show: function (path) {
      const pages = ["", "queue", "try", "watch", "mutes", "model"];
      const asked = pageOf(path);
      const here = [...pages, "case", "address"].includes(asked) ? asked : "";
      const marked = here === "case" ? "queue" : here;
      setTimeout(() => window.dispatchEvent(new Event("resize")), 50);
      return [
        ...[...pages, "case"].map((page) => page !== here),
        ...pages.map((page) => (page === marked ? "here" : "")),
      ];
    },
    showAddress: (path) => !isAddress(path),
    // What is read is asked for again, unless its answer is on the way.
    renew: (ticks, path) =>
      window.dash_clientside.callback_context.outputs_list.map(({ id }) => {
        const isAsked = [...underWay].some((asked) => asked.body.includes(`"${id}"`));
        return isRead(id.split("-")[0], path) && !isAsked ? ticks : window.dash_clientside.no_update;
      }),
    pause: function (clicks) {
      pausedAt = clicks % 2 ? new Date() : null;
      tellWhyHalted();
      return clicks % 2 ? [true, "Resume"] : [false, "Pause"];
    },
    draw: function () {
      for (const { prop_id: changed, value: figure } of window.dash_clientside.callback_context.triggered) {
        if (figure) waiting.set(changed.replace("-figure.data", ""), figure);
      }
      watchGraphs();
      drawNext();
      replaceFirstView();
    },
    // What a reader draws or clicks on a figure, for the filters, which do not wait for the figures.
    drawn: function (scatter, patterns, span, bar) {
      const on = {
        "scatter.selectedData": ["scatter", scatter],
        "patterns.clickData": ["patterns", patterns],
        "timeline.selectedData": ["span", span],
        "timeline.clickData": ["bar", bar],
      }[window.dash_clientside.callback_context.triggered[0]?.prop_id];
      return on ? { on: on[0], what: on[1] } : window.dash_clientside.no_update;
    },
    addresses: function (search) {
      return ["export.csv", "", "queue", "try", "watch", "mutes", "model"].map((path) => root.dataset.prefix + path + (search || ""));
    },
    clickedTransaction: function (inScatter, inMarket) {
      const trigger = window.dash_clientside.callback_context.triggered[0];
      const click = trigger && trigger.prop_id.startsWith("market") ? inMarket : inScatter;
      const point = click && click.points && click.points[0];
      return point && point.customdata ? "#" + point.customdata : window.dash_clientside.no_update;
    },
  };
})();
