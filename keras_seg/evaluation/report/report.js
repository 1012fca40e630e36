"use strict";

// A figure's slider covers its photograph with the layer that is chosen.
for (const figure of document.querySelectorAll("figure")) {
  const stack = figure.querySelector(".stack");
  const show = () => {
    const chosen = figure.querySelector("input[type=radio]:checked").value;
    for (const layer of figure.querySelectorAll(".layer")) {
      layer.classList.toggle("shown", layer.classList.contains(chosen));
    }
  };
  const slider = figure.querySelector("input[type=range]");
  const cover = () => stack.style.setProperty("--cover", `${slider.value}%`);
  figure.addEventListener("change", show);
  slider.addEventListener("input", cover);
  show();
  cover();
}

// A click on a column's head sorts by it, a second one the other way round.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const direction = head.getAttribute("aria-sort") === "descending" ? "ascending" : "descending";
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", direction);
      const sign = direction === "ascending" ? 1 : -1;
      const compare = (a, b) => {
        const [x, y] = [a.cells[column], b.cells[column]];
        if (x.dataset.value === undefined) return sign * x.textContent.localeCompare(y.textContent);
        return sign * (x.dataset.value - y.dataset.value);
      };
      table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
    });
  });
}

document.getElementById("order").addEventListener("change", (event) => {
  const gallery = document.querySelector(".gallery");
  const compare = {
    "iou": (a, b) => a.dataset.iou - b.dataset.iou,
    "-iou": (a, b) => b.dataset.iou - a.dataset.iou,
    "name": (a, b) => a.dataset.name.localeCompare(b.dataset.name),
  }[event.target.value];
  gallery.append(...[...gallery.children].sort(compare));
});

document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement.style;
  const dark = root.colorScheme ? root.colorScheme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.colorScheme = dark ? "light" : "dark";
});
