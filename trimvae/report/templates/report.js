"use strict";
(() => {
  const root = document.documentElement;
  document.getElementById("theme").addEventListener("click", () => {
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });

  const format = (value) => (value < 0 ? "\u2212" : "+") + Math.abs(value).toFixed(2);

  for (const card of document.querySelectorAll(".card[data-example]")) {
    const source = card.querySelector("script[type='application/json']");
    if (source) connect(card, JSON.parse(source.textContent));
  }

  function connect(card, moves) {
    const sliders = [...card.querySelectorAll("input[type=range]")];
    const said = card.querySelector("output");
    const sheet = card.querySelector(".window img");
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
      let text;
      let flipped = false;
      if (moves.chances) {
        const chances = moves.chances[latent][step];
        card.querySelectorAll(".chance").forEach((line, index) => {
          line.querySelector(".fill").style.width = `${100 * chances[index]}%`;
          line.querySelector(".number").textContent = chances[index].toFixed(2);
        });
        const winner = moves.winners[latent][step];
        flipped = winner !== moves.winners[latent][moves.own[latent]];
        text = flipped ? `decision flips to ${winner}` : `still decided as ${winner}`;
      } else {
        text = `${moves.name} ${moves.outputs[latent][step].toFixed(2)}`;
      }
      const value = moves.values[latent][step];
      sliders[latent].setAttribute("aria-valuetext", `${format(value)}, ${text}`);
      sliders[latent].nextElementSibling.textContent = format(value);
      said.classList.toggle("flipped", flipped);
      said.textContent = announce ? `${moves.latents[latent]} at ${format(value)}: ${text}` : "As encoded";
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
