"use strict";
// Sorts and filters tables. Without it, and in print, every row is there in the order of the report.
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.querySelectorAll("th[data-column]")];
  if (rows.length <= 6 || !heads.length) continue;

  // The text of a cell as a number, if it begins with one: signs, thousands, "±", "<", ">" and units are read over.
  const number = (text) => {
    const found = text.replace(/−/g, "-").replace(/[\u202f\u00a0,](?=\d{3})/g, "").match(/^([<>]?)\s*([-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?)/i);
    if (!found) return NaN;
    const value = Number(found[2]);
    return found[1] ? value + (found[1] === "<" ? -1 : 1) * Math.abs(value) * 1e-9 : value;
  };
  const words = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  const text = (row, column) => row.cells[column].textContent.trim();
  const compare = (column, numeric, down) => (one, other) => {
    const [a, b] = [text(one, column), text(other, column)];
    const [x, y] = numeric ? [number(a), number(b)] : [0, 0];
    const lacking = (a === "–" || Number.isNaN(x)) - (b === "–" || Number.isNaN(y));
    if (lacking) return lacking; // What does not exist comes last, whichever way.
    return (down ? -1 : 1) * (numeric ? x - y : words.compare(a, b));
  };

  for (const head of heads) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      for (const other of heads) other.removeAttribute("aria-sort");
      const next = { ascending: "descending", descending: null }[before] ?? (before ? null : "ascending");
      if (next) head.setAttribute("aria-sort", next);
      const numeric = head.classList.contains("number");
      const order = next ? [...rows].sort(compare(Number(head.dataset.column), numeric, next === "descending")) : rows;
      body.append(...order);
    });
  }

  const find = document.createElement("div");
  find.className = "find";
  const label = document.createElement("label");
  const field = document.createElement("input");
  const count = document.createElement("span");
  label.textContent = "Filter rows";
  label.htmlFor = field.id = `${table.id}-filter`;
  field.type = "search";
  field.autocomplete = "off";
  field.spellcheck = false;
  count.setAttribute("aria-live", "polite");
  const show = () => {
    const asked = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let left = 0;
    for (const row of rows) {
      const own = row.textContent.toLowerCase();
      row.hidden = !asked.every((word) => own.includes(word));
      left += !row.hidden;
    }
    count.textContent = `${left} of ${rows.length} rows`;
  };
  field.addEventListener("input", show);
  find.append(label, field, count);
  table.closest(".table, .scroll").before(find);
  show();
}
