// Runs before the first paint: applies the chosen theme, then starts the module. A file of its own, because the
// content security policy allows no script inside the page.
(() => {
  try {
    const theme = localStorage.getItem("switchyard.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage is blocked: the system's theme it is.
  }
  const page = new Promise((done) => {
    if (document.readyState === "loading") addEventListener("DOMContentLoaded", done, { once: true });
    else done();
  });
  Promise.all([import("{{app_js}}"), page])
    .then(([app]) => app.default({ module_or_path: "{{app_wasm}}" }))
    .catch((error) => {
      console.error(error);
      const note = document.querySelector("#boot p");
      if (note) note.textContent = "The dashboard could not start in this browser. Reload, or try a current browser.";
    });
})();
