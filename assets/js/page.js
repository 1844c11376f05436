// Page-wide keys and the light/dark switch; runs once when the page is ready.
() => {
  const stored = localStorage.getItem("pe-theme");
  if (stored && !new URLSearchParams(location.search).has("__theme"))
    document.body.classList.toggle("dark", stored === "dark");
  document.addEventListener("click", (event) => {
    if (!event.target.closest("#theme-switch")) return;
    const dark = document.body.classList.toggle("dark");
    localStorage.setItem("pe-theme", dark ? "dark" : "light");
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey))
      document.querySelector("#run-button")?.click();
  });
}
