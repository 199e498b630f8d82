// The browser's own slider, with a label: the keyboard moves it, and a screen reader can name it.
const FONT = "var(--jp-ui-font-size1,13px) var(--jp-ui-font-family,Arial,sans-serif)";
const ROW = `display:flex;align-items:center;gap:8px;height:28px;color:var(--jp-ui-font-color1,CanvasText);font:${FONT}`;

function render({ model, el }) {
  const [row, label, input, said] = ["div", "label", "input", "output"].map((tag) => document.createElement(tag));
  row.style.cssText = ROW;
  input.type = "range";
  input.id = label.htmlFor = `md-slider-${Math.random()}`; // no counter: each widget has this module to itself
  input.dataset.lmSuppressShortcuts = "true"; // else JupyterLab takes the arrow keys
  input.style.cssText = "flex:1;min-width:100px;margin:0;accent-color:var(--jp-brand-color1,#1976d2)";
  said.style.cssText = "min-width:2.5em";
  row.append(label, input, said);
  el.append(row);

  function draw() {
    label.textContent = model.get("description");
    label.style.cssText = `text-align:right;white-space:nowrap;width:${model.get("label_width")}`;
    input.title = model.get("tooltip") ?? "";
    [input.min, input.max] = [model.get("min"), model.get("max")];
    input.disabled = model.get("disabled");
    input.value = model.get("value");
    said.textContent = model.get("value");
  }
  input.addEventListener("input", () => {
    model.set("value", Number(input.value));
    model.save_changes();
  });
  model.on("change", draw);
  draw();
  return () => model.off("change", draw);
}

export default { render };
