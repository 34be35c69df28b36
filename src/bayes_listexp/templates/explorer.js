"use strict";
const SVG = "http://www.w3.org/2000/svg";

// As the report prints probabilities: whole per cent, ties to even, and never 0 or 100 %.
function words(p) {
  if (p < 0.005) return "< 1 %";
  if (p > 0.995) return "> 99 %";
  const value = 100 * p;
  return (value % 1 === 0.5 ? 2 * Math.round(value / 2) : Math.round(value)) + " %";
}

function made(name, attributes, text) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

// The draws as a strip from 0 to 100 %, dark above the threshold.
function strip(start, draws, threshold) {
  const svg = document.createElementNS(SVG, "svg");
  const top = Math.max(...draws);
  svg.setAttribute("viewBox", "0 0 100 20");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  for (const above of [false, true]) {
    const path = document.createElementNS(SVG, "path");
    const kept = draws.map((n, i) => (start + i >= threshold) === above ? 19 * n / top : 0);
    path.setAttribute("d", kept.map((h, i) => h ? `M${start + i} 20v${-h.toFixed(2)}h1V20z` : "").join(""));
    path.setAttribute("class", above ? "above" : "below");
    svg.append(path);
  }
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("d", `M${threshold} 0V20`);
  line.setAttribute("class", "line");
  svg.append(line);
  return svg;
}

function explore(root) {
  const { quantity, views } = JSON.parse(root.querySelector("script").textContent);
  const selects = [...root.querySelectorAll("select")];
  const slider = root.querySelector("input");
  const body = root.querySelector("tbody");
  const said = root.querySelector(".said");
  const chosen = () => selects.map((select) => select.selectedOptions[0].textContent).join(", ");

  function show() {
    const threshold = Number(slider.value);
    root.querySelector("output").textContent = threshold + " %";
    slider.setAttribute("aria-valuetext", threshold + " %");
    root.querySelector("[data-heading=group]").textContent = selects[0].selectedOptions[0].textContent;
    root.querySelector("[data-heading=above]").textContent = `P(above ${threshold} %)`;
    const rows = views[selects.map((select) => select.value).join(",")];
    const told = [];
    body.replaceChildren(...rows.map(([label, median, interval, start, draws]) => {
      const all = draws.reduce((a, b) => a + b, 0);
      const above = draws.slice(Math.max(0, threshold - start)).reduce((a, b) => a + b, 0);
      const p = words(above / all);
      const sentence = `${label}: ${quantity.toLowerCase()} ${median} (95 % interval ${interval}); above ${threshold} % with probability ${p}` +
        ` (${above.toLocaleString("en")} of ${all.toLocaleString("en")} draws).`;
      told.push([label, p]);
      const row = made("tr", {});
      const head = made("th", { scope: "row" }, label);
      head.append(strip(start, draws, threshold));
      const cell = made("td", { class: "gt_right" });
      const button = made("button", { type: "button", title: sentence }, p);
      for (const event of ["focus", "click"]) button.addEventListener(event, () => { said.textContent = sentence; });
      cell.append(button);
      row.append(head, made("td", { class: "gt_right" }, median), made("td", { class: "gt_right" }, interval), cell);
      return row;
    }));
    return told;
  }

  function tell() {
    const told = show();
    const some = told.length > 6 ? [...told.slice(0, 3), ...told.slice(-3)] : told;
    said.textContent = `${quantity} above ${slider.value} % (${chosen()}): ` +
      some.map(([label, p]) => `${label} ${p}`).join(", ") + (told.length > 6 ? "; the others lie between." : ".");
  }

  slider.addEventListener("input", show);
  for (const control of [slider, ...selects]) control.addEventListener("change", tell);
  root.querySelector(".controls").hidden = false;
  tell();
}

document.querySelectorAll(".explorer").forEach(explore);
