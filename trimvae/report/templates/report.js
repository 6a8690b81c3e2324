"use strict";
(() => {
  const root = document.documentElement;
  document.getElementById("theme").addEventListener("click", () => {
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });

  // Names of latents: the explanation's own, by number, and those that a reader has given.
  const named = JSON.parse(document.getElementById("latent-names").textContent);
  const kept = `trimvae names ${named.report}`;
  const given = {};
  const places = [...document.querySelectorAll("[data-latent]")];
  const first = new Map();
  for (const place of places) {
    place.dataset.shown = place.textContent;
    first.set(place.dataset.latent, place.textContent);
  }
  const called = (latent) => given[latent] || first.get(String(latent)) || "";
  const save = document.getElementById("save-names");

  // Where storage is refused, as in some private windows, names last as long as the page.
  const remembered = () => {
    try {
      const found = JSON.parse(localStorage.getItem(kept) || "{}");
      return found && typeof found === "object" ? found : {};
    } catch {
      return {};
    }
  };
  const remember = () => {
    try {
      localStorage.setItem(kept, JSON.stringify(given));
    } catch {
      // They last as long as the page.
    }
  };
  const call = (latent, name) => {
    const text = name.trim();
    if (text) given[latent] = text;
    else delete given[latent];
    for (const place of places) {
      if (place.dataset.latent === latent) place.textContent = text || place.dataset.shown;
    }
    if (save) save.disabled = !Object.keys(given).length;
  };

  const boxes = [...document.querySelectorAll("[data-name-of]")];
  const before = remembered();
  for (const box of boxes) {
    const latent = box.dataset.nameOf;
    if (typeof before[latent] === "string") {
      box.value = before[latent].slice(0, box.maxLength);
      call(latent, box.value);
    }
    box.addEventListener("input", () => {
      call(latent, box.value);
      remember();
    });
  }
  if (save) {
    save.addEventListener("click", () => {
      const renamed = {};
      for (const latent of Object.keys(given)) renamed[named.own[latent]] = given[latent];
      const link = document.createElement("a");
      link.href = URL.createObjectURL(
        new Blob([JSON.stringify(renamed, null, 2) + "\n"], { type: "application/json" }));
      link.download = "names.json";
      link.click();
      URL.revokeObjectURL(link.href);
    });
  }

  const format = (value) => (value < 0 ? "\u2212" : "+") + Math.abs(value).toFixed(2);

  for (const card of document.querySelectorAll(".card[data-example]")) {
    const source = card.querySelector("script[type='application/json']");
    if (source) connect(card, JSON.parse(source.textContent));
  }

  function connect(card, moves) {
    const sliders = [...card.querySelectorAll("input[type=range]")];
    const said = card.querySelector("output");
    const untouched = said.textContent;
    const sheet = card.querySelector(".window img");
    const drawn = card.querySelector(".drawn");
    const decided = card.querySelector(".decided");
    if (sheet) {
      const box = sheet.parentElement;
      box.style.aspectRatio = `${moves.width} / ${moves.height}`;
      sheet.style.width = `${100 * moves.values[0].length}%`;
    }
    const show = (latent, step, announce) => {
      if (sheet) {
        sheet.style.left = `${-100 * step}%`;
        sheet.style.top = `${-100 * latent}%`;
      }
      const rows = card.querySelectorAll("[data-column]");
      if (moves.rows) {
        moves.rows[latent].names.forEach((name, index) => {
          rows[index].hidden = false;
          rows[index].children[0].textContent = name;
          rows[index].children[1].textContent = moves.rows[latent].values[step][index].toFixed(2);
        });
      }
      let text = moves.said[latent][step];
      let flipped = false;
      if (drawn) {
        drawn.textContent = announce ? "moved" : "redrawn";
        decided.textContent = text;
      }
      if (moves.chances) {
        const chances = moves.chances[latent][step];
        card.querySelectorAll(".chance").forEach((line, index) => {
          line.querySelector(".fill").style.width = `${100 * chances[index]}%`;
          line.querySelector(".number").textContent = chances[index].toFixed(2);
        });
        const winner = moves.winners[latent][step];
        flipped = winner !== moves.winners[latent][moves.own[latent]];
        text = flipped ? `decision flips to ${winner}` : `still decided as ${winner}`;
      }
      const value = moves.values[latent][step];
      sliders[latent].setAttribute("aria-valuetext", `${format(value)}, ${text}`);
      sliders[latent].nextElementSibling.textContent = format(value);
      said.classList.toggle("flipped", flipped);
      said.textContent = announce ? `${called(moves.numbers[latent])} at ${format(value)}: ${text}` : untouched;
    };
    const reset = (except) => {
      sliders.forEach((slider, latent) => {
        if (latent === except) return;
        slider.value = moves.own[latent];
        slider.nextElementSibling.textContent = format(moves.values[latent][moves.own[latent]]);
      });
    };
    sliders.forEach((slider, latent) => {
      slider.addEventListener("input", () => {
        reset(latent);
        show(latent, Number(slider.value), true);
      });
    });
    card.querySelector("button.reset").addEventListener("click", () => {
      reset(-1);
      show(0, moves.own[0], false);
    });
    reset(-1);
    show(0, moves.own[0], false);
  }

  const filters = [...document.querySelectorAll(".filters select")];
  const count = document.getElementById("count");
  const cards = [...document.querySelectorAll(".card[data-example]")];
  const apply = () => {
    let shown = 0;
    for (const card of cards) {
      const keep = filters.every((filter) =>
        filter.value === "all" || card.dataset[filter.dataset.filter].split(" ").includes(filter.value));
      card.hidden = !keep;
      shown += keep ? 1 : 0;
    }
    count.textContent = `${shown} of ${cards.length} examples`;
  };
  filters.forEach((filter) => filter.addEventListener("change", apply));
  apply();
})();
