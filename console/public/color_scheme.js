// Before the first paint, so that a page in the dark does not flash white. The console's policy
// forbids scripts inside the page, hence this file. main.tsx takes over from here.
(function () {
  var chosen = null;
  try {
    chosen = localStorage.getItem("mantine-color-scheme-value");
  } catch (e) {
    chosen = null;
  }
  var isDark = chosen === "dark" || (chosen !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.setAttribute("data-mantine-color-scheme", isDark ? "dark" : "light");
  document.documentElement.style.backgroundColor = isDark ? "#0f1317" : "#f4f6f8";
})();
