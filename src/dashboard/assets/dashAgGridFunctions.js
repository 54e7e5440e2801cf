// How the table shows numbers and times: BTC with satoshi on hover, the viewer's clock with UTC on hover.
var dagfuncs = (window.dashAgGridFunctions = window.dashAgGridFunctions || {});

dagfuncs.btc = (satoshi) => {
  const [whole, part] = (satoshi / 1e8).toFixed(8).split(".");
  return Number(whole).toLocaleString("en") + "." + part;
};
dagfuncs.sat = (satoshi) => satoshi.toLocaleString("en") + " sat";
const decimals = (value, digits) =>
  value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
const twoDigits = (value) => value.toLocaleString("en", { maximumSignificantDigits: 2 });
dagfuncs.rate = (value) => (value >= 1 ? decimals(value, 1) : twoDigits(value));
dagfuncs.count = (value) => Math.ceil(value).toLocaleString("en");
dagfuncs.score = (value) => (value === null ? "—" : value.toFixed(3));
dagfuncs.flaggers = (name) => ({ model: "model", rule: "rule", both: "model, rule" })[name] || "–";
dagfuncs.verdict = (row) => {
  const by = { model: "the model", rule: "a rule", both: "the model and a rule" }[row.flagged_by];
  return by ? "flagged by " + by : row.score === null ? "no rule flags it; there was no model" : "not flagged";
};
dagfuncs.times = (value) => {
  if (value === null) return "—";
  return value >= 1 ? decimals(value, value >= 10 ? 0 : 1) : twoDigits(value);
};

// A cell and a card have room for six characters; the hover says all of them.
const inShort = (value, whole) =>
  value >= 1e5 ? value.toLocaleString("en", { notation: "compact", maximumSignificantDigits: 3 }).replace("K", "k") : whole(value);
dagfuncs.shortRate = (value) => inShort(value, dagfuncs.rate);
dagfuncs.shortTimes = (value) => inShort(value, dagfuncs.times);
dagfuncs.market = (row) =>
  row.market === null
    ? "what others paid then is not known"
    : dagfuncs.times(row.times) + " times what others paid then (" + row.market + " sat/vB)";
dagfuncs.shortened = (hash) => hash.slice(0, 10) + "…" + hash.slice(-6);
dagfuncs.words = (name) => (name ? name.replaceAll("_", " ") : "–");
dagfuncs.mark = (row) => [dagfuncs.words(row.mark || ""), row.muted ? "muted" : ""].filter((word) => word && word !== "–").join(", ") || "–";
dagfuncs.clock = (time) => {
  const date = new Date(time);
  const today = date.toDateString() === new Date().toDateString();
  const clock = date.toLocaleTimeString("en-GB");
  return today ? clock : date.toLocaleDateString("en-CA").slice(5) + " " + clock;
};
dagfuncs.utc = (time) => new Date(time).toISOString().slice(0, 19).replace("T", " ") + " UTC";

// Tab leaves the table, in which arrow keys move: it is one stop, not one a cell.
dagfuncs.leaveTable = () => false;

dagfuncs.gridTheme = (base) =>
  base.withParams({
    backgroundColor: "var(--panel)",
    foregroundColor: "var(--text)",
    headerBackgroundColor: "var(--panel)",
    headerTextColor: "var(--muted)",
    headerFontWeight: 500,
    borderColor: "var(--line)",
    rowHoverColor: "var(--raised)",
    selectedRowBackgroundColor: "var(--accent-soft)",
    accentColor: "var(--accent)",
    fontFamily: "inherit",
    fontSize: 13,
    headerFontSize: 12,
    spacing: 6,
    cellHorizontalPaddingScale: 0.7,
    wrapperBorder: false,
    wrapperBorderRadius: 0,
    tooltipBackgroundColor: "var(--raised)",
    tooltipTextColor: "var(--text)",
  });
