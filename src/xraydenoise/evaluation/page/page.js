// Tables: the heads become buttons that sort
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    if (head.classList.contains("axis")) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sort(table, heads, column));
  });
}

function sort(table, heads, column) {
  const rows = [...table.tBodies[0].rows];
  const numeric = rows.some((row) => row.cells[column].dataset.value !== undefined);
  const first = numeric ? "descending" : "ascending";
  const order = heads[column].ariaSort === first ? (numeric ? "ascending" : "descending") : first;
  const sign = order === "ascending" ? 1 : -1;
  const key = (row) => (numeric ? Number(row.cells[column].dataset.value ?? NaN) : row.cells[column].textContent);
  const compare = (a, b) => {
    if (!numeric) return sign * a.localeCompare(b);
    return isNaN(a) || isNaN(b) ? isNaN(a) - isNaN(b) : sign * (a - b); // what has no number stays last
  };
  for (const head of heads) head.removeAttribute("aria-sort");
  heads[column].ariaSort = order;
  table.tBodies[0].append(...rows.map((row) => [key(row), row]).sort((a, b) => compare(a[0], b[0])).map((pair) => pair[1]));
}

// Curves: a press on a method's name leaves its line alone in colour
for (const legend of document.querySelectorAll(".legend")) {
  legend.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const lit = button.ariaPressed !== "true";
    for (const other of legend.querySelectorAll("button")) other.ariaPressed = String(lit && other === button);
    for (const line of document.querySelectorAll(".chart g[data-series]")) {
      line.classList.toggle("dim", lit && line.dataset.series !== button.dataset.series);
    }
  });
}
