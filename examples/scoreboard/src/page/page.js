const PALETTE = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8b6fd6", "#a0522d", "#7f8c8d", "#c0392b"];
const PLOTS = ["rate", "queue", "late", "loss"];
const MARGIN = { left: 52, right: 8, top: 8, bottom: 20 };
const byId = (id) => document.getElementById(id);
const colour = (index) => PALETTE[index % PALETTE.length];
const shown = new Set(data.algorithms.keys());
let hover = null;

function option(select, value, text) {
  const item = document.createElement("option");
  item.value = value;
  item.textContent = text;
  select.append(item);
}

function current() {
  return data.cases[byId("case").value];
}

/** The flows that are looked at. */
function flows() {
  const chosen = byId("flow").value;
  return chosen === "all" ? [...current().shares.keys()] : [Number(chosen)];
}

/** Curves of a plot: each with the algorithm, the flow and its points. */
function curves(plot) {
  const made = [];
  current().runs.forEach((run, algorithm) => {
    if (!run || !shown.has(algorithm)) return;
    if (plot === "queue") made.push({ algorithm, flow: null, points: run.queue });
    else for (const flow of flows()) {
      const key = plot === "rate" ? byId("rate").value : plot;
      made.push({ algorithm, flow, points: run.flows[flow][key] });
    }
    if (plot === "rate" && run.tcp.length > 0) made.push({ algorithm, flow: "tcp", points: run.tcp });
  });
  return made;
}

/** A round number of about a fourth of the height. */
function tick(max) {
  const rough = max / 4 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough);
}

function draw(plot) {
  const canvas = byId(`plot-${plot}`);
  const style = getComputedStyle(document.documentElement);
  const [text, line, area] = ["--faint", "--line", "--area"].map((name) => style.getPropertyValue(name));
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  [canvas.width, canvas.height] = [width * ratio, height * ratio];
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const item = current();
  const lines = curves(plot);
  const count = item.capacity.length;
  const shares = plot === "rate" ? flows().map((flow) => item.shares[flow]) : [];
  const peak = Math.max(...[...lines.map((one) => one.points), ...shares].flat(), plot === "loss" ? 10 : 1);
  const step = tick(peak * 1.05);
  const max = Math.min(Math.ceil((peak * 1.05) / step) * step, plot === "loss" ? 100 : Infinity);
  const inner = { width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom };
  const x = (index) => MARGIN.left + (inner.width * index) / count;
  const y = (value) => MARGIN.top + inner.height * (1 - Math.min(value, max) / max);
  const path = (points, dash = [], thick = 1.5) => {
    pen.setLineDash(dash);
    pen.lineWidth = thick;
    pen.beginPath();
    points.forEach((value, index) => {
      pen.lineTo(x(index), y(value));
      pen.lineTo(x(index + 1), y(value));
    });
    pen.stroke();
  };
  if (plot === "rate") {
    pen.fillStyle = area;
    item.capacity.forEach((value, index) => pen.fillRect(x(index), y(value), inner.width / count + 0.5, y(0) - y(value)));
  }
  pen.font = "11px system-ui, sans-serif";
  pen.fillStyle = text;
  pen.strokeStyle = line;
  pen.lineWidth = 1;
  for (let value = 0; value <= max; value += step) {
    pen.beginPath();
    pen.moveTo(MARGIN.left, y(value));
    pen.lineTo(width - MARGIN.right, y(value));
    pen.stroke();
    pen.textAlign = "right";
    pen.fillText(String(Math.round(value * 10) / 10), MARGIN.left - 6, y(value) + 4);
  }
  const seconds = count * data.step;
  const every = tick(seconds / 2);
  for (let second = 0; second <= seconds; second += every) {
    pen.textAlign = "center";
    pen.fillText(`${second} s`, Math.max(x(second / data.step), MARGIN.left + 8), height - 5);
  }
  pen.strokeStyle = text;
  shares.forEach((share) => path(share, [2, 3], 1));
  lines.forEach((one) => {
    pen.strokeStyle = colour(one.algorithm);
    const dash = one.flow === "tcp" ? [1, 4] : [[], [6, 3], [2, 2], [8, 2, 2, 2]][(one.flow ?? 0) % 4];
    path(one.points, dash, lines.length > 8 ? 1 : 1.5);
  });
  if (hover !== null) {
    pen.setLineDash([]);
    pen.strokeStyle = text;
    pen.beginPath();
    pen.moveTo(x(hover + 0.5), MARGIN.top);
    pen.lineTo(x(hover + 0.5), height - MARGIN.bottom);
    pen.stroke();
  }
}

function tell() {
  const box = byId("values");
  box.replaceChildren();
  const say = (text, own) => {
    const part = document.createElement("span");
    if (own) part.style.color = own;
    part.textContent = text;
    box.append(part);
  };
  if (hover === null) {
    say("Point at a curve for its values. Dashes tell flows apart; widely dotted is TCP.");
    return;
  }
  say(`${(hover * data.step).toFixed(1)} s`);
  current().runs.forEach((run, algorithm) => {
    if (!run || !shown.has(algorithm)) return;
    const rates = flows().map((flow) => run.flows[flow][byId("rate").value][hover]).join(" + ");
    say(`${data.algorithms[algorithm]} ${rates} kbit/s, ${run.queue[hover]} ms`, colour(algorithm));
  });
}

function render() {
  PLOTS.forEach(draw);
  tell();
}

function table() {
  const made = document.createElement("table");
  const row = (cells, kind) => {
    const line = made.insertRow();
    cells.forEach((text) => {
      const cell = document.createElement(kind);
      cell.textContent = text;
      line.append(cell);
    });
  };
  row(data.columns, "th");
  current().rows.forEach((cells) => row(cells, "td"));
  byId("table").replaceChildren(made);
}

function choose() {
  const item = current();
  byId("title").textContent = item.title;
  const select = byId("flow");
  select.replaceChildren();
  option(select, "all", item.shares.length > 1 ? "all" : "the only one");
  if (item.shares.length > 1) item.shares.forEach((_, flow) => option(select, flow, String(flow + 1)));
  location.hash = item.name;
  hover = null;
  table();
  render();
}

function legend() {
  data.algorithms.forEach((name, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.title = "click: show or hide; double click: alone";
    button.style.setProperty("--own", colour(index));
    button.append(document.createElement("i"), name);
    const press = () => byId("legend").childNodes.forEach((one, at) => one.setAttribute("aria-pressed", shown.has(at)));
    button.onclick = () => {
      if (!shown.delete(index)) shown.add(index);
      press();
      render();
    };
    button.ondblclick = () => {
      shown.clear();
      shown.add(index);
      press();
      render();
    };
    byId("legend").append(button);
    press();
  });
}

function theme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
}

data.cases.forEach((item, index) => option(byId("case"), index, item.name));
legend();
theme(matchMedia("(prefers-color-scheme: dark)").matches);
const asked = data.cases.findIndex((item) => `#${item.name}` === location.hash);
byId("case").value = Math.max(asked, 0);
byId("case").onchange = choose;
byId("flow").onchange = render;
byId("rate").onchange = render;
byId("theme").onclick = () => {
  theme(document.documentElement.dataset.theme !== "dark");
  render();
};
for (const plot of PLOTS) {
  const canvas = byId(`plot-${plot}`);
  canvas.onmousemove = (event) => {
    const inner = canvas.clientWidth - MARGIN.left - MARGIN.right;
    const count = current().capacity.length;
    const at = Math.floor(((event.offsetX - MARGIN.left) / inner) * count);
    hover = at >= 0 && at < count ? at : null;
    render();
  };
  canvas.onmouseleave = () => {
    hover = null;
    render();
  };
}
addEventListener("resize", render);
document.querySelector("footer").textContent =
  `Curves of the first seed, one point each ${data.step} s; tables of ${data.seeds} seeds.`;
choose();
