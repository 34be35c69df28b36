"use strict";
const SVG = "http://www.w3.org/2000/svg";

// As the report prints probabilities: whole per cent, ties to even, and never 0 or 100 %.
function words(p) {
  if (p <= 0.005) return "< 1 %";
  if (p >= 0.995) return "> 99 %";
  const value = 100 * p;
  return (value % 1 === 0.5 ? 2 * Math.round(value / 2) : Math.round(value)) + " %";
}

function made(name, attributes, text) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

// The draws as a strip over the whole scale, dark where the threshold's question is answered with yes.
function strip(start, draws, threshold, [low, high], hit) {
  const top = Math.max(...draws);
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `${low} 0 ${high - low} 20`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const add = (name, d) => {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", d);
    path.setAttribute("class", name);
    svg.append(path);
  };
  for (const yes of [false, true]) {
    const kept = draws.map((n, i) => hit(start + i) === yes ? 19 * n / top : 0);
    add(yes ? "above" : "below", kept.map((h, i) => h ? `M${start + i} 20v${-h.toFixed(2)}h1V20z` : "").join(""));
  }
  if (low < 0) add("zero", "M0 0V20");
  add("line", `M${threshold} 0V20`);
  return svg;
}

// A threshold in words: of shares, of falls (zero and below) and of rises.
function question(threshold, signed) {
  if (!signed) return `above ${threshold}\u00a0%`;
  if (threshold > 0) return `rise of more than ${threshold} points`;
  return threshold ? `fall of ${-threshold} points or more` : "fall at all";
}

function explore(root) {
  const { quantity, ends, signed, views } = JSON.parse(root.querySelector("script").textContent);
  const selects = [...root.querySelectorAll("select")];
  const slider = root.querySelector("input");
  const body = root.querySelector("tbody");
  const said = root.querySelector(".said");
  const chosen = () => selects.map((select) => select.selectedOptions[0].textContent).join(", ");

  function show() {
    const threshold = Number(slider.value);
    const asked = question(threshold, signed);
    const short = signed ? asked : threshold + "\u00a0%";
    const hit = (percent) => signed && threshold <= 0 ? percent < threshold : percent >= threshold;
    root.querySelector("output").textContent = short;
    slider.setAttribute("aria-valuetext", short);
    if (selects.length) root.querySelector("[data-heading=group]").textContent = selects[0].selectedOptions[0].textContent;
    root.querySelector("[data-heading=above]").textContent = `P(${asked})`;
    const rows = views[selects.map((select) => select.value).join(",")];
    const told = [];
    body.replaceChildren(...rows.map(([label, median, interval, start, draws]) => {
      const all = draws.reduce((a, b) => a + b, 0);
      const above = draws.reduce((sum, n, i) => hit(start + i) ? sum + n : sum, 0);
      const p = words(above / all);
      const sentence = `${label}: ${quantity.toLowerCase()} ${median} (95 % interval ${interval}); ${asked} with probability ${p}` +
        ` (${above.toLocaleString("en")} of ${all.toLocaleString("en")} draws).`;
      told.push([label, p]);
      const row = made("tr", {});
      const head = made("th", { scope: "row" }, label);
      head.append(strip(start, draws, threshold, ends, hit));
      const cell = made("td", { class: "gt_right" });
      const button = made("button", { type: "button", "aria-label": sentence }, p);
      const tellThis = () => { said.textContent = sentence; };
      for (const event of ["focus", "click"]) button.addEventListener(event, tellThis);
      row.addEventListener("pointerenter", tellThis);
      cell.append(button);
      row.append(head, made("td", { class: "gt_right" }, median), made("td", { class: "gt_right" }, interval), cell);
      return row;
    }));
    return [asked, told];
  }

  function tell() {
    const [asked, told] = show();
    const some = told.length > 6 ? [...told.slice(0, 3), ...told.slice(-3)] : told;
    const among = selects.length ? ` (${chosen()})` : "";
    said.textContent = `${quantity}, probability of ${signed ? "a " : "being "}${asked}${among}: ` +
      some.map(([label, p]) => `${label} ${p}`).join(", ") + (told.length > 6 ? "; the others lie between." : ".");
  }

  slider.addEventListener("input", show);
  for (const control of [slider, ...selects]) control.addEventListener("change", tell);
  root.querySelector(".controls").hidden = false;
  tell();
}

document.querySelectorAll(".explorer").forEach(explore);
