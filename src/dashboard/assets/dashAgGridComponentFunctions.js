// A hash in the table: shortened; a click on the icon copies it, a click elsewhere opens the panel.
var dagcomponentfuncs = (window.dashAgGridComponentFunctions =
  window.dashAgGridComponentFunctions || {});

dagcomponentfuncs.HashCell = (props) =>
  React.createElement(
    "span",
    { className: "hash-cell", title: props.value },
    React.createElement("code", null, props.value.slice(0, 10) + "…" + props.value.slice(-6)),
    React.createElement(
      "button",
      { "data-copy": props.value, "aria-label": "Copy the hash", title: "Copy the hash", tabIndex: -1 },
      React.createElement("i", { className: "copy-icon" }),
    ),
  );
