// Before the first paint: the theme and language that were chosen here, so that nothing flashes.
(function () {
  var root = document.documentElement;
  try {
    var theme = localStorage.getItem("hum.theme");
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    var language = localStorage.getItem("hum.language");
    if (language) root.lang = language;
  } catch {
    // Without storage the system's choice stands.
  }
})();
