// The chart of messages per second. Its x axis is the age of a second (0 is the newest complete one), so the axis stands
// still while the line moves. Colours come from the style sheet and are read again when the theme changes.

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { formatRate } from "./format.js";

const AXIS_FONT = "11px system-ui, sans-serif";

export class RateChart {
  // element's box gives the size; hovered(value, ageSeconds) is called with null when the pointer leaves.
  constructor(element, windowSeconds, hovered) {
    this.element = element;
    this.ages = Array.from({ length: windowSeconds }, (_, i) => i - windowSeconds + 1);
    this.values = new Array(windowSeconds).fill(null);
    this.colours = readColours(element);
    this.plot = new uPlot(this.#options(windowSeconds, hovered), [this.ages, this.values], element);
    new ResizeObserver(() => this.plot.setSize(sizeOf(element))).observe(element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.colours = readColours(element);
      this.plot.redraw();
    });
  }

  show(values) {
    this.plot.setData([this.ages, values]);
  }

  #options(windowSeconds, hovered) {
    const colour = (name) => () => this.colours[name];
    const grid = { stroke: colour("grid"), width: 1 };
    const axis = { stroke: colour("muted"), font: AXIS_FONT, grid, ticks: { show: false } };
    return {
      ...sizeOf(this.element),
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, y: false, points: { size: 7 } },
      padding: [8, 12, 0, 0],
      scales: {
        x: { time: false, range: [1 - windowSeconds, 0] },
        y: { range: (_plot, _min, max) => [0, Math.max((max ?? 0) * 1.1, 1)] },
      },
      axes: [
        { ...axis, size: 26, splits: () => minuteMarks(windowSeconds), values: (_plot, marks) => marks.map(minuteLabel) },
        { ...axis, size: 44, space: 32, values: (_plot, marks) => marks.map(formatAxis) },
      ],
      series: [
        {},
        { stroke: colour("line"), fill: colour("fill"), width: 1.5, points: { show: false }, spanGaps: false },
      ],
      hooks: {
        setCursor: [({ cursor: { idx }, data }) => hovered(idx == null ? null : data[1][idx], idx == null ? 0 : -data[0][idx])],
      },
    };
  }
}

function sizeOf(element) {
  return { width: Math.max(element.clientWidth, 1), height: Math.max(element.clientHeight, 1) };
}

function readColours(element) {
  const style = getComputedStyle(element);
  const read = (name) => style.getPropertyValue(name).trim();
  return { line: read("--accent"), fill: read("--accent-faint"), grid: read("--grid"), muted: read("--muted") };
}

function minuteMarks(windowSeconds) {
  const marks = [];
  for (let age = Math.floor(windowSeconds / 60) * 60; age >= 0; age -= 60) marks.push(-age);
  return marks;
}

function minuteLabel(age) {
  return age === 0 ? "now" : `−${-age / 60} min`;
}

function formatAxis(value) {
  return Number.isInteger(value) && value < 1000 ? String(value) : formatRate(value).replace(/\.?0+(?=k|M|$)/, "");
}
