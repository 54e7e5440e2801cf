// Cells of the table. A hash is shortened; a click on the icon copies it, a click elsewhere opens
// the panel. A card has what matters of a row, for a phone.
var dagcomponentfuncs = (window.dashAgGridComponentFunctions =
  window.dashAgGridComponentFunctions || {});

dagcomponentfuncs.HashCell = (props) =>
  React.createElement(
    "span",
    { className: "hash-cell", title: props.value },
    React.createElement("code", null, window.dashAgGridFunctions.shortened(props.value)),
    React.createElement(
      "button",
      { "data-copy": props.value, "aria-label": "Copy the hash", title: "Copy the hash", tabIndex: -1 },
      React.createElement("i", { className: "copy-icon" }),
    ),
  );

dagcomponentfuncs.Card = ({ data }) => {
  const show = window.dashAgGridFunctions;
  const part = (name, ...children) => React.createElement("span", { className: name }, ...children);
  const line = (...parts) => React.createElement("div", { className: "card-line" }, ...parts);
  const flagged = data.flagged ? "flagged by " + show.flaggers(data.flagged_by) : "not flagged";
  return React.createElement(
    "div",
    { className: "transaction-card" },
    line(part("card-score", show.score(data.score)), part("card-flag", flagged), part("card-time", show.clock(data.time))),
    line(part("", show.btc(data.value) + " BTC"), part("", show.shortRate(data.fee_rate) + " sat/vB"), part("", show.shortTimes(data.times) + " × market")),
    line(part("card-hash", show.shortened(data.hash)), part("card-mark", data.mark || data.muted ? show.mark(data) : ""), part("", data.pattern ? show.words(data.pattern) : "")),
  );
};
