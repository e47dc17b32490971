// Loaded by every page: the theme, which the browser remembers, and buttons that copy.
(() => {
  const NAME = "rowferry_theme";
  const system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => (document.cookie.match(/(?:^|; )rowferry_theme=(light|dark)/) || [])[1];
  const apply = () => {
    const theme = chosen() || (system.matches ? "dark" : "light");
    document.documentElement.dataset.theme = theme;
    return theme;
  };
  const turn = () => {
    const next = apply() === "dark" ? "light" : "dark";
    document.cookie = `${NAME}=${next}; path=/; max-age=31536000; samesite=lax`;
    apply();
    window.Quasar?.Dark.set(next === "dark");
  };
  // Browsers offer the clipboard to https and localhost only; elsewhere a hidden text field does it.
  const copy = async (text) => {
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    const area = Object.assign(document.createElement("textarea"), { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  };
  apply();
  system.addEventListener("change", apply);
  document.addEventListener("click", async (event) => {
    if (event.target.closest("[data-theme-switch]")) turn();
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    await copy(button.dataset.copy);
    button.classList.add("rf-copied");
    setTimeout(() => button.classList.remove("rf-copied"), 1200);
  });
})();
