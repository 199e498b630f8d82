// The browser's own slider, with a label: the keyboard moves it, and a screen reader can name it.
let sliders = 0;

function render({ model, el }) {
  const label = document.createElement("label"), input = document.createElement("input"), said = document.createElement("output");
  input.type = "range";
  input.id = label.htmlFor = `md-slider-${++sliders}`;
  input.dataset.lmSuppressShortcuts = "true"; // else JupyterLab takes the arrow keys
  input.style.cssText = "flex:1 1 160px;min-width:120px;accent-color:var(--jp-brand-color1,#1976d2)";
  el.style.cssText += "display:flex;align-items:center;gap:8px;margin:2px;color:var(--jp-ui-font-color1,CanvasText);";
  el.style.font = "var(--jp-ui-font-size1,13px) var(--jp-ui-font-family,Arial,sans-serif)";
  el.append(label, input, said);

  function draw() {
    label.textContent = model.get("description");
    label.style.cssText = `text-align:right;width:${model.get("label_width")}`;
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
