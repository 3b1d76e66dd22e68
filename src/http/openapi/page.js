"use strict";
const search = document.getElementById("search");
const routes = [...document.querySelectorAll("details.route")];
const sections = [...document.querySelectorAll("section")];
search.addEventListener("input", () => {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const route of routes) {
    const text = route.dataset.text;
    route.hidden = !words.every((word) => text.includes(word));
  }
  for (const section of sections) {
    const inside = [...section.querySelectorAll("details.route")];
    section.hidden = inside.length > 0 && inside.every((route) => route.hidden);
  }
});
const open = () => {
  const at = document.getElementById(location.hash.slice(1));
  if (at && at.tagName === "DETAILS") at.open = true;
};
addEventListener("hashchange", open);
open();
