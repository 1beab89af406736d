"use strict";
// The page can be read without this script, which adds a search, folds and
// unfolds, and opens what a link leads to.
(() => {
  const forest = document.getElementById("forest");

  // reveal opens all folds around an element.
  const reveal = (element) => {
    for (let e = element; e; e = e.parentElement) {
      if (e.tagName === "DETAILS") e.open = true;
    }
  };
  const follow = () => {
    const target = document.getElementById(location.hash.slice(1));
    if (!target) return;
    reveal(target);
    target.scrollIntoView({ block: "center" });
  };
  // A link that is followed for the second time does not change the address.
  addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#layer-'], a[href^='#finding-']");
    if (link) setTimeout(follow);
  });
  addEventListener("hashchange", follow);
  if (/^#(layer|finding)-/.test(location.hash)) follow();
  if (!forest) return;

  const search = document.getElementById("search");
  const query = document.getElementById("query");
  const matches = document.getElementById("matches");
  const folds = [...forest.querySelectorAll("details")];
  const objects = [...forest.querySelectorAll("[data-find]")];
  // Everything that is in the drawing and can be hidden.
  const parts = [...forest.querySelectorAll("li")];
  const texts = objects.map((o) => o.dataset.find.toLowerCase());
  let before = null; // which folds were open before the search

  const setFolds = (open) => folds.forEach((fold, i) => { fold.open = typeof open === "boolean" ? open : open[i]; });

  const find = () => {
    const text = query.value.trim().toLowerCase();
    if (!text) {
      parts.forEach((part) => part.removeAttribute("data-hidden"));
      if (before) setFolds(before);
      before = null;
      matches.value = "";
      return;
    }
    before ??= folds.map((fold) => fold.open);
    const found = objects.filter((_, i) => texts[i].includes(text));
    const visible = new Set();
    for (const object of found) {
      for (let e = object; e !== forest && !visible.has(e); e = e.parentElement) visible.add(e);
    }
    parts.forEach((part) => part.toggleAttribute("data-hidden", !visible.has(part)));
    folds.forEach((fold) => { fold.open = visible.has(fold); });
    matches.value = found.length === 1 ? "1 found" : `${found.length} found`;
  };

  let waiting = 0;
  query.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(find, 120);
  });
  search.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("unfold").addEventListener("click", () => setFolds(true));
  document.getElementById("fold").addEventListener("click", () => setFolds(false));
  search.hidden = false;
})();
