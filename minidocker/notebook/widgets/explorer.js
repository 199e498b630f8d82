// A list of a hundred thousand rows of which only those on the screen exist. The kernel has the rows: pages of them
// are asked for by messages, {ask: page, version}, and come as {page, version, rows}. Names are only ever text.
const HEIGHT = 24, PAGE = 50, MARGIN = 8;
const WORDS = { A: "added", M: "modified", D: "deleted" };

function make(tag, attributes, text) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

function render({ model, el }) {
  const id = `md-list-${Math.random()}`; // no counter: each widget has this module to itself
  const grid = make("div", { role: "grid", tabindex: "0", class: "md-grid", "data-lm-suppress-shortcuts": "true" });
  const head = make("div", { role: "row", class: "md-row md-head", "aria-rowindex": "1" });
  const body = make("div", { role: "rowgroup", class: "md-body" });
  const status = make("div", { role: "status", class: "md-status" });
  const heads = make("div", { role: "rowgroup", class: "md-heads" });
  const pages = new Map(), asked = new Set();
  let frame = 0, top = -1;

  for (const name of model.get("columns")) head.append(make("div", { role: "columnheader" }, name));
  heads.append(head);
  grid.append(heads, body);
  el.classList.add("md-explorer");
  el.append(grid, status);

  const total = () => Math.max(model.get("total"), 0);
  const chosen = () => model.get("selected");

  function row(index) {
    const cells = pages.get(Math.floor(index / PAGE))?.[index % PAGE];
    const node = make("div", { role: "row", class: "md-row", id: `${id}-${index}`, "aria-rowindex": index + 2 });
    node.setAttribute("aria-selected", index === chosen());
    node.style.top = `${index * HEIGHT}px`;
    node.dataset.index = index;
    for (const cell of cells ?? ["", "…", "", ""]) node.append(make("div", { role: "gridcell" }, cell));
    const [letter, path] = node.children;
    letter.className = `md-letter md-is-${cells?.[0] || "none"}`;
    if (cells?.[0]) letter.setAttribute("aria-label", WORDS[cells[0]]);
    path.title = cells?.[1] ?? "";
    return node;
  }

  function ask(page) {
    if (pages.has(page) || asked.has(page)) return;
    asked.add(page);
    model.send({ ask: page, version: model.get("version") });
  }

  function draw() {
    frame = 0;
    const first = Math.max(Math.floor(grid.scrollTop / HEIGHT) - MARGIN, 0);
    const last = Math.min(first + Math.ceil(grid.clientHeight / HEIGHT) + 2 * MARGIN, total());
    for (let page = Math.floor(first / PAGE); page * PAGE < last; page++) ask(page);
    body.style.height = `${total() * HEIGHT}px`;
    grid.setAttribute("aria-rowcount", total() + 1);
    grid.setAttribute("aria-label", model.get("label"));
    const nodes = [];
    for (let index = first; index < last; index++) nodes.push(row(index));
    body.replaceChildren(...nodes);
    const here = chosen() >= first && chosen() < last;
    if (here) grid.setAttribute("aria-activedescendant", `${id}-${chosen()}`);
    else grid.removeAttribute("aria-activedescendant");
    status.textContent = model.get("said");
  }

  const redraw = () => { frame ||= requestAnimationFrame(draw); };

  function renew() {
    pages.clear();
    asked.clear();
    pages.set(0, model.get("first"));
    if (model.get("total") < 0) { pages.clear(); ask(0); }
    show(chosen(), true);
    redraw();
  }

  function show(index, anew) {
    const room = grid.clientHeight - heads.offsetHeight;
    const y = Math.max(index, 0) * HEIGHT;
    if (y < grid.scrollTop) grid.scrollTop = y;
    else if (y + HEIGHT > grid.scrollTop + room) grid.scrollTop = y + HEIGHT - room;
    else if (anew && index < 0) grid.scrollTop = 0;
  }

  function choose(index) {
    if (!total()) return;
    const wanted = Math.min(Math.max(index, 0), total() - 1);
    model.set("selected", wanted);
    model.save_changes();
    show(wanted);
    redraw();
  }

  grid.addEventListener("scroll", () => { if (grid.scrollTop !== top) { top = grid.scrollTop; redraw(); } });
  grid.addEventListener("click", (event) => {
    const hit = event.target.closest("[data-index]");
    if (hit) choose(Number(hit.dataset.index));
  });
  grid.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(Math.floor((grid.clientHeight - heads.offsetHeight) / HEIGHT) - 1, 1);
    const moves = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page, Home: -Infinity, End: Infinity };
    if (!(event.key in moves)) return;
    event.preventDefault();
    event.stopPropagation();
    choose(Math.max(chosen(), event.key === "ArrowDown" ? -1 : 0) + moves[event.key]);
  });
  const answer = (message) => {
    if (message.version !== model.get("version")) return;
    asked.delete(message.page);
    pages.set(message.page, message.rows);
    redraw();
  };
  const select = () => { show(chosen()); redraw(); };
  model.on("msg:custom", answer);
  model.on("change:version", renew);
  model.on("change:selected", select);
  model.on("change:said change:total", redraw);
  const resized = new ResizeObserver(redraw);
  resized.observe(grid);
  renew();
  return () => {
    resized.disconnect();
    model.off("msg:custom", answer);
    model.off("change:version", renew);
    model.off("change:selected", select);
    model.off("change:said change:total", redraw);
  };
}

export default { render };
