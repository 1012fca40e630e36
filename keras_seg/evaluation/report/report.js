"use strict";

const gallery = document.querySelector(".gallery");

// An image is put in when it comes near the window: a thousand at once would take seconds.
const near = new IntersectionObserver((entries) => {
  for (const {isIntersecting, target} of entries) {
    if (!isIntersecting) continue;
    near.unobserve(target);
    const template = target.querySelector("template");
    target.append(template.content);
    template.remove();
  }
}, {rootMargin: "800px"});
for (const stack of gallery.querySelectorAll(".stack")) near.observe(stack);

// One switch for all images; a figure's slider covers it with the layer.
document.getElementById("layers").addEventListener("change", (event) => {
  gallery.dataset.layer = event.target.value;
});
const cover = (slider) => {
  slider.parentElement.querySelector(".stack").style.setProperty("--cover", `${slider.value}%`);
};
gallery.addEventListener("input", (event) => cover(event.target));
// A browser keeps sliders and choices when a page is loaded again.
gallery.querySelectorAll("input[type=range]").forEach(cover);
gallery.dataset.layer = document.querySelector("#layers input:checked").value;

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
