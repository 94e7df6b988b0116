// Sets the chosen colours before anything is painted.
try {
  const theme = localStorage.getItem("umbra-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch { /* storage is off: the system's colours */ }
